// Asks the daemon for something, and the person whether they mean it.

import { $, h } from "./dom.js";

const token = () => $("meta[name=csrf]").content;
export const mayAct = () => "mayAct" in document.body.dataset;

// Starts that somebody asked for here: what becomes of them is told when it is known.
const PATIENCE = 120000;
const hoped = new Map();

/** Asks the daemon, and tells what became of it. `whom` are the names of the processes that it is about. */
export async function ask(call, whom = call.names ?? []) {
  const starts = /^(re)?start/.test(call.action);
  if (starts) for (const name of whom) hoped.set(name, Date.now() + PATIENCE);
  const fail = (text) => {
    if (starts) for (const name of whom) hoped.delete(name);
    tell(text, true);
    return false;
  };
  let report;
  try {
    const answer = await fetch("/act", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token() },
      body: JSON.stringify(call),
    });
    if (answer.status === 401) return fail("Nothing was done: you are not logged in any more.");
    if (answer.status === 403) return fail("Nothing was done: this page is out of date. Please load it again.");
    if (answer.status === 503) return fail("Nothing was done: supervisord has too much to do. Please try again.");
    if (!answer.ok) return fail(`Nothing was done: supervisord answered with status ${answer.status}.`);
    report = await answer.json();
  } catch {
    return fail("supervisord cannot be reached.");
  }
  if (report.message) tell(report.message, false);
  for (const [name] of report.failed) hoped.delete(name);
  for (const [name, why] of report.failed.slice(0, 3)) tell(name ? `${name}: ${why}` : why, true);
  if (report.failed.length > 3) tell(`and ${report.failed.length - 3} more failed`, true);
  return report.failed.length === 0;
}

/** A process is in another state: tells of a start that was asked for here and failed. */
export function came(p) {
  const until = hoped.get(p.name);
  if (until === undefined) return;
  const failed = p.state === "fatal" || (p.state === "exited" && p.problem);
  if (failed && Date.now() < until) tell(`${p.name} could not be started: ${p.state === "fatal" ? p.text : p.cause}`, true);
  if (failed || p.state === "running" || Date.now() >= until) hoped.delete(p.name);
}

/** Says something, for a while. */
export function tell(text, isBad) {
  let box = $("#toasts");
  if (!box) {
    box = h("div", { id: "toasts", role: "log", "aria-live": "polite", "aria-label": "What became of it" });
    $("main").append(box);
  }
  const toast = h("p", { class: isBad ? "toast bad" : "toast" }, text);
  toast.append(h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", click: () => toast.remove() }, "×"));
  box.append(toast);
  while (box.children.length > 5) box.firstChild.remove();
  setTimeout(() => toast.remove(), isBad ? 12000 : 4000);
}

/** Whether the person is sure. With a word, it has to be typed. */
export function sure(question, action, word = "") {
  return new Promise((resolve) => {
    const yes = h("button", { type: "submit", value: "yes", class: "primary danger", disabled: word !== "" }, action);
    const form = h("form", { method: "dialog" }, h("h2", { id: "question" }, question));
    if (word) {
      const input = h("input", {
        type: "text", id: "word", autocomplete: "off", spellcheck: "false",
        input: () => { yes.disabled = input.value.trim() !== word; },
      });
      form.append(h("label", { for: "word" }, "To be sure, type ", h("code", {}, word)), input);
    }
    form.append(h("p", { class: "buttons" }, yes, h("button", { type: "submit", value: "no" }, "Cancel")));
    const dialog = h("dialog", { "aria-labelledby": "question" }, form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
