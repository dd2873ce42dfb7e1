// The buttons for what can be done to one process.

import { h } from "./dom.js";
import { ask, mayAct, sure } from "./ask.js";
import { offers, pathOf, SIGNALS } from "./state.js";

/** Asks for something that is sent to a process; what cannot be caught is asked about first. */
export async function send(name, signal) {
  if (signal !== "KILL" || await sure(`Kill ${name}?`, "Kill")) ask({ action: "signal", names: [name], signal });
}

/** A choice of signals. */
export const signals = () => h("select", { "aria-label": "Signal" }, SIGNALS.map((name) => h("option", {}, name)));

/** The buttons that go with its state. */
export function buttons(name) {
  const box = h("span", { class: "acts", role: "group", "aria-label": `Actions for ${name}`, tabindex: "-1" });
  let shown = null;
  function show(state) {
    if (!mayAct() || state === shown) return;
    shown = state;
    const had = box.contains(document.activeElement);
    box.replaceChildren(...offers(state).map(([action, label]) => h("button", {
      type: "button", "data-action": action, "aria-label": `${label} ${name}`,
      click: () => ask({ action, names: [name] }),
    }, label)));
    // While there is nothing to press, the place where it comes has the focus.
    if (had) (box.firstChild ?? box).focus();
  }
  return { box, show };
}

/** The menu of everything else. Gives a function that opens it for a process, at a button. */
export function menu(parent) {
  const pop = h("div", { id: "menu", class: "menu", popover: "auto", role: "menu" });
  parent.append(pop);
  pop.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...pop.children];
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  });
  return (p, button) => {
    const path = encodeURIComponent(p.name);
    const link = (text, href) => h("a", { role: "menuitem", href, target: "_blank", rel: "noopener" }, text);
    const item = (text, run) => h("button", { type: "button", role: "menuitem", class: "quiet", click: () => { pop.hidePopover(); run(); } }, text);
    pop.replaceChildren(
      h("a", { role: "menuitem", href: pathOf(p) }, "Details"),
      link("Tail -f Stdout", `/logtail/${path}`), link("Tail -f Stderr", `/logtail/${path}/stderr`),
      ...(mayAct() ? [
        item("Clear Log", () => ask({ action: "clearlog", names: [p.name] })),
        ...["HUP", "USR1", "INT", "KILL"].map((signal) => item(`Send SIG${signal}`, () => send(p.name, signal))),
      ] : []));
    pop.setAttribute("aria-label", `More for ${p.name}`);
    pop.showPopover();
    const at = button.getBoundingClientRect();
    const height = pop.offsetHeight;
    pop.style.top = `${at.bottom + height + 8 > innerHeight ? Math.max(8, at.top - height - 4) : at.bottom + 4}px`;
    pop.style.left = `${Math.max(8, at.right - pop.offsetWidth)}px`;
    pop.firstChild.focus();
  };
}
