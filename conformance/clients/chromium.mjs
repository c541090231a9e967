// The client kinds that run in a page of headless Chromium: the browser bundle of socket.io-client, and the
// browser's own WebSocket. The page comes from another origin than the server under test, so CORS is in play.

import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { nativeNode, node4 } from "./node.mjs";

const home = fileURLToPath(new URL("..", import.meta.url));
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const index = `<!doctype html><meta charset="utf-8"><title>agent</title>
<script src="/socket.io.min.js"></script>
<script type="module">
  import { Agent } from "/clients/agent.mjs";
  import { NativeAgent } from "/clients/native.mjs";
  window.agents = { socketio: new Agent(io), native: new NativeAgent(WebSocket) };
</script>`;

const files = {
  "/socket.io.min.js": "node_modules/socket.io-client-4/dist/socket.io.min.js",
  "/clients/agent.mjs": "clients/agent.mjs",
  "/clients/native.mjs": "clients/native.mjs",
  "/harness/values.mjs": "harness/values.mjs",
};

async function servePage() {
  const server = createServer(async (request, response) => {
    if (request.url === "/") {
      response.setHeader("content-type", "text/html; charset=utf-8");
      return response.end(index);
    }
    const file = files[request.url];
    response.statusCode = file ? 200 : 404;
    response.setHeader("content-type", "text/javascript; charset=utf-8");
    response.end(file ? await readFile(join(home, file)) : "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Starts the browser with a fresh profile and hands out one page that holds both agents. */
async function startPage(which) {
  const server = await servePage();
  const profile = await mkdtemp(join(tmpdir(), "patera-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: flags,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.agents !== undefined);
  return {
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

export const nativeChromium = { ...nativeNode, name: "Chromium's WebSocket", start: () => startPage("native") };
