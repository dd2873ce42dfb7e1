// The overview: every process as it is now.

import { $, $$, breakable, h, put } from "./dom.js";
import { chart, draw, forget as forgetOld } from "./chart.js";
import { buttons, menu, signals } from "./actions.js";
import { ask, came, mayAct, sure, tell } from "./ask.js";
import { daemon, listen, now } from "./live.js";
import { exactly, percent, size } from "./format.js";
import { describe, KINDS, pathOf, stateClass } from "./state.js";

const COLLATE = new Intl.Collator(undefined, { numeric: true });

export function overview() {
  const rows = new Map();
  const groups = new Map();
  const selected = new Set();
  const folded = new Set();
  let words = [];
  let kind = "all";
  let sort = remembered("sort", "problems");
  let busy = false; // the pointer is among the rows: nothing moves under it
  let dirty = false;
  let anchor = null;

  let table = $("#processes");
  if (!table) {
    table = h("table", { id: "processes", class: "processes", role: "table", "aria-label": "Processes" });
    $("main").append(table);
  }
  const nothing = $(".nothing") ?? h("p", { class: "nothing", hidden: true }, "No programs to manage");
  if (!nothing.isConnected) table.after(nothing);
  const body = h("tbody", { role: "rowgroup" });
  const said = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
  const none = h("p", { class: "nothing", hidden: true }, "No process matches");
  $("main").append(none, said);

  // Rows that are seen: the others are not drawn.
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const row = rows.get(entry.target.dataset.name);
      if (!row) continue;
      if (entry.isIntersecting) { seen.add(row); tick(row); charts(row); past(row); } else seen.delete(row);
    }
  }, { rootMargin: "200px" });

  function head() {
    const all = h("input", {
      type: "checkbox", "aria-label": "Select all that are shown",
      change: () => { for (const row of shown()) pick(row, all.checked); bulk(); },
    });
    const column = (name, ...children) => h("th", { role: "columnheader", class: name }, ...children);
    return h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      column("pick", mayAct() ? all : h("span", { class: "unseen" }, "Selected")),
      column("state", "State"), column("desc", "Description"), column("name", "Name"),
      column("cpu live", "CPU"), column("mem live", "Memory"), column("lastline live", "Newest line"),
      column("action", "Action")));
  }

  // What was measured before this page was open, of the rows that are seen.
  let lacking = [];
  function past(row) {
    if (row.known || !row.p.pid) return;
    row.known = true;
    if (lacking.push(row) === 1) setTimeout(fetchPast, 50);
  }
  async function fetchPast() {
    const asked = lacking.splice(0, 40);
    if (lacking.length) setTimeout(fetchPast, 50);
    try {
      const answer = await fetch(`/data/use?${asked.map((row) => `name=${encodeURIComponent(row.p.name)}`).join("&")}`);
      if (!answer.ok) return;
      for (const [name, samples] of Object.entries(await answer.json())) {
        const row = rows.get(name);
        if (!row?.p.pid) continue;
        // Before what was told live meanwhile.
        const before = samples.filter(([at]) => row.cpu.length === 0 || at < row.cpu[0][0]);
        row.cpu.unshift(...before.map(([at, cpu]) => [at, cpu]));
        row.mem.unshift(...before.map(([at, , kib]) => [at, kib]));
        charts(row);
      }
    } catch { /* the charts begin now, then */ }
  }

  function make(p) {
    const cell = (name, ...children) => h("td", { role: "cell", class: name }, ...children);
    const row = { p, cpu: [], mem: [], use: [null, null] };
    row.box = h("input", {
      type: "checkbox", "aria-label": `Select ${p.name}`,
      click: (event) => {
        if (event.shiftKey && anchor && anchor !== row) range(anchor, row, row.box.checked);
        pick(row, row.box.checked);
        anchor = row;
        bulk();
      },
    });
    row.state = h("span");
    row.text = h("span");
    row.more = h("span", { class: "restarts" });
    row.cause = h("span", { class: "cause" });
    row.cpuText = h("span", { class: "number" });
    row.memText = h("span", { class: "number" });
    row.cpuChart = chart("cpuline", 64, 20, `CPU of ${p.name} in the last minutes`);
    row.memChart = chart("memline", 64, 20, `Memory of ${p.name} in the last minutes`);
    row.line = h("a", { href: pathOf(p), hidden: true });
    row.buttons = buttons(p.name);
    row.menu = h("button", {
      type: "button", class: "quiet more", "aria-label": `More for ${p.name}`, "aria-haspopup": "menu",
      click: () => more(row.p, row.menu),
    }, "⋯");
    row.tr = h("tr", { role: "row", "data-name": p.name, "data-group": p.group },
      cell("pick", mayAct() ? row.box : null), cell("status", row.state),
      cell("desc", row.text, " ", row.more, " ", row.cause),
      cell("name", h("a", { href: pathOf(p) }, ...breakable(p.name))),
      cell("cpu live", row.cpuChart, row.cpuText), cell("mem live", row.memChart, row.memText),
      cell("lastline live", row.line), cell("action", mayAct() ? row.buttons.box : null, row.menu));
    return row;
  }

  function update(row, p) {
    const before = row.state.textContent;
    row.p = p;
    row.tr.dataset.state = p.state;
    row.tr.toggleAttribute("data-problem", p.problem);
    put(row.state, p.state);
    row.state.className = stateClass(p.state);
    put(row.more, p.restarts ? `restarted ${p.restarts}×` : "");
    put(row.cause, p.problem && p.cause && p.cause !== p.text ? p.cause : "");
    row.text.title = p.state === "running" ? `since ${exactly(p.started)}` : p.stopped ? exactly(p.stopped) : "";
    if (!p.pid) { row.use = [null, null]; row.cpu = []; row.mem = []; charts(row); }
    tick(row);
    if (before !== p.state) {
      row.buttons.show(p.state);
      if (before && (p.problem || before === "fatal")) put(said, `${p.name} is ${p.state}${p.cause ? `: ${p.cause}` : ""}`);
    }
  }

  function tick(row) { put(row.text, describe(row.p)); }
  function charts(row) {
    if (!seen.has(row)) return;
    put(row.cpuText, percent(row.use[0]));
    put(row.memText, size(row.use[1]));
    draw(row.cpuChart, row.cpu, now(), 64, 20, 5);
    draw(row.memChart, row.mem, now(), 64, 20, 1024);
  }

  function group(name) {
    let made = groups.get(name);
    if (made) return made;
    made = { name };
    made.fold = h("button", {
      type: "button", class: "quiet fold", "aria-expanded": String(!folded.has(name)),
      click: () => { if (!folded.delete(name)) folded.add(name); order(true); },
    }, name);
    made.count = h("span", { class: "soft" });
    const act = (action, label) => h("button", {
      type: "button", "data-action": action, "aria-label": `${label} group ${name}`,
      click: async () => {
        if (action === "start" || await sure(`${label} all of ${name}?`, label)) ask({ action, names: [`${name}:*`] }, [...rows.values()].filter((row) => row.p.group === name).map((row) => row.p.name));
      },
    }, label);
    made.tr = h("tr", { role: "row", class: "group", "data-groupname": name },
      h("th", { role: "rowheader", scope: "rowgroup" }, made.fold, made.count),
      h("td", { role: "cell", class: "action" }, mayAct() ? [act("start", "Start"), act("restart", "Restart"), act("stop", "Stop")] : null));
    groups.set(name, made);
    return made;
  }

  function fits(p) {
    if (kind !== "all" && !KINDS[kind](p)) return false;
    return words.every((word) => p.name.toLowerCase().includes(word) || p.state.startsWith(word));
  }
  const shown = () => [...rows.values()].filter((row) => row.tr.isConnected && !row.tr.hidden);

  const SORTS = {
    cpu: (a, b) => (b.use[0] ?? -1) - (a.use[0] ?? -1),
    memory: (a, b) => (b.use[1] ?? -1) - (a.use[1] ?? -1),
    uptime: (a, b) => (b.p.pid ? b.p.started : 0) - (a.p.pid ? a.p.started : 0),
    restarts: (a, b) => b.p.restarts - a.p.restarts,
  };

  /** Puts the rows in their order; while the pointer is among them only when it has to be. */
  function order(force = false) {
    if (busy && !force) { dirty = true; return; }
    dirty = false;
    const wanted = [];
    const all = [...rows.values()].filter((row) => fits(row.p));
    if (SORTS[sort]) {
      all.sort((a, b) => SORTS[sort](a, b) || COLLATE.compare(a.p.name, b.p.name));
      wanted.push(...all.map((row) => row.tr));
    } else {
      const by = new Map();
      for (const row of all) {
        if (!by.has(row.p.group)) by.set(row.p.group, []);
        by.get(row.p.group).push(row);
      }
      const trouble = (list) => (sort === "problems" && list.some((row) => row.p.problem) ? 0 : 1);
      const names = [...by.keys()].sort((a, b) => trouble(by.get(a)) - trouble(by.get(b)) || COLLATE.compare(a, b));
      for (const name of names) {
        const list = by.get(name);
        const worst = (row) => (sort === "problems" && row.p.problem ? 0 : 1);
        list.sort((a, b) => worst(a) - worst(b) || COLLATE.compare(a.p.process, b.p.process));
        if (list.length > 1 || list[0].p.process !== name) {
          const made = group(name);
          made.fold.setAttribute("aria-expanded", String(!folded.has(name)));
          summarise(made, list);
          wanted.push(made.tr);
          if (folded.has(name)) continue;
        }
        wanted.push(...list.map((row) => row.tr));
      }
    }
    let at = body.firstChild;
    for (const tr of wanted) {
      if (tr === at) at = at.nextSibling;
      else body.insertBefore(tr, at);
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
    none.hidden = wanted.length > 0 || rows.size === 0;
    nothing.hidden = rows.size > 0;
    table.hidden = rows.size === 0;
  }

  function summarise(made, list) {
    const bad = list.filter((row) => row.p.problem).length;
    const up = list.filter((row) => row.p.state === "running").length;
    put(made.count, `${up} of ${list.length} running${bad ? `, ${bad} in trouble` : ""}`);
    made.tr.toggleAttribute("data-problem", bad > 0);
  }

  function counts() {
    const all = [...rows.values()];
    for (const button of $$("#counts button")) {
      const name = button.dataset.kind;
      const count = name === "all" ? all.length : all.filter((row) => KINDS[name](row.p)).length;
      put($("b", button), String(count));
      button.parentElement.classList.toggle("zero", count === 0);
    }
    const bad = all.filter((row) => row.p.problem).length;
    document.title = bad ? `(${bad}) Supervisor Status` : "Supervisor Status";
  }

  function pick(row, is) {
    row.box.checked = is;
    row.tr.toggleAttribute("data-selected", is);
    if (is) selected.add(row.p.name); else selected.delete(row.p.name);
  }
  function range(from, to, is) {
    const list = [...body.children].map((tr) => rows.get(tr.dataset.name)).filter(Boolean);
    const [a, b] = [list.indexOf(from), list.indexOf(to)].sort((x, y) => x - y);
    for (const row of list.slice(Math.max(a, 0), b + 1)) pick(row, is);
  }

  const bar = h("div", { id: "selection", class: "selection", role: "toolbar", "aria-label": "With the selected", hidden: true });
  const barCount = h("b");
  function bulk() {
    bar.hidden = selected.size === 0;
    put(barCount, `${selected.size} selected`);
  }
  async function act(action, label, signal) {
    const names = [...selected];
    const grave = ["stop", "restart"].includes(action) && names.length > 1;
    if (grave && !await sure(`${label} ${names.length} processes?`, label)) return;
    await ask({ action, names, ...(signal ? { signal } : {}) });
  }
  function clear() { for (const row of rows.values()) pick(row, false); bulk(); }
  if (mayAct()) {
    const button = (action, label) => h("button", { type: "button", "data-action": action, click: () => act(action, label) }, label);
    const signal = signals();
    bar.append(barCount, button("start", "Start"), button("stop", "Stop"), button("restart", "Restart"), button("clearlog", "Clear Log"),
      signal, h("button", { type: "button", "data-action": "signal", click: () => act("signal", "Signal", signal.value) }, "Send signal"),
      h("button", { type: "button", class: "quiet", "aria-label": "Clear the selection", click: clear }, "Clear"));
    $("main").append(bar);
  }

  const more = menu($("main"));

  // Filter and sort.
  const filter = h("input", {
    type: "search", id: "filter", placeholder: "Filter by name or state  ( / )", "aria-label": "Filter by name or state",
    input: () => { words = filter.value.toLowerCase().split(/\s+/).filter(Boolean); order(true); },
    keydown: (event) => { if (event.key === "Escape") { filter.value = ""; words = []; order(true); } },
  });
  const sorts = { problems: "Problems first", name: "By name", cpu: "By CPU", memory: "By memory", uptime: "Newest first", restarts: "By restarts" };
  const chooser = h("select", { id: "sort", "aria-label": "Order", change: () => { sort = chooser.value; remember("sort", sort); order(true); } },
    Object.entries(sorts).map(([value, text]) => h("option", { value, selected: value === sort }, text)));
  const tools = $("#tools");
  tools.append(filter, chooser);
  for (const item of $$("#counts li")) {
    const name = $("b", item).dataset.count;
    const button = h("button", {
      type: "button", class: "quiet", "data-kind": name, "aria-pressed": String(name === "all"),
      click: () => {
        kind = name;
        for (const other of $$("#counts button")) other.setAttribute("aria-pressed", String(other === button));
        order(true);
      },
    });
    button.append(...item.childNodes);
    item.append(button);
  }
  for (const button of $$("#buttons [data-all]")) {
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const action = button.dataset.all;
      const label = action === "stop" ? "Stop All" : "Restart All";
      if (await sure(`${label}: ${rows.size} processes?`, label)) ask({ action: `${action}all` }, [...rows.keys()]);
    });
  }
  $("#buttons a")?.remove();
  $("#bulk")?.remove();

  // The server's own rows give way to live ones with the first news, all at once.
  let isFirst = true;
  listen({
    link(up) { if (!up) busy = false; },
    state(data) {
      daemon(data.daemon);
      if (data.whole) {
        const there = new Set(data.processes.map((p) => p.name));
        for (const name of rows.keys()) if (!there.has(name)) forget(name);
      }
      let moved = isFirst || data.gone.length > 0;
      for (const name of data.gone) forget(name);
      for (const p of data.processes) {
        let row = rows.get(p.name);
        if (!row) { row = make(p); rows.set(p.name, row); watch.observe(row.tr); moved = true; }
        const was = row.p.problem;
        update(row, p);
        if (!data.whole) came(p);
        if (p.pid && seen.has(row)) past(row);
        if (was !== p.problem || kind !== "all" || words.length > 0 || sort === "uptime" || sort === "restarts") dirty = true;
      }
      if (isFirst) { isFirst = false; table.replaceChildren(head(), body); }
      counts();
      if (moved) order(true); else if (dirty) order();
      for (const made of groups.values()) {
        const list = [...rows.values()].filter((row) => row.p.group === made.name);
        if (made.tr.isConnected && list.length) summarise(made, list);
      }
    },
    use(data) {
      for (const [name, load] of Object.entries(data.of)) {
        const row = rows.get(name);
        if (!row) continue;
        row.use = load ?? [null, null];
      }
      for (const row of rows.values()) {
        if (!row.p.pid) continue;
        row.cpu.push([data.at, row.use[0]]);
        row.mem.push([data.at, row.use[1]]);
        forgetOld(row.cpu, data.at);
        forgetOld(row.mem, data.at);
      }
      for (const row of seen) charts(row);
      if (sort === "cpu" || sort === "memory") order();
    },
    lines(data) {
      for (const [name, line] of Object.entries(data.of)) {
        const row = rows.get(name);
        if (!row) continue;
        put(row.line, line ? line[2] : "");
        row.line.hidden = !line;
        row.line.className = line?.[0] === "stderr" ? "stderr" : "";
        row.line.title = line ? `${line[0]}, ${exactly(line[1])}\n${line[2]}` : "";
      }
    },
  });

  function forget(name) {
    const row = rows.get(name);
    if (!row) return;
    watch.unobserve(row.tr);
    seen.delete(row);
    selected.delete(name);
    row.tr.remove();
    rows.delete(name);
    bulk();
  }

  setInterval(() => { for (const row of seen) tick(row); }, 1000);
  setInterval(() => { for (const row of seen) charts(row); }, 5000);
  body.addEventListener("pointerenter", () => { busy = true; });
  body.addEventListener("pointerleave", () => { busy = false; if (dirty) order(); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=search], input[type=text], select, dialog *, .menu *")) return;
    const names = () => $$("td.name a", body);
    const current = document.activeElement?.closest("tr");
    const move = (by) => {
      const list = names();
      const at = current ? list.findIndex((link) => link.closest("tr") === current) : -1;
      list[Math.min(list.length - 1, Math.max(0, at + by))]?.focus();
    };
    if (event.key === "/") { event.preventDefault(); filter.focus(); }
    else if (event.key === "j" || (event.key === "ArrowDown" && current)) { event.preventDefault(); move(1); }
    else if (event.key === "k" || (event.key === "ArrowUp" && current)) { event.preventDefault(); move(-1); }
    else if (event.key === "x" && current && mayAct()) {
      const row = rows.get(current.dataset.name);
      if (row) { pick(row, !row.box.checked); anchor = row; bulk(); }
    } else if (event.key === "Escape" && selected.size) clear();
    else if (event.key === "?") tell("/ filter · j k move · x select · Enter details · Esc clear", false);
  });
}

function remembered(name, usual) {
  try { return localStorage.getItem(name) ?? usual; } catch { return usual; }
}
function remember(name, value) {
  try { localStorage.setItem(name, value); } catch { /* for this page alone */ }
}
