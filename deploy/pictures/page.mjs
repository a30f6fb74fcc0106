// Takes pictures of the workspace page: node page.mjs URL FOLDER VIEWS, where
// VIEWS holds golden views. TOKEN is in the environment; URL/trigger gives a trigger.
import fs from "node:fs";
import path from "node:path";
import { open, sizes } from "./browser.mjs";

const [url, folder, views] = process.argv.slice(2);
const slack = async (method, args) => {
  const r = await fetch(`${url}/api/${method}`, {
    method: "POST", body: JSON.stringify(args),
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.TOKEN}` },
  });
  const out = await r.json();
  if (!out.ok) throw new Error(`${method}: ${out.error} ${JSON.stringify(out.response_metadata)}`);
};
const view = (name) => JSON.parse(fs.readFileSync(path.join(views, `${name}.json`), "utf8"));
fs.mkdirSync(folder, { recursive: true });
const browser = await open();
const problems = [];
try {
  for (const size of sizes) {
    const page = await browser.newPage();
    page.on("pageerror", (e) => problems.push(`${size.name}: ${e.message}`));
    page.on("console", (m) => m.type() === "error" && problems.push(`${size.name}: ${m.text()}`));
    page.on("dialog", (d) => { problems.push(`${size.name}: dialog ${d.message()}`); d.dismiss(); });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: size.theme }, { name: "prefers-reduced-motion", value: "reduce" }]);
    await page.setViewport({ width: size.width, height: size.width < 600 ? 860 : 940, deviceScaleFactor: size.width < 600 ? 2 : 1 });
    const shot = async (name) => {
      const file = path.join(folder, `page-${name}-${size.name}.png`);
      await page.screenshot({ path: file });
      console.log(file);
    };
    await page.goto(`${url}/#incidents`, { waitUntil: "load" });
    await page.waitForSelector("#messages .message");
    if (size.width >= 1180) await page.waitForSelector("#thread .message");
    await shot("incidents");
    if (size.width < 600) {
      await page.click(".replies");
      await page.waitForSelector("#thread .day + .message");
      await shot("thread");
      await page.click("#close-thread");
      await page.click("#open-sidebar");
      await shot("sidebar");
      await page.click("#shade", { offset: { x: 380, y: 400 } });
    }
    for (const name of ["modal-wrong", "modal-mute", "modal-show"]) {
      await slack("views.open", { trigger_id: await (await fetch(`${url}/trigger`)).text(), view: view(name) });
      await page.waitForSelector("#modal[open]");
      await shot(name);
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => !document.querySelector("#modal").open);
    }
    const press = (id) => page.evaluate((id) => document.getElementById(id).click(), id);
    await press("open-faults");
    await page.waitForSelector("#faults[open]");
    await shot("faults");
    await press("close-faults");
    await press("open-home");
    await page.waitForSelector("#home-body .home .button");
    await shot("home");
    await press("close-home");
    for (const channel of ["shop", "quiet", "messages"]) {
      await page.evaluate((c) => [...document.querySelectorAll(".to-channel-item")].find((b) => b.textContent.includes(c)).click(), channel);
      if (channel === "shop") await page.evaluate(() => document.querySelector(".menu-box .button")?.click());
      if (channel === "messages") {
        // The whole channel, as high as it is.
        const height = await page.$eval("#channel-scroll", (s) => s.scrollHeight + 300);
        await page.setViewport({ ...page.viewport(), height, deviceScaleFactor: 1 });
      }
      await shot(channel);
    }
    await page.close();
  }
} finally {
  await browser.close();
}
if (problems.length) {
  console.error(problems.join("\n"));
  process.exit(1);
}
