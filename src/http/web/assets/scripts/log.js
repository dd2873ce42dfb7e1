// A log as it grows: colours, follow, pause, search, wrap. What is in it is only ever text.

import { $, h, put } from "./dom.js";

const KEPT = 5000;
const ESCAPE = /\x1b(?:\[([0-9;:]*)([ -/]*[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])/g;

/** What the numbers of a colour sequence make of a style. */
function colour(style, numbers) {
  const codes = numbers === "" ? [0] : numbers.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 2) style = { ...style, faint: true };
    else if (code === 3) style = { ...style, italic: true };
    else if (code === 4) style = { ...style, underline: true };
    else if (code === 7) style = { ...style, inverse: true };
    else if (code === 22) style = { ...style, bold: false, faint: false };
    else if (code === 23) style = { ...style, italic: false };
    else if (code === 24) style = { ...style, underline: false };
    else if (code === 27) style = { ...style, inverse: false };
    else if (code === 39) style = { ...style, front: null };
    else if (code === 49) style = { ...style, back: null };
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style = { ...style, front: code % 10 + (code >= 90 ? 8 : 0) };
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style = { ...style, back: code % 10 + (code >= 100 ? 8 : 0) };
    else if (code === 38 || code === 48) {
      const which = code === 38 ? "front" : "back";
      if (codes[at + 1] === 5) { style = { ...style, [which]: indexed(codes[at + 2]) }; at += 2; }
      else if (codes[at + 1] === 2) { style = { ...style, [which]: rgb(codes[at + 2], codes[at + 3], codes[at + 4]) }; at += 4; }
    }
  }
  return style;
}

const byte = (value) => Math.max(0, Math.min(255, Math.trunc(value) || 0));
const rgb = (r, g, b) => `rgb(${byte(r)}, ${byte(g)}, ${byte(b)})`;

/** One of 256 colours: the first 16 are the theme's. */
function indexed(number) {
  const index = byte(number);
  if (index < 16) return index;
  if (index >= 232) { const grey = 8 + (index - 232) * 10; return rgb(grey, grey, grey); }
  const step = (value) => (value === 0 ? 0 : 55 + value * 40);
  const cube = index - 16;
  return rgb(step(Math.floor(cube / 36)), step(Math.floor(cube / 6) % 6), step(cube % 6));
}

function piece(text, style) {
  const names = ["bold", "faint", "italic", "underline", "inverse"].filter((name) => style[name]);
  if (typeof style.front === "number") names.push(`f${style.front}`);
  if (typeof style.back === "number") names.push(`b${style.back}`);
  const coloured = typeof style.front === "string" || typeof style.back === "string";
  if (names.length === 0 && !coloured) return text;
  const span = h("span", { class: names.join(" ") }, text);
  if (typeof style.front === "string") span.style.color = style.front;
  if (typeof style.back === "string") span.style.backgroundColor = style.back;
  return span;
}

/** The pieces of a line, and the style that the next one begins with. */
export function pieces(line, style) {
  const parts = [];
  let last = 0;
  const plain = (text) => {
    const shown = text.replace(/[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
    if (shown) parts.push(piece(shown, style));
  };
  for (const match of line.matchAll(ESCAPE)) {
    plain(line.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] === "m") style = colour(style, match[1]);
  }
  plain(line.slice(last));
  return [parts, style];
}

/** Shows the log at `url` in `root`, which has a `.log`. */
export function follow(root, url, download) {
  const box = $(".log", root);
  let style = {};
  let open = null; // the line that has no end yet
  let rest = "";
  let waiting = [];
  let paused = false;
  let atEnd = true;
  let needle = "";
  let stop = new AbortController();

  const state = h("span", { class: "soft", role: "status" });
  const pause = h("button", { type: "button", "aria-pressed": "false", click: () => setPaused(!paused) }, "Pause");
  const wrap = h("button", {
    type: "button", "aria-pressed": "true",
    click: () => wrap.setAttribute("aria-pressed", String(!box.classList.toggle("nowrap"))),
  }, "Wrap");
  const search = h("input", {
    type: "search", placeholder: "Search", "aria-label": "Search the log",
    input: () => { needle = search.value.toLowerCase(); find(); },
    keydown: (event) => { if (event.key === "Enter") { event.preventDefault(); jump(event.shiftKey ? -1 : 1); } },
  });
  const hits = h("span", { class: "soft", role: "status" });
  const toEnd = h("button", { type: "button", class: "toend", hidden: true, click: () => { atEnd = true; scroll(); } }, "Newest ↓");
  $(".logtools", root).append(pause, wrap, search, hits, h("a", { class: "button", href: download, download: true }, "Download"), state);
  box.after(toEnd);

  let before = 0;
  box.addEventListener("scroll", () => {
    const isNear = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    // Only somebody who goes up leaves the end; lines that come do not.
    if (isNear) atEnd = true; else if (box.scrollTop < before - 1) atEnd = false;
    before = box.scrollTop;
    toEnd.hidden = atEnd;
  });

  function scroll() { if (atEnd) { box.scrollTop = box.scrollHeight; toEnd.hidden = true; } }
  function setPaused(is) {
    paused = is;
    pause.setAttribute("aria-pressed", String(is));
    put(pause, is ? "Resume" : "Pause");
    put(state, is ? "paused" : "following");
    if (!is) { atEnd = true; show(); }
  }
  function matches(line) { return needle !== "" && line.textContent.toLowerCase().includes(needle); }
  function find() {
    let count = 0;
    for (const line of box.children) { const is = matches(line); line.classList.toggle("hit", is); count += is; }
    put(hits, needle ? `${count} line${count === 1 ? "" : "s"}` : "");
  }
  function jump(by) {
    const all = [...box.querySelectorAll(".hit")];
    if (all.length === 0) return;
    const now = all.findIndex((line) => line.classList.contains("now"));
    const next = all[(now === -1 ? (by > 0 ? 0 : all.length - 1) : now + by + all.length) % all.length];
    all[now]?.classList.remove("now");
    next.classList.add("now");
    next.scrollIntoView({ block: "center" });
    put(hits, `${all.indexOf(next) + 1} of ${all.length}`);
  }
  function fill(line, text) {
    // Of what was written over, the last is left.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const [parts, next] = pieces(whole.slice(whole.lastIndexOf("\r") + 1), style);
    line.replaceChildren(...parts);
    if (needle) line.classList.toggle("hit", matches(line));
    return next;
  }
  function show() {
    if (paused || waiting.length === 0) return;
    const lines = (rest + waiting.join("")).split("\n");
    waiting = [];
    rest = lines.pop();
    if (rest.length > 65536) rest = rest.slice(-65536);
    const fresh = document.createDocumentFragment();
    for (const text of lines.slice(-KEPT)) {
      const line = open ?? h("div");
      open = null;
      style = fill(line, text);
      if (!line.isConnected) fresh.append(line);
    }
    if (rest) {
      open ??= h("div");
      fill(open, rest);
      if (!open.isConnected) fresh.append(open);
    }
    box.append(fresh);
    while (box.childElementCount > KEPT) box.firstElementChild.remove();
    if (needle) put(hits, `${box.querySelectorAll(".hit").length} lines`);
    scroll();
  }
  let planned = false;
  function plan() {
    if (planned) return;
    planned = true;
    // A page that nobody looks at is painted when somebody does.
    requestAnimationFrame(() => { planned = false; show(); });
  }
  async function read(signal) {
    for (;;) {
      try {
        const answer = await fetch(url, { signal });
        if (!answer.ok) {
          put(state, answer.status === 404 ? "there is no log file" : `status ${answer.status}`);
        } else {
          box.replaceChildren();
          [open, rest, style, waiting] = [null, "", {}, []];
          put(state, paused ? "paused" : "following");
          const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
          for (;;) {
            const { value, done } = await reader.read();
            if (done) break;
            waiting.push(value);
            // While it is paused, the newest are kept.
            if (waiting.length > 4000) waiting.splice(0, 2000);
            plan();
          }
        }
      } catch { /* it is tried again */ }
      if (signal.aborted) return;
      if ($("html").classList.contains("offline")) put(state, "offline");
      await new Promise((resume) => setTimeout(resume, 2000));
      if (signal.aborted) return;
    }
  }
  read(stop.signal);
  return {
    to(other, otherDownload) {
      stop.abort();
      stop = new AbortController();
      url = other;
      $("a[download]", root).href = otherDownload;
      read(stop.signal);
    },
  };
}
