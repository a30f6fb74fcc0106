// Buttons, overflow menus and selects. Each tells the app through ctx.act, which
// returns a promise that ends when the app has acknowledged.
import { el, safeURL } from "./dom.js";
import { emojiText } from "./mrkdwn.js";

const label = (t) => emojiText((t && typeof t.text === "string" && t.text) || "");

// sure asks before an action that wants to be confirmed.
function sure(e) {
  const c = e.confirm;
  if (!c) return true;
  return window.confirm([c.title, c.text].map((t) => (t && t.text) || "").join("\n\n"));
}

async function press(node, e, ctx, value) {
  if (node.getAttribute("aria-busy") || !sure(e)) return;
  node.setAttribute("aria-busy", "true");
  try {
    await ctx.act({ action_id: e.action_id, block_id: ctx.block, value });
  } finally {
    node.removeAttribute("aria-busy");
  }
}

// button makes a button; one with an address is a link that tells the app too.
export function button(e, ctx) {
  const cls = "button" + (e.style === "primary" ? " primary" : e.style === "danger" ? " danger" : "");
  const href = e.url ? safeURL(e.url) : "";
  const node = href
    ? el("a", { class: cls + " opens", href, target: "_blank", rel: "noopener noreferrer", "aria-label": e.accessibility_label }, label(e.text))
    : el("button", { class: cls, type: "button", "aria-label": e.accessibility_label }, label(e.text));
  node.addEventListener("click", () => press(node, e, ctx));
  return node;
}

// select makes a menu of options under a placeholder.
export function select(e, ctx) {
  const node = el("select", { class: "button", "aria-label": (e.placeholder && e.placeholder.text) || "Choose" },
    el("option", { value: "", selected: true }, (e.placeholder && e.placeholder.text) || "Choose…"));
  const option = (o) => el("option", { value: o.value }, (o.text && o.text.text) || "");
  for (const o of e.options || []) node.append(option(o));
  for (const g of e.option_groups || []) {
    node.append(el("optgroup", { label: (g.label && g.label.text) || "" }, ...(g.options || []).map(option)));
  }
  node.addEventListener("change", async () => {
    const value = node.value;
    node.value = "";
    if (value) await press(node, e, ctx, value);
  });
  return node;
}

// menu makes the "more" button with its list.
export function menu(e, ctx) {
  const items = (e.options || []).map((o) =>
    el("button", { type: "button", role: "menuitem", tabindex: "-1" }, label(o.text)));
  const open = el("button", { class: "button more", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": "More actions" }, "⋯");
  const sheet = el("div", { class: "menu", role: "menu", hidden: true }, ...items);
  const box = el("span", { class: "menu-box" }, open, sheet);

  const show = (on) => {
    sheet.hidden = !on;
    open.setAttribute("aria-expanded", String(on));
    if (!on) return;
    const room = open.getBoundingClientRect();
    sheet.classList.toggle("up", room.bottom + sheet.offsetHeight + 70 > window.innerHeight);
    sheet.classList.toggle("left", room.left + sheet.offsetWidth + 12 > window.innerWidth);
    items[0]?.focus();
  };
  open.addEventListener("click", () => show(sheet.hidden));
  box.addEventListener("focusout", (ev) => {
    if (!box.contains(ev.relatedTarget)) show(false);
  });
  box.addEventListener("keydown", (ev) => {
    if (sheet.hidden) return;
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[ev.key];
    if (ev.key === "Escape") {
      ev.stopPropagation();
      show(false);
      open.focus();
    } else if (to !== undefined) {
      ev.preventDefault();
      items[(to + items.length) % items.length]?.focus();
    }
  });
  items.forEach((item, i) =>
    item.addEventListener("click", () => {
      show(false);
      open.focus();
      press(open, e, ctx, e.options[i].value);
    }));
  return box;
}
