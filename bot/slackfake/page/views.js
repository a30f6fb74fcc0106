// The modal that is open, and the App Home: both come from the app as blocks.
import { el } from "./dom.js";
import { blocks } from "./blocks.js";
import { store, send } from "./store.js";
import { whoFor } from "./message.js";

const text = (t) => (t && typeof t.text === "string" && t.text) || "";

// fields makes a form's fields of the input blocks, and the other blocks as in
// a message. initial is what was typed before, by block_id.
function body(view, home, typed) {
  const out = el("div", { class: "view-body" });
  const ctx = { who: whoFor(() => {}), act: (a) => send("/page/view-click", { ...a, home }) };
  for (const b of view.blocks || []) {
    if (b.type !== "input") {
      out.append(blocks([b], ctx));
      continue;
    }
    const e = b.element || {};
    const id = `field-${b.block_id}`;
    out.append(el("div", { class: "field" },
      el("label", { for: id }, text(b.label) + (b.optional ? " (optional)" : "")),
      input(e, id, b, typed),
      view.errors?.[b.block_id] ? el("p", { class: "problem", role: "alert" }, view.errors[b.block_id]) : null,
      b.hint ? el("p", { class: "note" }, text(b.hint)) : null));
  }
  return out;
}

function input(e, id, b, typed) {
  const name = b.block_id;
  const required = !b.optional;
  if (e.type === "static_select") {
    const chosen = typed[name] ?? e.initial_option?.value ?? "";
    const option = (o) => el("option", { value: o.value, selected: o.value === chosen }, text(o.text));
    return el("select", { id, name, required },
      el("option", { value: "" }, text(e.placeholder) || "Choose…"), ...(e.options || []).map(option),
      ...(e.option_groups || []).map((g) => el("optgroup", { label: text(g.label) }, ...(g.options || []).map(option))));
  }
  const props = { id, name, required, maxlength: e.max_length, placeholder: text(e.placeholder), autocomplete: "off" };
  const node = e.multiline ? el("textarea", { ...props, rows: 4 }) : el("input", { ...props, type: "text" });
  node.value = typed[name] ?? e.initial_value ?? "";
  return node;
}

// setUpViews shows modals in a dialog. home is called to draw the App Home.
export function setUpViews(dialog, home) {
  let shown = "";
  let typed = {};
  const close = () => {
    shown = "";
    typed = {};
    if (dialog.open) dialog.close();
  };
  dialog.addEventListener("cancel", (ev) => {
    ev.preventDefault();
    send("/page/view-close", {});
  });
  return () => {
    const view = store.views?.modal;
    home();
    if (!view) {
      close();
      return;
    }
    if (view.id !== shown) typed = {};
    shown = view.id;
    const form = el("form", { method: "dialog" },
      el("h2", {}, view.title), body(view, false, typed),
      el("p", { class: "problem", role: "alert", hidden: true }),
      el("div", { class: "actions view-foot" },
        el("button", { type: "button", class: "button", onclick: () => send("/page/view-close", {}) }, view.close || "Close"),
        view.submit ? el("button", { type: "submit", class: "button primary" }, view.submit) : null));
    form.addEventListener("submit", async (ev) => {
      ev.preventDefault();
      typed = Object.fromEntries(new FormData(form));
      const wrong = await send("/page/view-submit", { values: typed });
      const line = form.querySelector(":scope > .problem");
      line.hidden = !wrong;
      line.textContent = wrong;
    });
    dialog.replaceChildren(form);
    if (!dialog.open) dialog.showModal();
    if (!form.querySelector("input, textarea, select")) { // nothing to fill in: it is read from its top
      form.querySelector("h2").tabIndex = -1;
      form.querySelector("h2").focus();
    }
  };
}

// homeNode is the App Home of the person at the page.
export function homeNode() {
  const view = store.views?.home;
  return el("div", { class: "home" }, view ? body(view, true, {}) : el("p", { class: "note" }, "Tapio has not answered yet."));
}
