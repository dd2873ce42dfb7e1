// The connection to the daemon: what happens there, as it happens.

import { $, put } from "./dom.js";

// The server says something every ten seconds.
const SILENCE = 25000;

/** Listens. `handlers` has a function for each kind of event, and `link(isUp)`. */
export function listen(handlers) {
  let source = null;
  let timer = 0;
  let wait = 500;

  const show = (up) => {
    const link = $("#link");
    link.dataset.link = up ? "on" : "off";
    put(link, up ? "live" : "offline – trying again");
    document.documentElement.classList.toggle("offline", !up);
    handlers.link?.(up);
  };
  const again = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
    show(false);
    timer = setTimeout(open, wait);
    wait = Math.min(wait * 2, 5000);
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
    source.addEventListener("still", alive);
    for (const kind of ["state", "use", "lines"]) {
      source.addEventListener(kind, (event) => {
        alive();
        const data = JSON.parse(event.data);
        if (kind === "state" && data.whole) show(true);
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
