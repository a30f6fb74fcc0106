// Applies the chosen theme before anything is drawn: "light", "dark", or "auto"
// for what the system says. ?theme= overrides it, for pictures.
"use strict";
(function () {
  const asked = new URLSearchParams(location.search).get("theme");
  let theme = asked;
  try {
    theme = theme || localStorage.getItem("theme");
  } catch {
    // Storage is switched off: the system decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
