// Before anything is painted: that there are scripts, and which colours somebody chose.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch { /* it is not kept, then */ }
})();
