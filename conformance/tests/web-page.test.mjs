// What our browser client does in a page and nowhere else: each build, workers, files, the network going away, the page too.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createServer } from "node:http";
import { once } from "node:events";
import { Server as Official } from "socket.io";
import msgpack from "socket.io-msgpack-parser";
import { chromiumPage } from "../clients/chromium.mjs";
import { Peers } from "../harness/peers.mjs";
import { corsFor } from "../harness/scenario.mjs";
import { Server } from "../harness/server.mjs";

const modes = [["polling"], ["websocket"], ["polling", "websocket"]];

describe("Patera's client in a page", { timeout: 60_000 }, () => {
  let page;
  let server;
  const peers = new Peers();

  before(async () => {
    page = await chromiumPage("patera");
    server = await Server.start({ cors: corsFor(page) });
  });
  after(async () => {
    peers.closeAll();
    await page?.stop();
    await server?.stop();
  });

  test("the module is the same as the script", async () => {
    const told = await page.evaluate(async (url) => {
      const module = await import("/crates/patera/client-dist/socket.io.esm.min.js");
      const socket = module.io(url, { forceNew: true });
      await new Promise((resolve) => socket.on("connect", resolve));
      const answer = await socket.emitWithAck("echo", "from the module");
      socket.disconnect();
      return [Object.keys(module).sort(), Object.keys(io).sort(), module.default === module.io, answer, module.protocol, io.io === io];
    }, server.url);
    assert.deepEqual(told[1], ["Manager", "Socket", "connect", "io", "protocol"]);
    for (const name of [...told[1], "Fetch", "WebSocket", "XHR", "default"]) assert.ok(told[0].includes(name), name);
    assert.deepEqual(told.slice(2), [true, "from the module", 5, true]);
  });

  test("in a worker, over each transport", async () => {
    const answers = await page.evaluate(
      ([url, all]) =>
        new Promise((resolve, reject) => {
          const code = `importScripts("${location.origin}/crates/patera/client-dist/socket.io.min.js");
            const told = [];
            for (const transports of ${JSON.stringify(all)}) {
              const socket = io("${url}", { forceNew: true, transports });
              socket.emit("echo", "é", new Uint8Array([1]), (text, bytes) => {
                told.push(text + new Uint8Array(bytes)[0]);
                socket.disconnect();
                if (told.length === ${all.length}) postMessage(told);
              });
            }`;
          const worker = new Worker(URL.createObjectURL(new Blob([code])));
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
        }),
      [server.url, modes],
    );
    assert.deepEqual(answers, modes.map(() => "é1"));
  });

  test("files and blobs are sent as bytes, in order with what comes behind them", async () => {
    for (const transports of modes) {
      const told = await page.evaluate(
        async ([url, given]) => {
          const socket = io(url, { forceNew: true, transports: given });
          const told = [];
          socket.on("echo", (name, bytes) => told.push([name, bytes && [...new Uint8Array(bytes)]]));
          socket.emit("echo", "blob", new Blob([new Uint8Array([1, 2]), "é"]));
          socket.emit("echo", "file", new File(["text"], "name.txt"));
          socket.emit("echo", "none");
          const answer = await socket.emitWithAck("echo", { deep: [new Blob([])] });
          socket.disconnect();
          return [...told, answer.deep[0].byteLength];
        },
        [server.url, transports],
      );
      assert.deepEqual(told, [["blob", [1, 2, 195, 169]], ["file", [116, 101, 120, 116]], ["none", undefined], 0], transports.join());
    }
  });

  test("the network that goes away ends the connection at once, and it comes back", async () => {
    const watch = page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = io(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100, transports: ["websocket"] });
          const told = [];
          socket.on("disconnect", (reason, details) => told.push(reason, details?.description));
          socket.on("connect", () => {
            document.title = "connected";
            if (told.length === 0) return;
            resolve([...told]);
            socket.disconnect();
          });
        }),
      server.url,
    );
    await page.page.waitForFunction(() => document.title === "connected");
    await page.page.context().setOffline(true);
    await page.page.context().setOffline(false);
    assert.deepEqual(await watch, ["transport close", "network connection lost"]);
  });

  test("two sockets of a page share its connection", async () => {
    const told = await page.evaluate(async (url) => {
      const [main, chat] = [io(url, { forceNew: false, transports: ["websocket"] }), io(`${url}/chat`)];
      await Promise.all([main, chat].map((socket) => new Promise((resolve) => socket.on("connect", resolve))));
      const told = [main.io === chat.io, main.id !== chat.id];
      main.disconnect();
      told.push(await chat.emitWithAck("echo", "alive"));
      chat.disconnect();
      return told;
    }, server.url);
    assert.deepEqual(told, [true, true, "alive"]);
  });

  test("the build for msgpack talks to a server that uses it", async () => {
    const http = createServer();
    const official = new Official(http, { parser: msgpack, cors: corsFor(page), serveClient: false });
    official.on("connection", (socket) => socket.on("echo", (...args) => args.pop()(...args)));
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    try {
      const told = await page.evaluate(
        async ([url, all]) => {
          const script = document.createElement("script");
          script.src = "/crates/patera/client-dist/socket.io.msgpack.min.js";
          const plain = window.io;
          await new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }) && document.head.append(script));
          const [msgpackIo] = [window.io, (window.io = plain)];
          const told = [];
          for (const transports of all) {
            const socket = msgpackIo(url, { forceNew: true, transports });
            const { bytes, ...rest } = await socket.emitWithAck("echo", { bytes: new Uint8Array([1, 2]), text: "é", n: -1.5, deep: [null] });
            told.push([[...new Uint8Array(bytes)], rest]);
            socket.disconnect();
          }
          return told;
        },
        [`http://127.0.0.1:${http.address().port}`, modes],
      );
      assert.deepEqual(told, modes.map(() => [[1, 2], { text: "é", n: -1.5, deep: [null] }]));
    } finally {
      const closed = official.close();
      http.closeAllConnections();
      await closed;
    }
  });

  test("a page that is left says so where it was asked to", async () => {
    const observer = await peers.socketIo(server.url);
    for (const transports of [["polling"], ["websocket"]]) {
      const id = await page.evaluate(
        async ([url, given]) => {
          const socket = io(url, { forceNew: true, transports: given, closeOnBeforeunload: true });
          await new Promise((resolve) => socket.on("connect", resolve));
          socket.on("disconnect", () => (window.name = "told"));
          return socket.id;
        },
        [server.url, transports],
      );
      await observer.ask("watch", id);
      await page.page.reload();
      const [who, why] = await observer.next("left");
      assert.equal(who, id);
      // A poll that the browser breaks off may be noticed before the goodbye.
      assert.match(why, /^transport (close|error)$/);
      await page.page.waitForFunction(() => window.agents !== undefined);
      assert.equal(await page.evaluate(() => window.name), "", "silently");
    }
  });
});
