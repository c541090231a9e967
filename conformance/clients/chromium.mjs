// The client kinds that run in a page of headless Chromium: the browser bundle of socket.io-client, and the
// browser's own WebSocket. The page comes from another origin than the server under test, so CORS is in play.

import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { nativeNode, node14, node2, node4 } from "./node.mjs";

const home = fileURLToPath(new URL("..", import.meta.url));
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const bundles = {
  1: "node_modules/socket.io-client-1.4/socket.io.js",
  2: "node_modules/socket.io-client-2/dist/socket.io.js",
  4: "node_modules/socket.io-client-4/dist/socket.io.min.js",
  patera: "../crates/patera/client-dist/socket.io.min.js",
};

/** Where the page finds a file: what is outside of this folder by its path from the root. */
const address = (path) => `/${path.replace("../", "")}`;

const index = (bundle) => `<!doctype html><meta charset="utf-8"><title>agent</title>
<script src="${address(bundles[bundle])}"></script>
<script type="module">
  import { Agent } from "/clients/agent.mjs";
  import { LegacyAgent } from "/clients/legacy.mjs";
  import { NativeAgent } from "/clients/native.mjs";
  window.agents = { socketio: new Agent(io), legacy: new LegacyAgent(io), native: new NativeAgent(WebSocket) };
</script>`;

const files = {
  ...Object.fromEntries(Object.values(bundles).map((path) => [address(path), path])),
  ...Object.fromEntries(["esm", "msgpack"].map((kind) => `../crates/patera/client-dist/socket.io.${kind}.min.js`).map((path) => [address(path), path])),
  "/clients/agent.mjs": "clients/agent.mjs",
  "/clients/legacy.mjs": "clients/legacy.mjs",
  "/clients/native.mjs": "clients/native.mjs",
  "/harness/values.mjs": "harness/values.mjs",
};

async function servePage(bundle) {
  const server = createServer(async (request, response) => {
    if (request.url === "/") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      return response.end(index(bundle));
    }
    const file = files[request.url];
    response.statusCode = file ? 200 : 404;
    response.setHeader("content-type", "text/javascript; charset=utf-8");
    response.end(file ? await readFile(join(home, file)) : "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Starts the browser with a fresh profile and hands out the agent of this name in a page with this bundle. */
async function startPage(which, bundle = 4, quic = "--disable-quic") {
  const server = await servePage(bundle);
  const profile = await mkdtemp(join(tmpdir(), "patera-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [...flags, quic],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", ({ message }) => {
    // Of a WebTransport session that ends, the official client leaves promises to themselves.
    if (!/^The session is closed|STOP_SENDING/.test(message)) console.error(`page: ${message}`);
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => window.agents !== undefined);
  return {
    page,
    origin,
    run: (operation, handle, args) =>
      page.evaluate(([name, ...command]) => window.agents[name].run(...command), [which, operation, handle, args]),
    stop: async () => {
      await context.close();
      server.close();
      server.closeAllConnections();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** A page with this bundle for tests that are written out: `evaluate`, and `stop`. */
export async function chromiumPage(bundle) {
  const { page, origin, stop } = await startPage("socketio", bundle);
  return { origin, page, evaluate: (...command) => page.evaluate(...command), stop };
}

export const chromium4 = {
  ...node4,
  name: "Chromium with socket.io-client 4.8.4",
  // A browser keeps at most six HTTP/1.1 connections to one host, a poll occupies one all the time, and WebSockets
  // open one after the other.
  connectionsMax: 4,
  // The browser decides about headers of WebSocket requests.
  can: new Set([...node4.can].filter((ability) => ability !== "headers")),
  start: () => startPage("socketio"),
};

export const chromiumWeb = { ...chromium4, name: "Chromium with Patera's client", start: () => startPage("socketio", "patera") };

/** Over HTTP/3, where there are no headers and no query, and no proxy of ours that breaks links. */
const overHttp1 = ["headers", "long polls", "notice a refused POST", "query", "reconnect", "recovery", "slow upgrade"];
export const chromium4WebTransport = {
  ...chromium4,
  name: "Chromium with socket.io-client 4.8.4 over WebTransport",
  modes: ["webtransport"],
  can: new Set([...chromium4.can].filter((ability) => !overHttp1.includes(ability))),
  server: { webtransport: true },
  start: () => startPage("socketio", 4, "--enable-quic"),
};

export const nativeChromium = { ...nativeNode, name: "Chromium's WebSocket", start: () => startPage("native") };

const inPage = { connectionsMax: chromium4.connectionsMax };
const withoutHeaders = (can) => new Set([...can].filter((ability) => ability !== "headers"));

export const chromium2 = {
  ...node2,
  ...inPage,
  name: "Chromium with socket.io-client 2.5.0",
  can: withoutHeaders(node2.can),
  start: () => startPage("legacy", 2),
};

export const chromium1 = {
  ...node14,
  ...inPage,
  name: "Chromium with socket.io-client 1.4.4",
  can: withoutHeaders(node14.can),
  troubles: [
    ...node14.troubles,
    { ability: "long polls", modes: ["polling", "upgrade"], why: "it hands each byte of an answer to one call as an argument" },
  ],
  start: () => startPage("legacy", 1),
};

/** Polls by script tags and posts by forms in frames, as browsers without CORS did. */
export const jsonp2 = { ...chromium2, name: "Chromium with socket.io-client 2.5.0 over JSONP", modes: ["jsonp"] };
export const jsonp1 = { ...chromium1, name: "Chromium with socket.io-client 1.4.4 over JSONP", modes: ["jsonp"] };
