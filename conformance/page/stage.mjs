// What the page's tests and its screenshot share: the server they speak to, Chromium, and tabs of the page.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const START_MAX = 20_000;
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** The server: the one at `BASE_URL`, or the binary `PATERA`, started on a free port and `restartable`. */
export async function startServer() {
  const { BASE_URL, PATERA } = process.env;
  if (BASE_URL) return { base: new URL(BASE_URL).href, restartable: false, stop: async () => {} };
  if (!PATERA) throw new Error("set PATERA to the path of the binary, or BASE_URL to a server that runs");
  const port = await freePort();
  const base = `http://127.0.0.1:${port}/`;
  let child = await spawnServer(PATERA, port, base);
  process.on("exit", () => child.kill("SIGKILL"));
  const stop = async () => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : null;
    child.kill("SIGKILL");
    await ended;
  };
  const start = async () => { child = await spawnServer(PATERA, port, base); };
  return { base, restartable: true, stop, start };
}

export function launchBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });
}

/**
 * A tab that is connected, under the name `name`, in a browser context of its own (`context` are Playwright's options).
 * What goes wrong in the page is thrown by `tab.close()`.
 */
export async function openTab(browser, base, name, { query = "", prepare = async () => {}, ...context } = {}) {
  const own = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
  const page = await own.newPage();
  const faults = [];
  const { origin } = new URL(base);
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // Chromium reports requests and WebSockets that fail by itself: reconnecting is meant to meet that.
    const isExpected = /WebSocket connection|net::ERR_CONNECTION_(REFUSED|RESET|CLOSED)|net::ERR_EMPTY_RESPONSE/.test(message.text());
    if (message.type() === "error" && !isExpected) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`asked ${request.url()}`);
  });
  await prepare(page);
  await page.goto(base + query);
  await connected(page);
  if (query === "") await logged(page, "upgrade");
  await page.locator("#name").evaluate((field, value) => {
    field.value = value;
    field.dispatchEvent(new Event("change"));
  }, name);
  const close = async () => {
    await own.close();
    if (faults.length > 0) throw new Error(`the page of ${name}: ${faults.join("; ")}`);
  };
  return { page, close, id: () => page.locator("#sid").textContent() };
}

export function connected(page) {
  return page.waitForSelector('#status[data-state="connected"]', { timeout: 20_000 });
}

/** Waits for a line of the log, also for one that is hidden: packets are, until somebody wants them. */
export function logged(page, name, kind = "life", nth = 0) {
  return page.locator(`#log [data-kind="${kind}"][data-name="${name}"]`).nth(nth).waitFor({ state: "attached", timeout: 20_000 });
}

export async function say(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

export async function joinRoom(page, room) {
  await page.fill("#room", room);
  await page.press("#room", "Enter");
}

export function showConversation(page, key) {
  return page.click(`[data-key="${key}"]`);
}

/** Has the page hold a picture for its next message. */
export async function attach(page, file) {
  await page.setInputFiles("#file", file);
  await page.waitForSelector("#attached");
}

/** A PNG of this size, made by the page's browser: the sun over a volcano. Bytes behind it do not change what it shows. */
export async function drawPicture(browser, width, height, bytesAtLeast = 0) {
  const page = await browser.newPage();
  const encoded = await page.evaluate(([width, height]) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const draw = canvas.getContext("2d");
    const sky = draw.createLinearGradient(0, 0, 0, height);
    sky.addColorStop(0, "#1d1233");
    sky.addColorStop(1, "#d2552a");
    draw.fillStyle = sky;
    draw.fillRect(0, 0, width, height);
    draw.fillStyle = "#ffb27a";
    draw.beginPath();
    draw.arc(width * 0.5, height * 0.38, height * 0.14, 0, 7);
    draw.fill();
    draw.fillStyle = "#241a17";
    draw.beginPath();
    for (const [x, y] of [[0, 1], [0.37, 0.42], [0.5, 0.47], [0.63, 0.42], [1, 1]]) draw.lineTo(x * width, y * height);
    draw.fill();
    return canvas.toDataURL("image/png").split(",")[1];
  }, [width, height]);
  await page.close();
  const png = Buffer.from(encoded, "base64");
  return Buffer.concat([png, Buffer.alloc(Math.max(bytesAtLeast - png.length, 0))]);
}

async function spawnServer(binary, port, base) {
  const child = spawn(binary, ["serve", "--port", String(port)], { stdio: ["ignore", "ignore", "inherit"] });
  for (const end = Date.now() + START_MAX; Date.now() < end && child.exitCode === null; await sleep(50)) {
    const answer = await fetch(`${base}healthz`).catch(() => null);
    if (answer?.ok) return child;
  }
  child.kill("SIGKILL");
  throw new Error(`${binary} does not answer on ${base}healthz`);
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
