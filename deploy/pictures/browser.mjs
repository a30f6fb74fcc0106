// Opens a headless Chromium without any network of its own.
import fs from "node:fs";
import puppeteer from "puppeteer-core";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function open() {
  const executablePath = places.find((p) => p && fs.existsSync(p));
  if (!executablePath) throw new Error("no Chromium found: install it, or name it in CHROMIUM");
  return puppeteer.launch({
    executablePath,
    headless: true,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--hide-scrollbars"],
  });
}

// sizes are the pictures that are taken of everything.
export const sizes = [
  { name: "light", width: 1440, theme: "light" },
  { name: "dark", width: 1440, theme: "dark" },
  { name: "phone", width: 400, theme: "light" },
];
