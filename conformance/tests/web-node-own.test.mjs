// What our browser client has of its own for Node: a WebSocket, HTTP with cookies, the package's entries, msgpack.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { Server as Official } from "socket.io";
import msgpack from "socket.io-msgpack-parser";
import { WebSocketServer } from "ws";
import * as ours from "../../packages/client-web/dist/node.mjs";
import { isMissing, Program } from "../harness/program.mjs";
import { Server } from "../harness/server.mjs";

const heard = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
const options = { forceNew: true, reconnection: false };
const handshake = '0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}';

/** The official server with these options, for `use`; then everything is closed. */
async function withOfficial(settings, use) {
  const http = createServer();
  const official = new Official(http, { serveClient: false, ...settings });
  official.on("connection", (socket) => socket.on("echo", (...args) => args.pop()(...args)));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  try {
    await use(`http://127.0.0.1:${http.address().port}`, http);
  } finally {
    const closed = official.close();
    http.closeAllConnections();
    await closed;
  }
}

/** Socket.IO on a WebSocket server as far as a handshake goes; then `talk` has the connection. */
async function serve(talk, settings = {}) {
  const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1", ...settings });
  sockets.on("connection", (socket, request) => {
    socket.send(handshake);
    socket.once("message", () => {
      socket.send('40{"sid":"s"}');
      talk(socket, request);
    });
  });
  await once(sockets, "listening");
  return {
    url: `http://127.0.0.1:${sockets.address().port}`,
    stop() {
      for (const each of sockets.clients) each.terminate();
      sockets.close();
    },
  };
}

/** Connects to such a server, gives the socket to `use`, and ends both. */
async function against(talk, use, { settings, ...own } = {}) {
  const server = await serve(talk, settings);
  const socket = ours.io(server.url, { ...options, transports: ["websocket"], ...own });
  try {
    return await use(socket);
  } finally {
    socket.disconnect();
    server.stop();
  }
}

describe("the WebSocket of Patera's client for Node", { timeout: 30_000 }, () => {
  test("messages come in fragments, with control frames between them", async () => {
    let answered;
    const talk = (socket) => {
      answered = once(socket, "pong").then(String);
      socket.send("42[", { fin: false });
      socket.ping("are you there");
      socket.send('"a', { fin: false });
      socket.send('",1]');
      socket.send('451-["b",{"_placeholder":true,"num":0}]');
      socket.send(Buffer.of(1, 2), { fin: false });
      socket.send(Buffer.of(3));
    };
    await against(talk, async (socket) => {
      const [a, b] = [heard(socket, "a"), heard(socket, "b")];
      assert.deepEqual(await a, [1]);
      assert.deepEqual([...new Uint8Array((await b)[0])], [1, 2, 3]);
      assert.equal(await answered, "are you there");
    });
  });

  test("large messages are compressed both ways where the server agrees, and only there", async () => {
    const long = "0123456789é".repeat(20_000);
    for (const perMessageDeflate of [{ threshold: 1024, serverNoContextTakeover: true, clientNoContextTakeover: true }, false]) {
      let wire = 0;
      const talk = (socket, request) => {
        const before = request.socket.bytesRead;
        socket.on("message", (message) => {
          wire = request.socket.bytesRead - before;
          socket.send(String(message));
        });
        assert.equal(socket.extensions, perMessageDeflate ? "permessage-deflate" : "");
      };
      const use = async (socket) => {
        await heard(socket, "connect");
        socket.emit("long", long);
        assert.deepEqual(await heard(socket, "long"), [long]);
        socket.emit("short");
        await heard(socket, "short");
      };
      await against(talk, use, { settings: { perMessageDeflate } });
      assert.ok(perMessageDeflate ? wire < 20_000 : wire > 200_000, `${wire} bytes`);
    }
    await against((socket) => assert.equal(socket.extensions, ""), (socket) => heard(socket, "connect"), {
      settings: { perMessageDeflate: true },
      perMessageDeflate: false,
    });
  });

  test("it brings headers, and a subprotocol", async () => {
    const seen = [];
    const talk = (socket, { headers }) => seen.push(headers["x-colour"], headers.cookie, socket.protocol);
    const own = { extraHeaders: { "X-Colour": "green", Cookie: "a=1" }, protocols: ["other", "mine"] };
    await against(talk, (socket) => heard(socket, "connect"), { settings: { handleProtocols: () => "mine" }, ...own });
    assert.deepEqual(seen, ["green", "a=1", "mine"]);
  });

  test("frames that are none end the connection, and so does text that is no UTF-8", async () => {
    for (const [bytes, code] of [
      [Buffer.of(0x83, 0), 1002],
      [Buffer.of(0x81, 0x80, 0, 0, 0, 0), 1002],
      [Buffer.of(0x80, 1, 52), 1002],
      [Buffer.of(0xc1, 1, 52), 1002],
      [Buffer.of(0x81, 2, 0xc3, 0x28), 1007],
      [Buffer.of(0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0), 1009],
    ]) {
      let closed;
      const talk = (socket, request) => {
        closed = once(socket, "close");
        request.socket.write(bytes);
      };
      await against(talk, async (socket) => {
        assert.equal((await heard(socket, "disconnect"))[0], "transport error", bytes.toString("hex"));
        assert.equal((await closed)[0], code, bytes.toString("hex"));
      });
    }
  });

  test("the server's close frame is answered, its code and reason are told", async () => {
    let closed;
    const talk = (socket) => {
      closed = once(socket, "close");
      socket.close(4001, "go away");
    };
    await against(talk, async (socket) => {
      const [reason, { description, context }] = await heard(socket, "disconnect");
      assert.deepEqual([reason, description, context.code, context.reason], ["transport close", "websocket connection closed", 4001, "go away"]);
      assert.equal((await closed)[0], 4001);
    });
  });

  test("an answer that is no WebSocket says so", async () => {
    const http = createServer((_, response) => response.writeHead(503).end());
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const socket = ours.io(`http://127.0.0.1:${http.address().port}`, { ...options, transports: ["websocket"] });
    const [error] = await heard(socket, "connect_error");
    assert.deepEqual([error.message, error.description.message], ["websocket error", "Unexpected server response: 503"]);
    socket.disconnect();
    http.close();
  });
});

describe("Patera's client for Node", { timeout: 30_000 }, () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server.stop());

  test("cookies go with every request once they are set, where they are asked for", () =>
    withOfficial({ cookie: true }, async (url, http) => {
      const cookies = [];
      for (const event of ["request", "upgrade"]) http.prependListener(event, ({ headers }) => cookies.push(headers.cookie));
      for (const withCredentials of [true, false]) {
        const socket = ours.io(url, { ...options, withCredentials });
        const { engine } = socket.io;
        await heard(engine, "upgrade");
        const expected = withCredentials ? `io=${engine.id}` : undefined;
        assert.equal(await socket.emitWithAck("echo", 1), 1);
        const [first, ...others] = cookies.splice(0);
        assert.equal(first, undefined);
        assert.ok(others.length > 1 && others.every((cookie) => cookie === expected), others.join());
        socket.disconnect();
      }
    }));

  test("a process that waits for nothing else ends, where it was told that it may", async () => {
    for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
      const code = `import { io } from ${JSON.stringify(import.meta.resolve("../../packages/client-web/dist/node.mjs"))};
        const keep = setTimeout(() => {}, 20_000);
        const socket = io("${server.url}", { autoUnref: true, transports: ${JSON.stringify(transports)} });
        socket.emit("echo", 1, () => { console.log("answered"); clearTimeout(keep); });`;
      const child = spawn(process.execPath, ["--input-type=module", "--eval", code], { stdio: ["ignore", "pipe", "inherit"] });
      const [output] = await once(child.stdout, "data");
      const [status] = await once(child, "exit");
      assert.deepEqual([String(output).trim(), status], ["answered", 0], transports.join());
    }
  });

  test("a process ends when its client has disconnected", async () => {
    const code = `const { io } = require(${JSON.stringify(createRequire(import.meta.url).resolve("../../packages/client-web/dist/node.cjs"))});
      const socket = io("${server.url}");
      socket.on("connect", () => socket.disconnect());
      socket.on("disconnect", (reason) => console.log(reason));`;
    const child = spawn(process.execPath, ["--input-type=commonjs", "--eval", code], { stdio: ["ignore", "pipe", "inherit"] });
    const [output] = await once(child.stdout, "data");
    assert.deepEqual([String(output).trim(), (await once(child, "exit"))[0]], ["io client disconnect", 0]);
  });

  test("msgpack is an option, with a parser of ours or the official one", () =>
    withOfficial({ parser: msgpack }, async (url) => {
      for (const parser of [await import("../../packages/client-web/dist/msgpack.mjs"), msgpack]) {
        for (const transports of [["polling"], ["websocket"]]) {
          const socket = ours.io(url, { ...options, parser, transports });
          const { bytes, ...rest } = await socket.emitWithAck("echo", { bytes: Uint8Array.of(1, 2), text: "é", n: -1.5, deep: [null] });
          assert.equal(Buffer.isBuffer(bytes), parser !== msgpack, "the official one gives an ArrayBuffer");
          assert.deepEqual([[...Buffer.from(bytes)], rest], [[1, 2], { text: "é", n: -1.5, deep: [null] }]);
          socket.disconnect();
        }
      }
    }));
});

test("what was missed is made up for by `patera serve` too", { skip: isMissing, timeout: 30_000 }, async () => {
  const server = await Program.serve("patera", ["serve", "--port", "0"]);
  const open = () => ours.io(server.url, { forceNew: true, reconnectionDelay: 200, randomizationFactor: 0 });
  const [one, other] = [open(), open()];
  try {
    await Promise.all([heard(one, "connect"), heard(other, "connect")]);
    one.emit("sendMessageToServer", "first");
    await Promise.all([heard(one, "sendMessageToAllClient"), heard(other, "sendMessageToAllClient")]);
    const { id } = one;
    const missed = heard(one, "sendMessageToAllClient");
    one.io.engine.close();
    other.emit("sendMessageToServer", "second");
    assert.match(JSON.stringify(await missed), /second/);
    if (!one.connected) await heard(one, "connect");
    assert.deepEqual([one.recovered, one.id], [true, id]);
  } finally {
    one.disconnect();
    other.disconnect();
    await server.stop();
  }
});
