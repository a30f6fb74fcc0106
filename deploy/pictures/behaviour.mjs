// Uses the workspace page as a person would and checks what happens:
// node behaviour.mjs URL, with TOKEN in the environment.
import assert from "node:assert/strict";
import { open } from "./browser.mjs";

const [url] = process.argv.slice(2);

async function slack(method, args) {
  const r = await fetch(`${url}/api/${method}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.TOKEN}` },
    body: JSON.stringify(args),
  });
  const out = await r.json();
  assert.ok(out.ok, `${method}: ${out.error}`);
  return out;
}

const browser = await open();
const page = await browser.newPage();
const problems = [];
page.on("pageerror", (e) => problems.push(e.message));
page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
page.on("dialog", (d) => { problems.push(`dialog: ${d.message()}`); d.dismiss(); });
page.on("request", (r) => !r.url().startsWith(url) && problems.push(`request to ${r.url()}`));
const text = (selector) => page.$eval(selector, (n) => n.innerText);
const until = (what, ...args) => page.waitForFunction(what, { timeout: 5000 }, ...args);

try {
  await page.setViewport({ width: 1300, height: 800 });
  await page.goto(`${url}/#shop`, { waitUntil: "load" });
  await until(() => document.querySelector(".empty")?.innerText.includes("All quiet"));

  // A story comes in elsewhere and is shown, as nobody reads anything here. It
  // gets a thread, which opens by itself once.
  const root = await slack("chat.postMessage", {
    channel: "live", text: "plain",
    blocks: [{ type: "section", text: { type: "mrkdwn", text: "*first* <script>alert(1)</script> &lt;img src=x onerror=alert(2)&gt; <javascript:alert(3)|no link>" } },
      { type: "actions", elements: [{ type: "button", action_id: "ack", value: "s9", text: { type: "plain_text", text: "Ack" } },
        { type: "overflow", action_id: "more", options: ["one", "two"].map((t) => ({ text: { type: "plain_text", text: t }, value: t })) }] }],
  });
  await until(() => document.querySelector("#messages .message strong")?.innerText === "first");
  assert.equal(await page.$("#messages script, #messages img:not(.avatar), #messages a"), null, "hostile text became an element");
  await slack("chat.postMessage", { channel: "live", thread_ts: root.ts, text: "a reply" });
  await until(() => document.querySelector("#thread:not([hidden])")?.innerText.includes("a reply"));
  assert.match(await text("#messages .replies"), /1 reply/);

  // Escape closes the thread; it does not come back by itself.
  await page.keyboard.press("Escape");
  await until(() => document.querySelector("#thread").hidden);
  await slack("chat.postMessage", { channel: "live", thread_ts: root.ts, text: "another" });
  await until(() => document.querySelector("#messages .replies").innerText.includes("2 replies"));
  assert.equal(await page.$("#thread:not([hidden])"), null);

  // Buttons and menus, with the keyboard alone.
  await page.focus(`[data-ts="${root.ts}"] .menu-box .button`);
  await page.keyboard.press("Enter");
  await until(() => document.activeElement?.innerText === "one");
  await page.keyboard.press("ArrowDown");
  await until(() => document.activeElement?.innerText === "two");
  await page.keyboard.press("Enter");
  await until(() => document.querySelector(".menu").hidden && !document.querySelector("[aria-busy]"));
  await page.focus(`[data-ts="${root.ts}"] .actions > button`);
  await page.keyboard.press("Enter");
  await until(() => !document.querySelector("[aria-busy]"));
  assert.equal(await page.$("#problem:not([hidden])"), null, "a click was not delivered");

  // An edit lights the message up and says so.
  await slack("chat.update", { channel: root.channel, ts: root.ts, text: "second" });
  await until(() => document.querySelector("#messages .message.lit")?.innerText.includes("second"));
  assert.ok(await page.$("#messages .edited"));

  // Commands: answered for one person, refused with words.
  await page.keyboard.press("/");
  await until(() => document.activeElement.id === "compose-text");
  await page.keyboard.type("/tapio list");
  await page.keyboard.press("Enter");
  await until(() => document.querySelector("#messages .ephemeral")?.innerText.includes("answer to list"));
  await page.keyboard.type("hello");
  await page.keyboard.press("Enter");
  await until(() => document.querySelector("#problem").innerText.includes("slash"));
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.$eval("#compose-text", (n) => n.value), "hello");

  // Another channel has news: a mark, gone once it is looked at.
  await slack("chat.postMessage", { channel: "shop", text: "over here" });
  await until(() => document.querySelector(".to-channel-item.unread")?.innerText.includes("shop"));
  assert.match(await page.title(), /^\(1\) #live/);
  await page.click(".to-channel-item.unread");
  await until(() => !document.querySelector(".to-channel-item.unread") && document.querySelector("#messages").innerText.includes("over here"));

  // A permalink leads to the message, in its thread.
  const { permalink } = await slack("chat.getPermalink", { channel: root.channel, message_ts: root.ts });
  await page.goto(permalink, { waitUntil: "load" });
  await until(() => document.querySelector("#thread .linked")?.innerText.includes("second"));

  // Somebody who reads older messages is not torn away.
  for (let i = 0; i < 30; i++) await slack("chat.postMessage", { channel: "shop", text: `line ${i}` });
  await page.evaluate(() => [...document.querySelectorAll(".to-channel-item")].find((b) => b.innerText.includes("shop")).click());
  await until(() => document.querySelector("#messages").innerText.includes("line 29"));
  await page.$eval("#channel-scroll", (n) => n.scrollTo(0, 0));
  await until(() => document.querySelector("#channel-scroll").scrollTop === 0);
  await slack("chat.postMessage", { channel: "shop", text: "newest" });
  await until(() => !document.querySelector("#jump").hidden);
  assert.equal(await page.$eval("#channel-scroll", (n) => n.scrollTop), 0);
  await page.click("#jump");
  await until(() => document.querySelector("#jump").hidden);

  // Theme.
  await page.click("#theme");
  await page.click("#theme");
  assert.equal(await page.$eval("html", (n) => n.dataset.theme), "dark");
} catch (e) {
  problems.push(e.stack);
} finally {
  await browser.close();
}
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log("the page behaves");
