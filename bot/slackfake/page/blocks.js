// Block Kit as nodes. A block or element of a kind that is not known shows its
// kind, so that nothing goes missing unseen.
import { el, link, formatDate } from "./dom.js";
import { mrkdwn, broadcast, emojiNode, emojiText } from "./mrkdwn.js";
import { emoji } from "./emoji.js";
import { button, menu, select } from "./controls.js";

const list = (v) => (Array.isArray(v) ? v : []);
const str = (v) => (typeof v === "string" ? v : "");

// blocks returns the nodes of a message's blocks. ctx is {who, act(action)}.
export function blocks(all, ctx) {
  const out = document.createDocumentFragment();
  for (const b of list(all)) {
    const draw = Object.hasOwn(kinds, b.type) ? kinds[b.type] : unknown;
    out.append(draw(b, { ...ctx, block: b.block_id }));
  }
  return out;
}

// attachments returns the nodes of a message's attachments.
export function attachments(all, ctx) {
  const out = document.createDocumentFragment();
  for (const a of list(all)) {
    const box = el("div", { class: "attachment" });
    const color = namedColors[a.color] || str(a.color).replace(/^(?=[0-9a-f]{6}$)/i, "#");
    if (/^#[0-9a-f]{6}$/i.test(color)) box.style.setProperty("--bar", color);
    if (a.pretext) out.append(el("div", { class: "pretext" }, mrkdwn(str(a.pretext), ctx.who)));
    if (a.title) box.append(el("div", { class: "attachment-title" }, a.title_link ? link(a.title_link, str(a.title)) : str(a.title)));
    if (a.text) box.append(el("div", {}, mrkdwn(str(a.text), ctx.who)));
    if (list(a.fields).length) {
      box.append(fields(list(a.fields).map((f) => {
        const d = el("div", {}, el("strong", {}, str(f.title)), el("br"));
        d.append(mrkdwn(str(f.value), ctx.who));
        return d;
      })));
    }
    box.append(blocks(a.blocks, ctx));
    if (a.footer) box.append(el("div", { class: "context" }, str(a.footer)));
    if (!box.hasChildNodes()) box.append(str(a.fallback));
    out.append(box);
  }
  return out;
}

const namedColors = { good: "#2eb886", warning: "#daa038", danger: "#a30200" };

// textNode writes a text object.
function textNode(t, ctx) {
  if (!t || typeof t !== "object") return document.createDocumentFragment();
  return t.type === "mrkdwn" ? mrkdwn(str(t.text), ctx.who) : emojiText(str(t.text));
}

const fields = (nodes) => el("div", { class: "fields" }, ...nodes);

const kinds = {
  section(b, ctx) {
    const body = el("div", { class: "section-body" });
    if (b.text) body.append(el("div", { class: "text" }, textNode(b.text, ctx)));
    if (list(b.fields).length) body.append(fields(list(b.fields).map((f) => el("div", {}, textNode(f, ctx)))));
    const box = el("div", { class: "section" }, body);
    if (b.accessory) box.append(el("div", { class: "accessory" }, control(b.accessory, ctx)));
    return box;
  },
  header: (b, ctx) => el("h2", { class: "block-header" }, textNode(b.text, ctx)),
  divider: () => el("hr"),
  context: (b, ctx) =>
    el("div", { class: "context" }, ...list(b.elements).map((e) => el("span", {}, e.type === "image" ? imageNote(e) : textNode(e, ctx)))),
  actions: (b, ctx) => el("div", { class: "actions" }, ...list(b.elements).map((e) => control(e, ctx))),
  rich_text: (b, ctx) => el("div", { class: "rich-text" }, ...list(b.elements).map((e) => rich(e, ctx))),
  table,
  image: (b) => el("div", { class: "context" }, imageNote(b)),
};

const unknown = (b) => el("div", { class: "unknown" }, `(a block of type “${str(b.type)}” is not shown here)`);

// imageNote stands for an image: the page loads nothing from elsewhere.
const imageNote = (b) => el("span", { class: "image-note" }, `[image: ${str(b.alt_text)}]`);

function control(e, ctx) {
  switch (e.type) {
    case "button": return button(e, ctx);
    case "overflow": return menu(e, ctx);
    case "static_select": return select(e, ctx);
    case "image": return imageNote(e);
    default: return unknown(e);
  }
}

// rich writes one element of a rich text block.
function rich(e, ctx) {
  switch (e.type) {
    case "rich_text_section":
      return el("div", { class: "text" }, ...list(e.elements).map((x) => span(x, ctx)));
    case "rich_text_quote":
      return el("blockquote", {}, ...list(e.elements).map((x) => span(x, ctx)));
    case "rich_text_preformatted":
      return el("pre", {}, el("code", {}, ...list(e.elements).map((x) => span(x, ctx))));
    case "rich_text_list": {
      const indent = Math.min(Math.max(Number(e.indent) || 0, 0), 8);
      const ordered = e.style === "ordered";
      const start = ordered && Number(e.offset) > 0 ? Number(e.offset) + 1 : undefined;
      return el(ordered ? "ol" : "ul", { class: `indent-${indent}`, start },
        ...list(e.elements).map((x) => el("li", {}, ...list(x.elements).map((y) => span(y, ctx)))));
    }
    default:
      return unknown(e);
  }
}

// span writes one piece of rich text.
function span(e, ctx) {
  return styled(bare(e, ctx), e.style || {});
}

function bare(e, ctx) {
  switch (e.type) {
    case "text": return document.createTextNode(str(e.text));
    case "link": return link(e.url, str(e.text) || str(e.url));
    case "user": return ctx.who.user(str(e.user_id));
    case "usergroup": return ctx.who.group(str(e.usergroup_id));
    case "channel": return ctx.who.channel(str(e.channel_id));
    case "broadcast": return broadcast(str(e.range));
    case "emoji": return emoji(e.name) ? emojiNode(e.name) : document.createTextNode(`:${str(e.name)}:`);
    case "date": {
      const node = el("time", { title: str(e.fallback) }, formatDate(Number(e.timestamp), str(e.format), str(e.fallback)));
      return e.url ? link(e.url, node) : node;
    }
    case "color": return el("code", {}, str(e.value));
    default: return unknown(e);
  }
}

function styled(node, style) {
  for (const [name, tag] of [["code", "code"], ["strike", "s"], ["italic", "em"], ["bold", "strong"]]) {
    if (style[name]) node = el(tag, {}, node);
  }
  return node;
}

function table(b, ctx) {
  const settings = list(b.column_settings);
  const rows = list(b.rows).map((row, r) =>
    el("tr", {}, ...list(row).map((cell, c) => {
      const s = settings[c] || {};
      const align = ["left", "center", "right"].includes(s.align) ? s.align : "left";
      return el(r === 0 ? "th" : "td", { class: `${align}${s.is_wrapped ? " wrapped" : ""}`, scope: r === 0 && "col" }, cellNode(cell, ctx));
    })));
  return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, ...rows.slice(0, 1)), el("tbody", {}, ...rows.slice(1))));
}

function cellNode(cell, ctx) {
  if (!cell || typeof cell !== "object") return "";
  if (cell.type === "rich_text") return kinds.rich_text(cell, ctx);
  return str(cell.text) || (cell.value === undefined ? "" : String(cell.value));
}

