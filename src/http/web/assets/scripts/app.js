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
    button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
    button.title = button.getAttribute("aria-label");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    // The server puts it into the next page, so that none is painted in other colours first.
    document.cookie = `supervisor_theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}

theme();
pages[document.body.dataset.page]?.();
