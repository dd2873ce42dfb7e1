// The connection to the daemon: what happens there, as it happens.

import { $, h, put } from "./dom.js";

// The server says something every ten seconds.
const SILENCE = 25000;

// How far our clock is ahead of the server's.
let skew = 0;

/** The time at the server, in milliseconds since the epoch. */
export const now = () => Date.now() - skew;

/** Listens. `handlers` has a function for each kind of event, and `link(isUp)`. */
export function listen(handlers) {
  let source = null;
  let timer = 0;
  let wait = 500;

  const show = (state, text) => {
    const link = $("#link");
    link.dataset.link = state;
    put(link, text);
    document.documentElement.classList.toggle("offline", state !== "on");
    handlers.link?.(state === "on");
  };
  const again = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    show("off", "offline – trying again");
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, 5000);
    loggedOut().then((is) => { if (is) end(); });
  };
  const end = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    show("out", "logged out");
    $("main").prepend(h("p", { class: "status_msg bad", role: "alert" },
      "You are not logged in any more, and what is shown here is old. ", h("a", { href: "/" }, "Log in again")));
  };
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(again, SILENCE);
    wait = 500;
  };
  const open = () => {
    source = new EventSource("/live");
    timer = setTimeout(again, SILENCE);
    source.addEventListener("error", again);
    source.addEventListener("time", (event) => { alive(); skew = Date.now() - Number(event.data); });
    for (const kind of ["state", "use", "lines"]) {
      source.addEventListener(kind, (event) => {
        alive();
        const data = JSON.parse(event.data);
        if (kind === "state" && data.whole) show("on", "live");
        handlers[kind]?.(data);
      });
    }
  };
  open();
  // A machine that slept: do not wait for the silence to be noticed.
  addEventListener("online", () => { if (!source) { clearTimeout(timer); open(); } });
  addEventListener("pagehide", () => { clearTimeout(timer); source?.close(); source = null; });
  addEventListener("pageshow", (event) => { if (event.persisted && !source) open(); });
}

/** The state of the daemon, in the header. */
export function daemon(state) {
  const element = $(".daemonstate");
  element.dataset.daemon = state;
  put(element, state);
}

/** Whether the daemon is there and does not know us any more. */
async function loggedOut() {
  try {
    return (await fetch("/data/use")).status === 401;
  } catch {
    return false;
  }
}
