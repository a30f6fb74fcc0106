// Small helpers. Text only ever enters the page as a text node, and addresses
// only as http, https or mailto.

// el makes an element. Properties go to attributes; children are nodes or text.
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// link makes a link where the address is one that may be opened, else plain text.
export function link(url, ...children) {
  const href = safeURL(url);
  if (!href) return el("span", {}, ...children);
  return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

export function safeURL(url) {
  try {
    const u = new URL(String(url));
    return ["http:", "https:", "mailto:"].includes(u.protocol) ? u.href : "";
  } catch {
    return "";
  }
}

const two = (n) => String(n).padStart(2, "0");
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

// tsDate turns a message's ts into a Date.
export const tsDate = (ts) => new Date(parseFloat(ts) * 1000);

export const clock = (d) => `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
export const day = (d) => `${days[d.getUTCDay()]}, ${d.getUTCDate()} ${months[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
export const fullTime = (d) => `${day(d)}, ${clock(d)}:${two(d.getUTCSeconds())} UTC`;

// formatDate writes a Slack date, such as "{date_short} {time}", in UTC.
export function formatDate(seconds, format, fallback) {
  const d = new Date(seconds * 1000);
  if (Number.isNaN(d.getTime())) return fallback;
  const month = months[d.getUTCMonth()];
  const long = day(d);
  const short = `${d.getUTCDate()} ${month.slice(0, 3)} ${d.getUTCFullYear()}`;
  const medium = `${d.getUTCDate()} ${month} ${d.getUTCFullYear()}`;
  const parts = {
    date_num: `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`,
    date_slash: `${two(d.getUTCDate())}/${two(d.getUTCMonth() + 1)}/${d.getUTCFullYear()}`,
    date: medium, date_pretty: medium,
    date_short: short, date_short_pretty: short,
    date_long: long, date_long_full: long, date_long_pretty: long, day_divider_pretty: long,
    time: `${clock(d)} UTC`,
    time_secs: `${clock(d)}:${two(d.getUTCSeconds())} UTC`,
    ago: ago(d),
  };
  return format.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(parts, name) ? parts[name] : whole));
}

// ago says how long something is past, for replies.
export function ago(d) {
  const s = Math.max(0, (Date.now() - d.getTime()) / 1000);
  if (s < 60) return "just now";
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}
