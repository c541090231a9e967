// Our browser client with servers of the generation before 3.0: the official one of 2.5. Over polling it notices by itself.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, afterEach, before, describe, test } from "node:test";
import SocketIo2 from "socket.io-2";
import { Inbox } from "../clients/agent.mjs";
import { chromiumPage } from "../clients/chromium.mjs";
import { asBytes } from "../harness/values.mjs";
import { io } from "../../packages/client-web/dist/node.mjs";

const bytes = Uint8Array.of(0, 1, 255);

/** Options by how the client connects. */
const ways = {
  "polling, unasked": { transports: ["polling"] },
  "polling and the upgrade, unasked": {},
  polling: { eio: 3, transports: ["polling"] },
  websocket: { eio: 3, transports: ["websocket"] },
  upgrade: { eio: 3 },
};

let http;
let server;
let url;
const sockets = [];

before(async () => {
  http = createServer();
  server = new SocketIo2(http, { pingInterval: 200, pingTimeout: 400, serveClient: false });
  server.on("connection", (socket) => {
    socket.on("echo", (...args) => {
      if (typeof args.at(-1) === "function") args.pop()(...args);
      else socket.emit("echo", ...args);
    });
    socket.on("ask me", (question, ack) => socket.emit("question", question, (...answers) => ack(answers)));
    socket.on("disconnect me", () => socket.disconnect());
    socket.on("cut", () => socket.conn.close());
    socket.emit("welcome", socket.id);
  });
  server.of("/admin").use((socket, next) => {
    if (socket.handshake.query.token === "let me in") return next();
    const error = new Error("not authorised");
    if (socket.handshake.query.why) error.data = { code: 4001 };
    next(error);
  });
  server.of("/admin").on("connection", (socket) => socket.emit("hello", socket.id, socket.handshake.query.token));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  url = `http://127.0.0.1:${http.address().port}`;
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.disconnect();
});

after(() => {
  server.close();
  http.closeAllConnections();
});

/** A socket whose events are waited for by name. */
function open(path, options) {
  const socket = io(url + path, { forceNew: true, reconnectionDelay: 20, ...options });
  const inbox = new Inbox();
  sockets.push(socket);
  socket.onAny((event, ...args) => inbox.put(event, args));
  for (const event of ["connect", "connect_error", "disconnect", "reconnect"]) socket.on(event, (...args) => inbox.put(event, args));
  return { socket, next: (event) => inbox.take(event) };
}

const call = (socket, ...args) => new Promise((resolve) => socket.emit(...args, (...answers) => resolve(answers)));
const plain = (values) => values.map((value) => (asBytes(value) ? Uint8Array.from(asBytes(value)) : value));

for (const [name, options] of Object.entries(ways)) {
  describe(`Patera's client with socket.io 2.5: ${name}`, { timeout: 30_000 }, () => {
    test("events, acknowledgements and bytes go both ways", async () => {
      const { socket, next } = open("", options);
      await next("connect");
      assert.equal(socket.io.engine.opts.eio, 3);
      assert.deepEqual(await next("welcome"), [socket.id]);
      const args = ["é😀", 1, { deep: [null, "\u001e"] }];
      socket.emit("echo", ...args, bytes);
      assert.deepEqual(plain(await next("echo")), [...args, bytes]);
      assert.deepEqual(plain(await call(socket, "echo", bytes, ...args)), [bytes, ...args]);
      socket.once("question", (question, ack) => ack(question, bytes));
      const [[question, answer]] = await call(socket, "ask me", "why");
      assert.deepEqual([question, ...plain([answer])], ["why", bytes]);
      if (!options.transports) while (socket.io.engine.transport.name !== "websocket") await new Promise(setImmediate);
      assert.deepEqual(await call(socket, "echo", "still here"), ["still here"]);
    });

    test("namespaces are joined by their query, and refuse", async () => {
      const { socket, next } = open("/admin", { ...options, auth: (give) => give({ token: "let me in" }) });
      await next("connect");
      assert.deepEqual(await next("hello"), [socket.id, "let me in"]);
      assert.match(socket.id, /^\/admin#/);
      const refused = open("/admin", { ...options, auth: { why: 1 } });
      const [withData] = await refused.next("connect_error");
      assert.deepEqual(withData.data, { code: 4001 });
      assert.equal(refused.socket.active, false);
      const [without] = await open("/admin", options).next("connect_error");
      assert.equal(without.message, "not authorised");
      const [unknown] = await open("/unknown", options).next("connect_error");
      assert.equal(unknown.message, "Invalid namespace");
    });

    test("its own heartbeats keep a silent connection open", async () => {
      const { socket, next } = open("", options);
      await next("connect");
      let pongs = 0;
      await new Promise((resolve) => socket.io.engine.on("pong", () => (pongs += 1) === 4 && resolve()));
      assert.equal(socket.connected, true);
    });

    test("it hears why it was disconnected, and comes back where it was cut", async () => {
      const { socket, next } = open("", options);
      await next("connect");
      socket.emit("cut");
      assert.match((await next("disconnect"))[0], /^transport close$/);
      await next("reconnect");
      await next("connect");
      socket.emit("disconnect me");
      assert.equal((await next("disconnect"))[0], "io server disconnect");
      assert.equal(socket.active, false);
    });
  });
}

test("a WebSocket without the option is told which option it lacks", async () => {
  const [error] = await open("", { transports: ["websocket"], reconnection: false }).next("connect_error");
  assert.match(error.message, /eio: 3/);
});

test("Chromium, by the script, with socket.io 2.5", async () => {
  const page = await chromiumPage("patera");
  try {
    for (const options of [{ eio: 3, transports: ["websocket"] }, {}]) {
      const answer = await page.evaluate(
        ([address, given]) =>
          new Promise((resolve, reject) => {
            const socket = io(address, { forceNew: true, ...given });
            socket.on("connect_error", reject);
            socket.emit("echo", "é", new Uint8Array([1]), (text, data) => {
              const name = socket.io.engine.transport.name;
              socket.disconnect();
              resolve([text, [...new Uint8Array(data)], socket.io.engine.opts.eio, name]);
            });
          }),
        [url, options],
      );
      assert.deepEqual(answer.slice(0, 3), ["é", [1], 3]);
    }
  } finally {
    await page.stop();
  }
});
