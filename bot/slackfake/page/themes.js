// The button that goes round the themes: as the system, light, dark.
const order = ["auto", "light", "dark"];
const labels = { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };

export function setUpTheme(button) {
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme || "auto";
    button.textContent = labels[theme];
    button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
  };
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(root.dataset.theme || "auto") + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Storage is switched off: the choice lasts as long as the page.
    }
    show();
  });
  show();
}
