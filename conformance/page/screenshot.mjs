// Makes docs/images/demo.png: two tabs of the demo page talking to each other, side by side.
//
//   PATERA=target/release/patera node conformance/page/screenshot.mjs [file]

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { attach, drawPicture, joinRoom, launchBrowser, logged, openTab, say, showConversation, startServer } from "./stage.mjs";

const file = process.argv[2] ?? fileURLToPath(new URL("../../docs/images/demo.png", import.meta.url));
const viewport = { width: 760, height: 760 };
const server = await startServer();
const browser = await launchBrowser();
try {
  const loki = await openTab(browser, server.base, "Loki", { viewport, deviceScaleFactor: 1.5, colorScheme: "light" });
  const pele = await openTab(browser, server.base, "Pele", { viewport, deviceScaleFactor: 1.5, colorScheme: "dark" });
  await play(loki, pele);
  await mkdir(dirname(file), { recursive: true });
  await sideBySide([await loki.page.screenshot(), await pele.page.screenshot()]);
  await loki.close();
  await pele.close();
  console.log(file);
} finally {
  await browser.close();
  await server.stop();
}

async function play(loki, pele) {
  const seen = (tab, text) => tab.page.locator("#messages .text", { hasText: text }).first().waitFor();
  for (const { page } of [loki, pele]) await joinRoom(page, "lobby");
  await showConversation(pele.page, "everyone:");
  await showConversation(loki.page, "everyone:");
  await say(loki.page, "Hello from the first tab.");
  await seen(pele, "first tab");
  await say(pele.page, "And from the second. Any Socket.IO client reads this, and any plain WebSocket 🌋");
  await seen(loki, "second");
  await pele.page.locator(".message button.name").last().click();
  await say(pele.page, "This one is just for you, Loki.");
  await pele.page.locator('.receipt[data-state="there"]').waitFor();
  await showConversation(loki.page, `direct:${await pele.id()}`);
  await say(loki.page, "Received. Nobody else did.");
  await seen(pele, "Received");
  await showConversation(loki.page, "everyone:");

  await loki.page.click("#plug");
  await logged(loki.page, "connect_failed");
  await showConversation(pele.page, "everyone:");
  const picture = { name: "volcano.png", mimeType: "image/png", buffer: await drawPicture(browser, 480, 260) };
  await attach(pele.page, picture);
  await say(pele.page, "You are away; this waits for you:");
  await seen(pele, "this waits");
  await loki.page.click("#plug");
  await logged(loki.page, "recovered");
  await logged(loki.page, "upgrade", "life", 1);
  await say(pele.page, "And now you have it.");
  for (const tab of [loki, pele]) await seen(tab, "you have it");
  await loki.page.waitForFunction(() => /^00:00:0[1-9]$/.test(document.getElementById("uptime").textContent));
}

/** The two pictures next to each other, each in a plain frame. */
async function sideBySide(pictures) {
  const page = await browser.newPage({ viewport: { width: 1568, height: 792 }, deviceScaleFactor: 1.5 });
  const images = pictures.map((png) => `<img src="data:image/png;base64,${png.toString("base64")}">`);
  await page.setContent(`<style>
    body { display: flex; gap: 16px; margin: 0; padding: 16px; background: #e9e4de }
    img { width: 760px; height: 760px; border-radius: 12px; box-shadow: 0 1px 3px #0003, 0 8px 24px #0002 }
  </style>${images.join("")}`);
  await page.screenshot({ path: file, omitBackground: true });
}
