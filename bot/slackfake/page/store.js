// What the page knows of the workspace, and how it hears of changes.
import { tsDate } from "./dom.js";

export const store = {
  me: "", bot: "", team: "", hints: [],
  users: new Map(),
  channels: new Map(),
  messages: new Map(), // channel → (ts → message), roots and replies alike
  older: {}, // channel → whether the server has older roots
  status: { text: "", fraction: -1 },
  views: { modal: null, home: null },
};

const byTS = (a, b) => tsDate(a.ts) - tsDate(b.ts) || (a.ts < b.ts ? -1 : 1);

export const isReply = (m) => Boolean(m.thread_ts) && m.thread_ts !== m.ts;

function put(m) {
  if (!store.messages.has(m.channel)) store.messages.set(m.channel, new Map());
  store.messages.get(m.channel).set(m.ts, m);
}

export const message = (channel, ts) => store.messages.get(channel)?.get(ts);

// inChannel lists what the channel pane shows, oldest first.
export function inChannel(id) {
  return [...(store.messages.get(id)?.values() || [])].filter((m) => !isReply(m) || m.broadcast).sort(byTS);
}

// inThread lists a root and its replies, oldest first.
export function inThread(id, ts) {
  return [...(store.messages.get(id)?.values() || [])].filter((m) => m.ts === ts || m.thread_ts === ts).sort(byTS);
}

async function get(path, params = {}) {
  const r = await fetch(`${path}?${new URLSearchParams(params)}`);
  if (!r.ok) throw new Error(`${path}: ${r.status}`);
  return r.json();
}

export async function loadThread(channel, ts) {
  for (const m of await get("/page/thread", { channel, ts })) put(m);
}

export async function loadOlder(channel) {
  const oldest = inChannel(channel).find((m) => !m.ephemeral && !isReply(m));
  const { messages, more } = await get("/page/older", { channel, before: oldest ? oldest.ts : "" });
  messages.forEach(put);
  store.older[channel] = more;
}

// send posts to the server and returns its complaint, or "".
export async function send(path, body) {
  try {
    const r = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!r.ok) return `The page's server refused that: ${r.status}.`;
    return (await r.json()).error || "";
  } catch {
    return "Tapio cannot be reached.";
  }
}

async function loadAll() {
  const s = await get("/page/state");
  Object.assign(store, { me: s.me, bot: s.bot, team: s.team, hints: s.hints || [], older: s.older || {}, status: s.status, views: s.views });
  store.users = new Map(s.users.map((u) => [u.id, u]));
  store.channels = new Map(s.channels.map((c) => [c.id, c]));
  store.messages = new Map();
  s.messages.forEach(put);
}

// apply takes a change in and returns it, with what was there before.
function apply(c) {
  if (c.channel) store.channels.set(c.channel.id, c.channel);
  if (c.status) store.status = c.status;
  if (c.views) store.views = c.views;
  const m = c.message;
  if (!m) return c;
  const before = message(m.channel, m.ts);
  if (c.kind === "delete") store.messages.get(m.channel)?.delete(m.ts);
  else put(m);
  return { ...c, before };
}

// follow keeps the store true. It subscribes first and loads then, so nothing
// falls between. onState is called after each load, onChange after each change,
// onLost(true or false) as the connection goes and comes.
export function follow({ onState, onChange, onLost }) {
  const source = new EventSource("/page/events");
  let waiting = null; // changes that came while the state was being loaded
  const load = async () => {
    waiting = [];
    try {
      await loadAll();
    } catch {
      onLost(true);
      setTimeout(load, 1000);
      return;
    }
    waiting.forEach(apply);
    waiting = null;
    onLost(false);
    onState();
  };
  source.onopen = load;
  source.onmessage = (ev) => {
    const c = JSON.parse(ev.data);
    if (waiting) waiting.push(c);
    else onChange(apply(c));
  };
  source.onerror = () => onLost(true);
}
