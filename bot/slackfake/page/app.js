// The page: which channel and thread are open, what is unread, what is typed.
import { el } from "./dom.js";
import { store, follow, inChannel, inThread, isReply, loadThread, loadOlder, message, send } from "./store.js";
import { draw, avatar } from "./message.js";
import { Pane } from "./pane.js";
import { emojiNode } from "./mrkdwn.js";
import { setUpTheme } from "./themes.js";
import { setUpFaults } from "./faults.js";
import { setUpViews, homeNode } from "./views.js";

const $ = (id) => document.getElementById(id);
let current = ""; // channel ID
let thread = ""; // ts of the open thread's root; "" none
let touched = false; // the person chose something, so the page stops choosing
const unread = new Map(); // channel → messages since it was last looked at

const options = { openThread: (m) => { touched = true; openThread(m.channel, m.ts); }, openChannel: (id) => { touched = true; openChannel(id); }, problem };
const channelPane = new Pane($("channel-scroll"), $("messages"), $("jump"), (m) => draw(m, { ...options, place: "channel" }), emptyChannel);
const threadPane = new Pane($("thread-scroll"), $("thread-messages"), null, (m) => draw(m, { ...options, place: "thread" }));

const showViews = setUpViews($("modal"), () => {
  if (!$("home").hidden) $("home-body").replaceChildren(homeNode());
});
setUpTheme($("theme"));
setUpFaults(() => current);
follow({ onState, onChange, onLost: (lost) => { $("offline").hidden = !lost; } });

async function onState() {
  $("team").textContent = store.team;
  const me = store.users.get(store.me);
  $("me-name").textContent = me.title;
  $("me-avatar").replaceChildren(avatar(me));
  $("hints").replaceChildren(...store.hints.map((h) =>
    el("button", { type: "button", class: "hint", onclick: () => run(h) }, h)));
  showStatus();
  showViews();
  const [id, ts] = location.hash.slice(1).split("/").map(decodeURIComponent);
  if (!store.channels.has(current)) current = "";
  const named = [...store.channels.values()].find((c) => c.id === id || c.name === id);
  const busiest = [...store.channels.keys()].find((c) => inChannel(c).length);
  openChannel(current || named?.id || busiest || store.channels.keys().next().value);
  if (thread) openThread(current, thread);
  else if (named && ts) openMessage(named.id, ts);
  else offerThread();
}

function onChange(c) {
  if (c.status) showStatus();
  if (c.views) showViews();
  if (c.channel) {
    showChannels();
    if (c.channel.id === current) showHead();
  }
  const m = c.message;
  if (!m) return;
  const fresh = c.kind === "message" && !c.before;
  if (fresh && !touched && !inChannel(current).length) openChannel(m.channel); // where something happens
  const seen = m.channel === current && document.visibilityState === "visible";
  if (fresh && !seen && !isReply(m)) {
    unread.set(m.channel, (unread.get(m.channel) || 0) + 1);
    showChannels();
  }
  if (m.channel !== current) return;
  if (!isReply(m) || m.broadcast) channelPane.show(inChannel(current), { changed: c.before ? m.ts : "" });
  if (thread && (m.ts === thread || m.thread_ts === thread)) showThread(c.before ? m.ts : "");
  if (fresh) offerThread();
}

// offerThread opens the first thread by itself on a wide screen, once, so that
// a newcomer sees both sides of a story.
function offerThread() {
  if (touched || thread || window.innerWidth < 1180) return;
  const root = inChannel(current).findLast((m) => m.reply_count > 0 && !m.broadcast);
  if (root) openThread(current, root.ts);
}

function showStatus() {
  const { text, fraction } = store.status;
  $("status").hidden = !text;
  $("status-text").textContent = text;
  $("status-bar").hidden = !(fraction >= 0);
  if (fraction >= 0) $("status-bar").value = fraction;
}

function showChannels() {
  const groups = [["Channels", (c) => !c.im], ["Direct messages", (c) => c.im]];
  $("channels").replaceChildren(...groups.flatMap(([title, want]) => {
    const some = [...store.channels.values()].filter(want).sort((a, b) => a.name.localeCompare(b.name));
    if (!some.length) return [];
    return [el("h2", {}, title), el("ul", {}, ...some.map((c) => el("li", {}, channelButton(c))))];
  }));
  const n = [...unread.values()].reduce((a, b) => a + b, 0);
  $("open-sidebar-mark").hidden = !n;
  const c = store.channels.get(current);
  document.title = `${n ? `(${n}) ` : ""}${c ? title(c) : ""} · Tapio`;
}

function channelButton(c) {
  const n = unread.get(c.id) || 0;
  return el("button", {
    type: "button", class: "to-channel-item" + (n ? " unread" : "") + (c.archived ? " archived" : ""),
    "aria-current": c.id === current ? "page" : undefined,
    onclick: () => { touched = true; openChannel(c.id); sidebar(false); },
  }, el("span", { class: "sign", "aria-hidden": "true" }, c.im ? "@" : c.private ? "🔒" : "#"), el("span", { class: "what" }, c.im ? "tapio" : c.name),
  n ? el("span", { class: "count", "aria-label": `${n} unread` }, String(n)) : null);
}

const title = (c) => (c.im ? "Tapio" : `#${c.name}`);

function showHead() {
  const c = store.channels.get(current);
  $("channel-name").textContent = title(c);
  $("channel-topic").textContent = c.archived ? "Archived" : !c.bot ? "Tapio is not a member of this channel" : c.topic || "";
}

// openHome shows what the app shows of itself.
async function openHome() {
  touched = true;
  $("home").hidden = false;
  sidebar(false);
  showViews();
  $("close-home").focus();
  problem(await send("/page/home", {}));
}

function openChannel(id) {
  if (!id) return;
  $("home").hidden = true;
  const moved = id !== current;
  current = id;
  unread.delete(id);
  if (moved && thread && !message(id, thread)) closeThread();
  showChannels();
  showHead();
  $("older").hidden = !store.older[id];
  channelPane.show(inChannel(id), { anew: moved });
}

async function openThread(channel, ts) {
  thread = ts;
  $("thread").hidden = false;
  document.body.classList.add("with-thread");
  $("thread-channel").textContent = title(store.channels.get(channel));
  showThread("", true);
  try {
    await loadThread(channel, ts);
  } catch {
    problem("The thread could not be loaded. Open it once more.");
  }
  if (thread !== ts) return;
  showThread("", true);
  if (touched && window.innerWidth < 800) $("close-thread").focus();
}

function showThread(changed, anew = false) {
  const all = inThread(current, thread);
  if (!all.length) {
    closeThread();
    return;
  }
  threadPane.show(all, { changed, anew, divider: all.length > 1 ? { after: thread, text: `${all.length - 1} ${all.length === 2 ? "reply" : "replies"}` } : null });
}

function closeThread() {
  const root = thread;
  thread = "";
  $("thread").hidden = true;
  document.body.classList.remove("with-thread");
  document.querySelector(`[data-ts="${CSS.escape(root)}"] .replies`)?.focus({ preventScroll: true });
}

// openMessage follows a permalink.
async function openMessage(channel, ts) {
  touched = true;
  await loadThread(channel, ts).catch(() => {});
  const m = message(channel, ts);
  if (!m) return;
  openChannel(channel);
  if (isReply(m) || m.reply_count) await openThread(channel, m.thread_ts || ts);
  const node = document.getElementById(`thread-${ts}`) || document.getElementById(`channel-${ts}`);
  node?.scrollIntoView({ block: "center" });
  node?.classList.add("linked");
}

function emptyChannel() {
  const c = store.channels.get(current);
  return el("div", { class: "empty" }, emojiNode("evergreen_tree"), el("strong", {}, "All quiet"),
    el("p", {}, `When something breaks in the cluster, its story appears in ${c ? title(c) : "this channel"}.`));
}

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
  $("compose-note").hidden = Boolean(text);
}

async function run(text) {
  if (!text.trim()) return;
  touched = true;
  $("compose").setAttribute("aria-busy", "true");
  channelPane.stick();
  problem(await send("/page/command", { channel: current, text }));
  $("compose").removeAttribute("aria-busy");
}

const typed = []; // what was run before, newest last
let at = 0;
$("compose").addEventListener("submit", (ev) => {
  ev.preventDefault();
  const text = $("compose-text").value;
  if (!text.trim()) return;
  typed.push(text);
  at = typed.length;
  $("compose-text").value = "";
  run(text);
});
$("compose-text").addEventListener("keydown", (ev) => {
  if (ev.key !== "ArrowUp" && ev.key !== "ArrowDown") return;
  at = Math.min(Math.max(at + (ev.key === "ArrowUp" ? -1 : 1), 0), typed.length);
  $("compose-text").value = typed[at] || "";
  ev.preventDefault();
});

function sidebar(open) {
  document.body.classList.toggle("with-sidebar", open);
  $("shade").hidden = !open;
  if (open) $("close-sidebar").focus();
}

$("open-sidebar").addEventListener("click", () => sidebar(true));
$("close-sidebar").addEventListener("click", () => { sidebar(false); $("open-sidebar").focus(); });
$("shade").addEventListener("click", () => sidebar(false));
$("close-thread").addEventListener("click", () => { touched = true; closeThread(); });
$("open-home").addEventListener("click", openHome);
$("close-home").addEventListener("click", () => { $("home").hidden = true; });
$("older").addEventListener("click", async () => {
  await loadOlder(current).catch(() => problem("Older messages could not be loaded. Try once more."));
  $("older").hidden = !store.older[current];
  channelPane.show(inChannel(current), { keep: true });
});
document.addEventListener("keydown", (ev) => {
  if (ev.key === "Escape" && document.body.classList.contains("with-sidebar")) sidebar(false);
  else if (ev.key === "Escape" && thread) { touched = true; closeThread(); }
  else if (ev.key === "/" && !ev.target.closest("input, select, textarea")) { ev.preventDefault(); $("compose-text").focus(); }
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && unread.delete(current)) showChannels();
});
