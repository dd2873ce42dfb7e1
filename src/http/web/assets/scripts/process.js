// One process: its state, what became of it, what it uses, and what it says.

import { $, h, put } from "./dom.js";
import { chart, draw } from "./chart.js";
import { ask, mayAct, sure } from "./ask.js";
import { daemon, listen } from "./live.js";
import { describe, offers, stateClass } from "./overview.js";
import { exactly, moment, percent, size } from "./format.js";
import { follow } from "./log.js";

export function process() {
  const name = document.body.dataset.name;
  const query = encodeURIComponent(name);
  let p = null;
  let skew = 0;
  let newest = 0;
  const cpu = [];
  const mem = [];

  const cpuChart = chart("cpuline", 400, 72, "CPU in the last five minutes");
  const memChart = chart("memline", 400, 72, "Memory in the last five minutes");
  $("#cpu figcaption").after(cpuChart);
  $("#mem figcaption").after(memChart);

  function show() {
    if (!p) return;
    const state = $("#state");
    put(state, p.state);
    state.className = `big ${stateClass(p.state)}`;
    state.closest("section").dataset.state = p.state;
    put($("#text"), describe(p, skew));
    $("#text").title = p.state === "running" ? exactly(p.started) : p.stopped ? exactly(p.stopped) : "";
    put($("#cause"), p.problem && p.cause !== p.text ? p.cause : "");
    put($("#restarts"), p.restarts ? `restarted ${p.restarts}×` : "");
    const acts = $("#acts");
    if (acts.dataset.state !== p.state) {
      acts.dataset.state = p.state;
      const had = acts.contains(document.activeElement);
      acts.replaceChildren(...(mayAct() ? [...offers(p.state), ["clearlog", "Clear Log"]] : []).map(([action, label]) =>
        h("button", { type: "button", "data-action": action, click: () => ask({ action, names: [name] }) }, label)));
      if (mayAct() && p.pid) acts.append(signals());
      if (had) acts.firstChild?.focus();
    }
    const stdin = $("#stdin");
    if (stdin) stdin.hidden = !p.pid;
  }
  function signals() {
    const select = h("select", { "aria-label": "Signal" },
      ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP"].map((signal) => h("option", {}, signal)));
    return h("span", { class: "buttons" }, select, h("button", {
      type: "button", "data-action": "signal",
      click: async () => {
        if (select.value !== "KILL" || await sure(`Kill ${name}?`, "Kill")) ask({ action: "signal", names: [name], signal: select.value });
      },
    }, "Send signal"));
  }
  function plot() {
    draw(cpuChart, cpu, 400, 72, 5);
    draw(memChart, mem, 400, 72, 1024);
    put($("#cpu output"), percent(p?.pid ? cpu.at(-1)?.[1] : null));
    put($("#mem output"), size(p?.pid ? mem.at(-1)?.[1] : null));
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
      skew = Date.now() - data.at;
      daemon(data.daemon);
      const mine = data.processes.find((other) => other.name === name);
      if (mine) {
        const isNew = p === null;
        p = mine;
        show();
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
      while (cpu.length && cpu[0][0] < data.at - 300000) { cpu.shift(); mem.shift(); }
      plot();
    },
  });
  setInterval(() => { if (p) put($("#text"), describe(p, skew)); }, 1000);
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
