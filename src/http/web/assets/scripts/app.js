// Makes the page live. What is there without it stays.

import { $ } from "./dom.js";
import { overview } from "./overview.js";
import { process } from "./process.js";
import { daemonPage } from "./daemon.js";

const pages = { overview, process, daemon: daemonPage };

function theme() {
  const button = $("#theme");
  const root = document.documentElement;
  const isDark = () => {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page alone */ }
    show();
  });
  button.hidden = false;
  show();
}

theme();
pages[document.body.dataset.page]?.();
