// Types every golden message and view with Slack's own types: node types.mjs GOLDEN_FOLDER
// The compiler sees structure; lengths and counts are the stand-in's to judge.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const [golden] = process.argv.slice(2);
const files = fs.existsSync(golden) ? fs.readdirSync(golden).filter((f) => f.endsWith(".json")).sort() : [];
if (files.length === 0) {
  console.error(`no golden messages in ${golden}: run the tests of package bot with -update`);
  process.exit(1);
}
const lines = [`import type { HomeView, KnownBlock, MessageAttachment, ModalView } from "@slack/types";`];
files.forEach((f, i) => {
  const m = JSON.parse(fs.readFileSync(path.join(golden, f), "utf8"));
  if (typeof m.text !== "string" || m.text === "") {
    console.error(`${f}: a message needs a text: phones and screen readers read nothing else`);
    process.exit(1);
  }
  lines.push(`// ${f}`);
  lines.push(`export const blocks${i}: KnownBlock[] = ${JSON.stringify(m.blocks ?? [], null, 1)};`);
  (m.attachments ?? []).forEach((a, j) => {
    lines.push(`export const attachment${i}_${j}: MessageAttachment = ${JSON.stringify(a, null, 1)};`);
    lines.push(`export const attached${i}_${j}: KnownBlock[] = ${JSON.stringify(a.blocks ?? [], null, 1)};`);
  });
});
const views = path.join(golden, "views");
const viewFiles = fs.existsSync(views) ? fs.readdirSync(views).filter((f) => f.endsWith(".json")).sort() : [];
if (viewFiles.length === 0) {
  console.error(`no golden views in ${views}: run the tests of package bot with -update`);
  process.exit(1);
}
viewFiles.forEach((f, i) => {
  const v = JSON.parse(fs.readFileSync(path.join(views, f), "utf8"));
  lines.push(`// ${f}`, `export const view${i}: ${v.type === "home" ? "HomeView" : "ModalView"} = ${JSON.stringify(v, null, 1)};`);
});
// A known mistake must be found, else nothing was checked.
const canary = `// @ts-expect-error\nexport const wrong: KnownBlock[] = [{ type: "section", text: { type: "markdown", text: "x" } }];`;
fs.mkdirSync("node_modules/.check", { recursive: true });
fs.writeFileSync("node_modules/.check/messages.ts", [...lines, canary, ""].join("\n"));
const { status } = spawnSync("npx", ["--no-install", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext",
  "--types", "", "node_modules/.check/messages.ts"], { stdio: "inherit" });
if (status === 0) console.log(`${files.length} messages and ${viewFiles.length} views are of Slack's types`);
process.exit(status ?? 1);
