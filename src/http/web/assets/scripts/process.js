// One process: its state, what became of it, what it uses, and what it says.

import { $, h, put } from "./dom.js";
import { chart, draw, forget } from "./chart.js";
import { buttons, send, signals } from "./actions.js";
import { ask, came, mayAct } from "./ask.js";
import { daemon, listen, now } from "./live.js";
import { exactly, moment, percent, size } from "./format.js";
import { follow } from "./log.js";
import { describe, stateClass } from "./state.js";

export function process() {
  const name = document.body.dataset.name;
  const query = encodeURIComponent(name);
  let p = null;
  let newest = 0;
  const cpu = [];
  const mem = [];

  const cpuChart = chart("cpuline", 400, 72, "CPU in the last five minutes");
  const memChart = chart("memline", 400, 72, "Memory in the last five minutes");
  $("#cpu figcaption").after(cpuChart);
  $("#mem figcaption").after(memChart);

  const acts = buttons(name);
  const chosen = signals();
  const signal = h("span", { class: "buttons", hidden: true }, chosen,
    h("button", { type: "button", "data-action": "signal", click: () => send(name, chosen.value) }, "Send signal"));
  if (mayAct()) {
    $("#acts").replaceChildren(acts.box,
      h("button", { type: "button", "data-action": "clearlog", click: () => ask({ action: "clearlog", names: [name] }) }, "Clear Log"), signal);
  }

  function show() {
    if (!p) return;
    const state = $("#state");
    put(state, p.state);
    state.className = `big ${stateClass(p.state)}`;
    state.closest("section").dataset.state = p.state;
    put($("#text"), describe(p));
    $("#text").title = p.state === "running" ? exactly(p.started) : p.stopped ? exactly(p.stopped) : "";
    put($("#cause"), p.problem && p.cause !== p.text ? p.cause : "");
    put($("#restarts"), p.restarts ? `restarted ${p.restarts}×` : "");
    acts.show(p.state);
    signal.hidden = !p.pid;
    const stdin = $("#stdin");
    if (stdin) stdin.hidden = !p.pid;
  }
  function plot() {
    plotOne($("#cpu"), cpuChart, cpu, 5, percent);
    plotOne($("#mem"), memChart, mem, 1024, size);
  }
  function plotOne(figure, svg, samples, least, words) {
    const { span, highest } = draw(svg, samples, now(), 400, 72, least);
    put($("output", figure), words(p?.pid ? samples.at(-1)?.[1] : null));
    put($(".soft", figure), !p?.pid ? "not running" : samples.length > 1 ? `highest ${words(highest)} in ${span < 120000 ? `${Math.round(span / 1000)} s` : `${Math.round(span / 60000)} min`}` : "");
  }

  async function more(what) {
    try {
      const answer = await fetch(`/data/process?name=${query}&after=${newest}`);
      if (!answer.ok) return;
      const data = await answer.json();
      if (what === "all") {
        $("#history").replaceChildren();
        // Before what was told live meanwhile.
        const before = data.samples.filter(([at]) => cpu.length === 0 || at < cpu[0][0]);
        cpu.unshift(...before.map(([at, value]) => [at, value]));
        mem.unshift(...before.map(([at, , value]) => [at, value]));
      }
      for (const change of data.history) enter(change);
      tree(data.tree);
      plot();
    } catch { /* the next news brings it */ }
  }
  function enter(change) {
    if (change.number <= newest) return;
    newest = change.number;
    const list = $("#history");
    const why = [change.ended, change.why, change.by ? `asked by ${change.by}` : ""].filter(Boolean).join(" · ");
    list.prepend(h("li", { "data-state": change.to },
      h("time", { title: exactly(change.at), datetime: new Date(change.at).toISOString() }, moment(change.at)),
      h("span", { class: stateClass(change.to) }, change.to),
      h("span", { class: "soft" }, [change.pid ? `pid ${change.pid}` : "", why].filter(Boolean).join(" · "))));
    while (list.childElementCount > 64) list.lastChild.remove();
  }
  function tree(data) {
    const list = $("#tree");
    const there = new Set(data.processes.map((node) => node.pid));
    const below = (pid, depth) => data.processes.filter((node) => node.parent === pid).flatMap((node) => [[node, depth], ...below(node.pid, depth + 1)]);
    const roots = data.processes.filter((node) => !there.has(node.parent) || node.parent === node.pid);
    const flat = roots.flatMap((node) => [[node, 0], ...(node.parent === node.pid ? [] : below(node.pid, 1))]);
    list.replaceChildren(...flat.slice(0, 500).map(([node, depth]) => {
      const item = h("li", {}, h("span", { class: "mono" }, String(node.pid)), h("code", { title: node.command }, node.command),
        h("span", { class: "soft" }, `${node.state}, ${size(node.memory)}`));
      item.style.paddingLeft = `${Math.min(depth, 12) * 16}px`;
      return item;
    }));
    if (flat.length === 0) list.append(h("li", { class: "soft" }, "Nothing runs"));
    if (data.more) list.append(h("li", { class: "soft" }, "and more"));
  }

  listen({
    state(data) {
      daemon(data.daemon);
      const mine = data.processes.find((other) => other.name === name);
      if (mine) {
        const isNew = p === null;
        p = mine;
        show();
        if (!data.whole) came(p);
        more(isNew ? "all" : "news");
      } else if (data.gone.includes(name) || data.whole) {
        put($("#state"), "gone");
        put($("#text"), "It is no longer part of the configuration");
        $("#acts").replaceChildren();
      }
    },
    use(data) {
      const load = name in data.of ? data.of[name] : data.whole ? null : [cpu.at(-1)?.[1] ?? null, mem.at(-1)?.[1] ?? null];
      if (!load || !p?.pid) { if (!p?.pid) plot(); return; }
      cpu.push([data.at, load[0]]);
      mem.push([data.at, load[1]]);
      forget(cpu, data.at);
      forget(mem, data.at);
      plot();
    },
  });
  setInterval(() => { if (p) put($("#text"), describe(p)); }, 1000);
  setInterval(plot, 5000);
  setInterval(() => { if (p?.pid && document.visibilityState === "visible") more("news"); }, 10000);

  const logs = $("#logs");
  const url = (channel) => `/logtail/${query}/${channel}?bytes=65536`;
  const load = (channel) => `/download?name=${query}&channel=${channel}`;
  const view = follow(logs, url("stdout"), load("stdout"));
  for (const tab of logs.querySelectorAll("[data-channel]")) {
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      for (const other of logs.querySelectorAll("[data-channel]")) other.setAttribute("aria-current", String(other === tab));
      view.to(url(tab.dataset.channel), load(tab.dataset.channel));
    });
  }
  $("#stdin")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const input = $("#stdin input[name=text]");
    if (await ask({ action: "stdin", names: [name], text: `${input.value}\n` })) input.value = "";
  });
}
