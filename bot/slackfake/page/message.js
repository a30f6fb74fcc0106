// One message as a node.
import { el, tsDate, clock, fullTime, ago } from "./dom.js";
import { blocks, attachments } from "./blocks.js";
import { mrkdwn, emojiNode } from "./mrkdwn.js";
import { store, send } from "./store.js";
import { emoji } from "./emoji.js";

// avatar draws who wrote: the bot's tree, or a person's initials.
export function avatar(user) {
  if (user?.bot) return el("img", { class: "avatar", src: "/page/tapio.svg", alt: "", width: 36, height: 36 });
  const name = user?.title || user?.name || "?";
  const initials = name.split(/\s+/).slice(0, 2).map((w) => w[0] || "").join("").toUpperCase();
  let hue = 0;
  for (const ch of user?.id || name) hue = (hue * 31 + ch.codePointAt(0)) % 6;
  return el("span", { class: `avatar person hue-${hue}`, "aria-hidden": "true" }, initials);
}

// whoFor resolves mentions. open(channel) shows a channel.
export function whoFor(open) {
  return {
    user(id, label) {
      const name = label || store.users.get(id)?.name || id;
      return el("span", { class: id === store.me ? "mention me" : "mention" }, "@" + name.replace(/^@/, ""));
    },
    group(id, label) {
      return el("span", { class: "mention" }, "@" + (label || id).replace(/^@/, ""));
    },
    channel(id, label) {
      const c = store.channels.get(id);
      const name = "#" + (c?.name || label || id).replace(/^#/, "");
      if (!c) return el("span", { class: "mention" }, name);
      return el("button", { class: "mention to-channel", type: "button", onclick: () => open(id) }, name);
    },
  };
}

// draw makes the node of a message. options: place ("channel" or "thread"),
// openThread(message), openChannel(id), problem(text).
export function draw(m, options) {
  const user = store.users.get(m.user);
  const when = tsDate(m.ts);
  const who = whoFor(options.openChannel);
  const ctx = {
    who,
    act: async (action) => options.problem(await send("/page/click", { channel: m.channel, ts: m.ts, ...action })),
  };
  const body = el("div", { class: "body" });
  if (m.ephemeral) body.append(el("p", { class: "flag" }, eyes(), "Only visible to you"));
  if (m.broadcast) body.append(el("p", { class: "flag" }, options.place === "channel" ? "replied to a thread" : "also sent to the channel"));
  body.append(el("div", { class: "by" },
    el("span", { class: "name" }, user?.title || user?.name || m.user),
    user?.bot ? el("span", { class: "badge" }, "APP") : null,
    el("time", { datetime: when.toISOString(), title: fullTime(when) }, clock(when)),
    m.edited ? el("span", { class: "edited", title: `Edited ${fullTime(tsDate(m.edited))}` }, "edited") : null));
  if (m.tombstone) {
    body.append(el("p", { class: "tombstone" }, m.text));
  } else {
    if (m.blocks?.length) body.append(blocks(m.blocks, ctx));
    else if (m.text) body.append(el("div", { class: "text" }, mrkdwn(m.text, who)));
    if (m.attachments?.length) body.append(attachments(m.attachments, ctx));
  }
  if (m.reactions?.length) {
    body.append(el("div", { class: "reactions" }, ...m.reactions.map((r) =>
      el("span", { class: "reaction" }, emoji(r.name) ? emojiNode(r.name) : `:${r.name}:`, ` ${r.count}`))));
  }
  if (options.place === "channel") body.append(...threadButton(m, options));
  return el("article", {
    class: "message" + (m.ephemeral ? " ephemeral" : ""), id: `${options.place}-${m.ts}`, "data-ts": m.ts,
    "aria-label": `${user?.title || m.user}, ${clock(when)} UTC`,
  }, avatar(user), body);
}

const eyes = () => {
  const node = emojiNode("eyes");
  node.setAttribute("aria-hidden", "true");
  return node;
};

// threadButton leads to the thread: with the number of replies, or from a reply
// that was sent to the channel too.
function threadButton(m, options) {
  if (m.broadcast) {
    return [el("button", { class: "replies", type: "button", onclick: () => options.openThread({ channel: m.channel, ts: m.thread_ts }) }, "View the thread")];
  }
  if (!m.reply_count) return [];
  const n = m.reply_count;
  return [el("button", { class: "replies", type: "button", onclick: () => options.openThread(m) },
    avatar(store.users.get(store.bot)),
    el("strong", {}, `${n} ${n === 1 ? "reply" : "replies"}`),
    el("span", { class: "last" }, `Last reply ${m.latest_reply ? ago(tsDate(m.latest_reply)) : ""}`),
    el("span", { class: "open", "aria-hidden": "true" }, "›"))];
}
