// Draws the bot's golden messages and views with a renderer that is not ours and takes
// pictures of them: messages.mjs GOLDEN_FOLDER OUT_FOLDER
//
// The renderer judges looks, not validity: it also draws what Slack refuses.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import React from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { Message } from "slack-blocks-to-jsx";
import { open, sizes } from "./browser.mjs";

const [golden, folder] = process.argv.slice(2);
const style = fs.readFileSync(createRequire(import.meta.url).resolve("slack-blocks-to-jsx/dist/style.css"), "utf8");
const names = { users: [], channels: [], user_groups: [] };
const logo = "data:image/svg+xml," + encodeURIComponent(fs.readFileSync(path.join(golden, "../slackfake/page/tapio.svg"), "utf8"));

const files = fs.existsSync(golden) ? fs.readdirSync(golden).filter((f) => f.endsWith(".json")).sort() : [];
if (files.length === 0) {
  console.error(`no golden messages in ${golden}: run the tests of package bot with -update`);
  process.exit(1);
}

// mend turns what the renderer does not know into what it knows: labels of group
// mentions, number cells, the data table, and "verbatim", which it takes for "no
// formatting" while Slack only stops guessing links and names. It also turns
// escaped text back before it looks for mentions and links, where Slack does not:
// a character without width keeps it from that.
function mend(blocks) {
  return JSON.parse(JSON.stringify(blocks ?? []), (key, v) => {
    if (key === "verbatim") return undefined;
    if (typeof v === "string") return v.replace(/<!subteam\^(\w+)\|[^>]*>/g, "<!subteam^$1>").replace(/&lt;(?=\S)/g, "&lt;\u200b");
    if (v?.type === "raw_number") return { type: "raw_text", text: v.text ?? String(v.value) };
    if (v?.type === "data_table") return { type: "table", rows: v.rows };
    return v;
  });
}

const problems = [];

function draw(name, element) {
  try {
    return renderToStaticMarkup(element);
  } catch (e) {
    problems.push(`${name}: not drawn: ${e.message}`);
    return `<p class="broken">not drawn</p>`;
  }
}

// figure draws one message: its blocks, then each attachment behind its colour.
function figure(file, theme) {
  const name = path.basename(file, ".json");
  const m = JSON.parse(fs.readFileSync(path.join(golden, file), "utf8"));
  const common = { logo, name: "Tapio", data: names, theme, time: new Date(0) };
  const blocks = m.blocks?.length ? m.blocks : [{ type: "section", text: { type: "mrkdwn", text: m.text } }];
  const parts = [draw(name, <Message blocks={mend(blocks)} {...common} />)];
  for (const a of m.attachments ?? []) {
    const color = /^#[0-9a-f]{6}$/i.test(a.color ?? "") ? a.color : "#dddddd";
    const inner = a.blocks?.length ? a.blocks : [{ type: "section", text: { type: "mrkdwn", text: a.text ?? a.fallback ?? "" } }];
    parts.push(`<div class="bar" style="border-color:${color}">${draw(name, <Message withoutWrapper blocks={mend(inner)} {...common} />)}</div>`);
  }
  return `<figure><figcaption>${name}</figcaption>${parts.join("")}</figure>`;
}

// view draws a modal or the App Home: its frame, and its blocks as a message's.
function view(file, theme) {
  const name = path.basename(file, ".json");
  const v = JSON.parse(fs.readFileSync(path.join(golden, file), "utf8"));
  const body = draw(name, <Message withoutWrapper blocks={mend(v.blocks)} logo={logo} name="Tapio" data={names} theme={theme} time={new Date(0)} />);
  const label = (t) => (t?.text ?? "").replace(/[<>&]/g, "");
  const buttons = [v.close && `<span class="close">${label(v.close)}</span>`, v.submit && `<span class="submit">${label(v.submit)}</span>`].filter(Boolean).join("");
  const head = v.type === "modal" ? `<div class="title">${label(v.title)}</div>` : "";
  return `<figure><figcaption>${name}</figcaption><div class="view">${head}<div class="body">${body}</div>${buttons ? `<div class="foot">${buttons}</div>` : ""}</div></figure>`;
}

function sheet(group, { theme, width, columns }) {
  const [ground, soft] = theme === "dark" ? ["#1a1d21", "#ababad"] : ["#ffffff", "#616061"];
  return `<!doctype html><meta charset="utf-8"><style>${style}
    body { margin: 0; background: ${ground}; font-family: Lato, sans-serif; columns: ${columns}; column-gap: 0; }
    figure { margin: 0; padding: 10px 14px 16px; border: solid ${soft}55; border-width: 0 1px 1px 0; width: ${width}px; box-sizing: border-box; break-inside: avoid; }
    figure [class*="--blocks"] *, .bar * { min-width: 0 !important; overflow-wrap: anywhere !important; }
    figure pre { white-space: pre-wrap !important; }
    figcaption { padding-bottom: 8px; font: 12px sans-serif; color: ${soft}; }
    .bar { margin: 2px 0 0 46px; padding-left: 10px; border-left: 4px solid; border-radius: 2px; }
    .view { border: 1px solid ${soft}88; border-radius: 8px; } .view .title { padding: 14px 18px; font-weight: 900; font-size: 18px; color: ${theme === "dark" ? "#fff" : "#1d1c1d"}; border-bottom: 1px solid ${soft}55; }
    .view .body { padding: 4px 18px 14px; } .view .foot { display: flex; justify-content: flex-end; gap: 8px; padding: 12px 18px; border-top: 1px solid ${soft}55; }
    .view .foot span { padding: 7px 14px; border: 1px solid ${soft}; border-radius: 4px; font-weight: 700; font-size: 14px; color: ${soft}; } .view .foot .submit { background: #007a5a; border-color: #007a5a; color: #fff; }
    .broken { color: #d00; }</style>${group.map((f) => (f.startsWith("views/") ? view : figure)(f, theme)).join("")}`;
}

fs.mkdirSync(folder, { recursive: true });
const groups = new Map();
for (const f of files) groups.set(kind(f), [...(groups.get(kind(f)) ?? []), f]);

const viewFolder = path.join(golden, "views");
const viewFiles = fs.existsSync(viewFolder) ? fs.readdirSync(viewFolder).filter((f) => f.endsWith(".json")).sort() : [];
if (viewFiles.length === 0) problems.push(`no golden views in ${viewFolder}`);
groups.set("views", viewFiles.map((f) => `views/${f}`));

function kind(file) {
  const k = file.replace(/[-.].*/, "");
  return ["root", "reply"].includes(k) ? k : "answers";
}

const browser = await open();
try {
  for (const size of sizes) {
    const width = Math.min(size.width, 640); // of one message
    const columns = size.width < 600 ? 4 : 3;
    const page = await browser.newPage();
    await page.setViewport({ width: width * columns, height: 600 });
    for (const [name, group] of groups) {
      await page.setContent(sheet(group, { ...size, width, columns }));
      const file = path.join(folder, `messages-${name}-${size.name}.png`);
      await page.screenshot({ path: file, fullPage: true });
      console.log(file);
      const wide = await page.$$eval("figure", (all) => all.filter((f) => f.scrollWidth > f.clientWidth + 1).map((f) => f.innerText.split("\n")[0]));
      if (wide.length) problems.push(`${file}: wider than the window: ${wide.join(", ")}`);
    }
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(`${files.length} messages, ${viewFiles.length} views`);
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(1);
}
