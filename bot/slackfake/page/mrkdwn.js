// Slack's mrkdwn as nodes. What Slack escapes (&amp; &lt; &gt;) is turned back
// into text; nothing here ever parses HTML.
import { el, link, safeURL, formatDate } from "./dom.js";
import { emoji } from "./emoji.js";

const decode = (s) => s.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");

// Placeholders for finished nodes, from Unicode's private use area. Characters
// of that area in a message are dropped first.
const first = 0xe000;
const placeholder = /[\ue000-\uf8ff]/;
const placeholders = /[\ue000-\uf8ff]/g;
const maxNodes = 0xf8ff - first;

// mrkdwn returns the nodes of a text. who resolves mentions:
// {user(id), channel(id), group(id)} each give a node.
export function mrkdwn(text, who) {
  const out = document.createDocumentFragment();
  const parts = text.replace(placeholders, "").split(/```/);
  if (parts.length % 2 === 0) parts.push(parts.splice(-2).join("```")); // an odd fence is text
  parts.forEach((part, i) => {
    if (i % 2 === 1) {
      out.append(el("pre", {}, el("code", {}, decode(plainEntities(part.replace(/^\n/, "").replace(/\n$/, ""))))));
      return;
    }
    if (i > 0) part = part.replace(/^\n/, "");
    if (i + 1 < parts.length) part = part.replace(/\n$/, "");
    if (part) lines(part, who, out);
  });
  return out;
}

// lines writes text line by line and gathers quoted lines.
function lines(text, who, out) {
  let quote = null;
  text.split("\n").forEach((line, i, all) => {
    const m = /^(?:&gt;|>)\s?/.exec(line);
    if (m) {
      quote = quote || out.appendChild(el("blockquote"));
      if (quote.hasChildNodes()) quote.append(el("br"));
      quote.append(inline(line.slice(m[0].length), who));
      return;
    }
    if (i > 0 && !quote) out.append(el("br"));
    quote = null;
    if (line || i + 1 < all.length) out.append(inline(line, who));
  });
}

// inline writes one line: code and entities first, as they hide the marks in
// them, then bold, italic and strike.
function inline(text, who) {
  const nodes = [];
  const keep = (node) => {
    if (nodes.length > maxNodes) return "";
    nodes.push(node);
    return String.fromCharCode(first + nodes.length - 1);
  };
  const line = text
    .replace(/`([^`\n]+)`/g, (_, code) => keep(el("code", {}, decode(plainEntities(code)))))
    .replace(/<([^<>\n]+)>/g, (_, body) => keep(entity(body, who)))
    .replace(/:([a-z0-9_+-]+):/g, (whole, name) => (emoji(name) ? keep(emojiNode(name)) : whole));
  return styled(line, nodes);
}

// A mark opens at a boundary before a character that is no space, and closes
// after one that is no space before a boundary.
const mark = /(^|[^\p{L}\p{N}*_~])([*_~])(?=\S)([^\n]{0,1000}?\S)\2(?![\p{L}\p{N}])/u;
const markTags = { "*": "strong", _: "em", "~": "s" };

function styled(text, nodes) {
  const out = document.createDocumentFragment();
  let rest = text;
  for (let m = mark.exec(rest); m; m = mark.exec(rest)) {
    plain(rest.slice(0, m.index) + m[1], nodes, out);
    out.append(el(markTags[m[2]], {}, styled(m[3], nodes)));
    rest = rest.slice(m.index + m[0].length);
  }
  plain(rest, nodes, out);
  return out;
}

function plain(text, nodes, out) {
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    if (i < text.length && !placeholder.test(text[i])) continue;
    if (i > from) out.append(decode(text.slice(from, i)));
    if (i < text.length) out.append(nodes[text.charCodeAt(i) - first] || "");
    from = i + 1;
  }
}

// entity writes what stands between < and >.
function entity(body, who) {
  const bar = body.indexOf("|");
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? "" : decode(body.slice(bar + 1));
  if (target.startsWith("@")) return who.user(target.slice(1), label);
  if (target.startsWith("#")) return who.channel(target.slice(1), label);
  if (target.startsWith("!subteam^")) return who.group(target.slice(9), label);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return broadcast(target.slice(1), label);
  const url = decode(target);
  if (!label && !safeURL(url)) return document.createTextNode(`<${decode(body)}>`);
  return link(url, ...(label ? [emojiText(label)] : [url]));
}

function date(target, fallback) {
  const [, seconds, format, url] = target.split("^");
  const text = format ? formatDate(Number(seconds), decode(format), fallback) : fallback;
  const node = el("time", { title: fallback }, text);
  return url ? link(decode(url), node) : node;
}

// broadcast writes @here, @channel and @everyone.
export function broadcast(range, label) {
  return el("span", { class: "mention broadcast" }, "@" + (label || range).replace(/^@/, ""));
}

// plainEntities writes links inside code as Slack does: by their label.
const plainEntities = (s) => s.replace(/<([^<>|\n]+)\|([^<>\n]+)>/g, "$2").replace(/<((?:https?|mailto):[^<>\n]+)>/g, "$1");

// emojiNode writes an emoji for eyes and for screen readers.
export function emojiNode(name) {
  return el("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:` }, emoji(name));
}

// emojiText writes plain text in which emoji names count.
export function emojiText(text) {
  const out = document.createDocumentFragment();
  let from = 0;
  for (const m of text.matchAll(/:([a-z0-9_+-]+):/g)) {
    if (!emoji(m[1])) continue;
    out.append(text.slice(from, m.index), emojiNode(m[1]));
    from = m.index + m[0].length;
  }
  out.append(text.slice(from));
  return out;
}
