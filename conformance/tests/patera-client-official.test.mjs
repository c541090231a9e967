// The Rust client with official servers that are set up otherwise than the one of the scenarios: MessagePack, recovery, compression.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";
import { isMissing, pateraClient } from "../clients/patera.mjs";
import { pack, unpack } from "../harness/values.mjs";

const bytes = Buffer.from([0, 1, 255]);

/** An official server with these options, and the agent. */
class Meeting {
  #handles = 0;

  async start(options) {
    this.http = createServer();
    this.io = new Server(this.http, options);
    this.http.listen(0, "127.0.0.1");
    await once(this.http, "listening");
    this.agent = await pateraClient.start();
  }

  async stop() {
    await this.agent.stop();
    await this.io.close();
  }

  /** A client that is connected: `run(operation, ...args)`. */
  async connect(mode, options = {}) {
    const handle = `client ${(this.#handles += 1)}`;
    const url = `http://127.0.0.1:${this.http.address().port}`;
    await this.agent.run("open", [handle], [pack({ url, mode, namespaces: ["/"], ...options })]);
    const run = async (operation, ...args) => unpack(await this.agent.run(operation, handle, pack(args)));
    await run("life", "connect");
    if (mode === "upgrade") await run("upgraded");
    return run;
  }
}

/** The same in every transport mode. */
function each(name, options, modes, run) {
  describe(name, { skip: isMissing }, () => {
    const meeting = new Meeting();
    before(() => meeting.start(options));
    after(() => meeting.stop());
    for (const mode of modes) {
      test(mode, { timeout: 20_000 }, () => {
        meeting.io.removeAllListeners("connection");
        return run(meeting, mode);
      });
    }
  });
}

function plain(value) {
  if (value instanceof Uint8Array) return Buffer.from(value);
  return Array.isArray(value) ? value.map(plain) : value;
}

each("an official server that speaks MessagePack", { parser: msgpack }, pateraClient.modes, async (meeting, mode) => {
  const values = ["é", 1, -1, 1.5, 2 ** 40, true, null, bytes, [bytes, []], { a: { b: "c" } }];
  meeting.io.on("connection", (socket) => {
    socket.on("echo", (...args) => args.pop()(...args));
    socket.on("ask me", async (ack) => ack(await socket.timeout(5_000).emitWithAck("question", ...values)));
    socket.emit("welcome", ...values);
  });
  const run = await meeting.connect(mode, { parser: "msgpack", replies: { question: "echo" } });
  assert.deepEqual(plain(await run("next", "welcome")), plain(values));
  assert.deepEqual(plain(await run("call", "echo", ...values)), plain(values));
  assert.deepEqual(await run("call", "ask me"), ["é"]);
});

const recovery = { connectionStateRecovery: {} };
each("an official server that recovers connections", recovery, pateraClient.modes, async (meeting, mode) => {
  const { io } = meeting;
  const connected = new Promise((resolve) => io.once("connection", resolve));
  const run = await meeting.connect(mode, { reconnection: true });
  const socket = await connected;
  socket.join("room");
  const id = await run("id");
  io.to("room").emit("news", 1);
  assert.equal((await run("next", "news"))[0], 1);
  const again = new Promise((resolve) => io.once("connection", resolve));
  const left = once(socket, "disconnect");
  socket.conn.close(true);
  await left;
  io.to("room").emit("news", 2);
  io.to("room").emit("news", 3, bytes);
  await run("life", "disconnect");
  await run("life", "connect");
  assert.equal((await again).recovered, true);
  assert.equal(await run("id"), id);
  // Behind its arguments is the offset, as in JavaScript.
  assert.equal((await run("next", "news"))[0], 2);
  assert.deepEqual(plain((await run("next", "news")).slice(0, 2)), [3, bytes]);
  assert.equal(await run("waiting", "news"), 0);
});

const compression = { perMessageDeflate: { threshold: 64 } };
each("an official server that compresses", compression, ["websocket", "upgrade"], async (meeting, mode) => {
  const extensions = new Promise((resolve) => {
    meeting.io.on("connection", (socket) => {
      socket.on("echo", (...args) => args.pop()(...args));
      socket.on("extensions", () => resolve(socket.conn.transport.socket.extensions));
    });
  });
  const run = await meeting.connect(mode, { perMessageDeflate: true });
  const text = "again and again ".repeat(10_000);
  assert.deepEqual(await run("call", "echo", text), [text]);
  await run("emit", "extensions");
  assert.match(await extensions, /permessage-deflate/);
});
