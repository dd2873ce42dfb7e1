// The daemon itself: its log, and its configuration.

import { $, $$, h, put } from "./dom.js";
import { ask, sure } from "./ask.js";
import { daemon, listen } from "./live.js";
import { follow } from "./log.js";

export function daemonPage() {
  listen({ state: (data) => daemon(data.daemon) });
  if ($("#mainlog .log")) follow($("#mainlog"), "/mainlogtail?bytes=65536", "/download");

  const box = $("#preview");
  const button = $("#reread");
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    put(box, "Reading the configuration…");
    try {
      const answer = await fetch("/data/preview");
      const data = await answer.json();
      show(box, data);
    } catch (error) {
      put(box, `It could not be read: ${error.message}`);
    }
  });
  for (const form of $$("form[data-ask]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { ask: action, question, label, word } = form.dataset;
      if (action === "update" || (await sure(question, label, "") && await sure("Every program will be stopped.", label, word))) {
        await ask({ action });
        if (action === "update") button.click();
      }
    });
  }
}

function show(box, data) {
  box.replaceChildren();
  if (data.error) {
    box.append(h("p", { class: "cause", role: "alert" }, "The configuration has errors, nothing would change:"), h("pre", {}, data.error));
    return;
  }
  const names = (list) => list.names.join(", ") + (list.more ? ` and ${list.more} more` : "");
  const line = (sign, text) => h("div", { class: sign === "+" ? "plus" : "minus" }, `${sign} ${text}`);
  const option = (o) => [o.old === null ? null : line("-", `${o.option} = ${o.old}`), o.new === null ? null : line("+", `${o.option} = ${o.new}`)];
  const part = (kind, group, ...inner) => h("section", { class: `change ${kind}` }, h("h3", {}, `${kind}: `, h("b", {}, group)), h("div", { class: "diff" }, ...inner));
  for (const g of data.added) box.append(part("added", g.group, line("+", names(g.processes))));
  for (const g of data.changed) {
    const inner = (g.options ?? []).flatMap(option);
    if (g.added) inner.push(line("+", `new: ${names(g.added)}`));
    if (g.removed) inner.push(line("-", `gone: ${names(g.removed)}`));
    for (const edit of g.changed ?? []) inner.push(h("div", { class: "soft" }, names(edit.processes)), ...edit.options.flatMap(option));
    box.append(part("changed", g.group, ...inner.filter(Boolean)));
  }
  for (const g of data.removed) box.append(part("removed", g.group, line("-", names(g.processes))));
  if (data.more) box.append(h("p", { class: "soft" }, `and ${data.more} groups more`));
  if (box.childElementCount === 0) box.append(h("p", {}, "Nothing would change: what runs is what the configuration says."));
}
