// Asks the daemon for something, and the person whether they mean it.

import { $, h } from "./dom.js";

const token = () => $("meta[name=csrf]").content;
export const mayAct = () => "mayAct" in document.body.dataset;

/** Asks the daemon, and tells what became of it. */
export async function ask(call) {
  let report;
  try {
    const answer = await fetch("/act", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": token() },
      body: JSON.stringify(call),
    });
    if (answer.status === 403 || answer.status === 401) {
      tell("This page is out of date. Please load it again.", true);
      return false;
    }
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    report = await answer.json();
  } catch (error) {
    tell(`supervisord could not be asked: ${error.message}`, true);
    return false;
  }
  if (report.message) tell(report.message, false);
  for (const [name, why] of report.failed.slice(0, 4)) tell(name ? `${name}: ${why}` : why, true);
  if (report.failed.length > 4) tell(`and ${report.failed.length - 4} more failed`, true);
  return report.failed.length === 0;
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
