// Engine.IO alone: the official engine.io-client, and packets by hand over a raw WebSocket.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { createRequire } from "node:module";
import { Socket } from "engine.io-client";
import { Polling } from "../harness/http.mjs";
import { slowWebSockets } from "../harness/proxy.mjs";
import { isReference, Server } from "../harness/server.mjs";

const require = createRequire(import.meta.url);
const { Socket: OldSocket } = createRequire(require.resolve("socket.io-client-2"))("engine.io-client");

const limit = { timeout: 30_000 };
const modes = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const websocket = "/socket.io/?EIO=4&transport=websocket";

/** Messages in order, each awaited in turn. */
function messagesOf(socket) {
  const queue = [];
  let wake = () => {};
  socket.on("message", (message) => {
    queue.push(message);
    wake();
  });
  return async () => {
    while (queue.length === 0) await new Promise((resolve) => (wake = resolve));
    // The client gives an empty message as undefined.
    const message = queue.shift() ?? "";
    return typeof message === "string" ? message : Buffer.from(message);
  };
}

describe("engine.io-client 6", () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  for (const [mode, transports] of Object.entries(modes)) {
    const connect = () => new Socket(server.url, { path: "/engine.io", transports });

    test(`${mode}: texts and bytes come back in order`, limit, async () => {
      const socket = connect();
      const next = messagesOf(socket);
      await once(socket, "open");
      const messages = ["text", "é😀\u2028", Buffer.from([0, 1, 255]), "", Buffer.alloc(70_000, 7)];
      for (const message of messages) socket.send(message);
      for (const message of messages) assert.deepEqual(await next(), message);
      socket.close();
    });

    test(`${mode}: the server closes, behind what it has sent`, limit, async () => {
      const socket = connect();
      const next = messagesOf(socket);
      await once(socket, "open");
      if (mode === "upgrade") await once(socket, "upgrade");
      socket.send("last words");
      socket.send("close me");
      const [reason] = await once(socket, "close");
      assert.equal(await next(), "last words");
      assert.match(reason, /^transport (close|error)$/);
    });

    test(`${mode}: the client closes`, limit, async () => {
      const socket = connect();
      await once(socket, "open");
      const closed = once(socket, "close");
      socket.close();
      assert.equal((await closed)[0], "forced close");
    });
  }

  test("upgrade: numbered messages in flight arrive once and in order", limit, async () => {
    const proxy = await slowWebSockets(server.port, 20);
    const socket = new Socket(proxy.url, { path: "/engine.io", transports: modes.upgrade });
    const next = messagesOf(socket);
    await once(socket, "open");
    let upgraded = false;
    socket.once("upgrade", () => (upgraded = true));
    let sent = 0;
    for (; !upgraded && sent < 10_000; sent += 1) {
      socket.send(`${sent}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(upgraded && sent > 10, `${sent} messages until the upgrade`);
    for (const end = sent + 500; sent < end; sent += 1) socket.send(`${sent}`);
    for (let n = 0; n < sent; n += 1) assert.equal(await next(), `${n}`);
    socket.close();
    proxy.close();
  });
});

describe("ids of one's own, and an initial packet", () => {
  const clients = { "engine.io-client 6": Socket, "engine.io-client 3": OldSocket };
  let server;
  before(async () => {
    server = await Server.start({ engine: { initial_packet: "hello, é", own_ids: true } });
  });
  after(() => server?.stop());

  for (const [client, Client] of Object.entries(clients)) {
    for (const [mode, transports] of Object.entries(modes)) {
      test(`${client}, ${mode}: the id is ours, and our message comes first`, limit, async () => {
        const id = `${mode}.${client === "engine.io-client 6" ? 6 : 3}:1`;
        const socket = new Client(server.url, { path: "/engine.io", transports, query: { id } });
        const next = messagesOf(socket);
        await once(socket, "open");
        assert.equal(socket.id, id);
        socket.send("echo");
        assert.equal(await next(), "hello, é");
        assert.equal(await next(), "echo");
        if (mode === "upgrade" && socket.transport.name !== "websocket") await once(socket, "upgrade");
        socket.send("after");
        assert.equal(await next(), "after");
        socket.close();
      });
    }
  }

  test("no id, no session", limit, async () => {
    const url = `${server.url}/engine.io/?EIO=4&transport=polling`;
    const refused = await fetch(url);
    assert.equal(refused.status, 400);
    assert.deepEqual(await refused.json(), { code: 3, message: "Bad request" });
  });

  test("the id of a living session is no other's", { ...limit, skip: isReference && "the reference lets the second one in" }, async () => {
    const url = `${server.url}/engine.io/?EIO=4&transport=polling&id=taken`;
    assert.equal((await fetch(url)).status, 200);
    assert.equal((await fetch(url)).status, 400);
  });
});

describe("Engine.IO by hand", () => {
  let server;
  before(async () => {
    server = await Server.start({ ping_interval: 200, ping_timeout: 200, upgrade_timeout: 300 });
  });
  after(() => server?.stop());

  /** A WebSocket session with its open packet taken off. */
  async function open() {
    const socket = server.rawWebSocket(websocket);
    const handshake = JSON.parse((await socket.next()).slice(1));
    return { socket, handshake };
  }

  test("the open packet offers no upgrade on a WebSocket", limit, async () => {
    const { socket, handshake } = await open();
    assert.match(handshake.sid, /^[\w-]{20}$/);
    delete handshake.sid;
    assert.deepEqual(handshake, { upgrades: [], pingInterval: 200, pingTimeout: 200, maxPayload: 1_000_000 });
    socket.close();
  });

  test("no Socket.IO packet comes before the client asks for one", limit, async () => {
    const { socket } = await open();
    assert.equal(await socket.next(), "2");
    socket.send("3");
    socket.send('40{"token":"x"}');
    assert.match(await socket.next(), /^40\{"sid":"[\w-]{20}"\}$/);
    assert.match(await socket.next(), /^42\["welcome",\{"id":"[\w-]{20}"\},"two",3\]$/);
    socket.close();
  });

  test("who answers pings stays, who does not is closed", limit, async () => {
    const { socket } = await open();
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await socket.next(), "2");
      socket.send("3");
    }
    assert.equal(await socket.next(), "2");
    await socket.closed;
  });

  test("a polling session that nobody polls is closed", limit, async () => {
    const session = await Polling.open(server);
    let body;
    do ({ body } = await session.poll());
    while (body === "2");
    assert.ok(!(await session.isOpen()));
  });

  test("a ping or an unknown packet of the client closes the connection", limit, async () => {
    for (const packet of ["2", "9", "hello", ""]) {
      const { socket } = await open();
      socket.send(packet);
      await socket.closed;
    }
  });

  test("a close packet over WebSocket closes the connection", { ...limit, skip: isReference && "the reference ignores it" }, async () => {
    const { socket } = await open();
    socket.send("1");
    // Well before the heartbeat would.
    assert.equal(await socket.next(), undefined);
  });

  test("a message over the limit closes with 1009", limit, async () => {
    const { socket } = await open();
    socket.send(`42["echo","${"a".repeat(1_000_000)}"]`);
    assert.equal((await socket.closed).code, 1009);
  });

  test("an upgrade that is not finished is closed, and polling goes on", limit, async () => {
    const session = await Polling.open(server);
    const probe = server.rawWebSocket(`${websocket}&sid=${session.sid}`);
    await probe.opened;
    probe.send("2probe");
    assert.equal(await probe.next(), "3probe");
    let closed = false;
    probe.closed.then(() => (closed = true));
    while (!closed) {
      const { body } = await session.poll();
      assert.match(body, /^[26]$/);
      if (body === "2") await session.post("3");
    }
    await session.post("40");
    let body = "";
    while (!body.includes("welcome")) ({ body } = await session.poll());
  });

  test("what comes some time after the upgrade is read at once", limit, async () => {
    const quiet = await Server.start();
    const session = await Polling.open(quiet);
    const socket = quiet.rawWebSocket(`${websocket}&sid=${session.sid}`);
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    // Pauses long enough for the server to fall asleep, long before its first heartbeat wakes it.
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.send("5");
    await new Promise((resolve) => setTimeout(resolve, 300));
    socket.send("40");
    const answer = await Promise.race([socket.next(), new Promise((resolve) => setTimeout(resolve, 5_000))]);
    assert.match(answer ?? "nothing", /^40\{"sid"/);
    socket.close();
    await quiet.stop();
  });

  test("a probe that says something else is closed, and polling goes on", limit, async () => {
    const session = await Polling.open(server);
    const probe = server.rawWebSocket(`${websocket}&sid=${session.sid}`);
    await probe.opened;
    probe.send("40");
    await probe.closed;
    assert.ok(await session.isOpen());
  });
});

describe("Socket.IO by hand", () => {
  let server;
  before(async () => {
    server = await Server.start();
  });
  after(() => server?.stop());

  async function joined() {
    const socket = server.rawWebSocket(websocket);
    await socket.next();
    socket.send("40");
    await socket.until((text) => text.includes("welcome"));
    return socket;
  }

  const closing = [
    ["an unknown packet type", "47"],
    ["an event that is no JSON", '42["echo"'],
    ["an event that is no array", '42{"echo":1}'],
    ["an event without a name", "42[]"],
    ["an event whose name is an object", "42[{}]"],
    ["an event with a reserved name", '42["connect"]'],
    ["an event to a namespace that was not joined", '42/chat,["echo",1]'],
    ["a second CONNECT", "40"],
    ["a CONNECT_ERROR", '44{"message":"x"}'],
    ["an auth that is an array", "40/chat,[]"],
    ["too many attachments", '4511-["echo"]'],
    ["a count of attachments that is none", '45x-["echo"]'],
    ["a text while attachments are due", '451-["echo",{"_placeholder":true,"num":0}]', '42["echo",1]'],
    ["bytes that nobody announced", Buffer.from([1])],
    ["a placeholder out of range", '451-["echo",{"_placeholder":true,"num":7}]', Buffer.from([1])],
    ["an event without a payload", "42", { reference: false }],
    ["a CONNECT with garbage behind", '40{"a":1}x'],
    ["an event with garbage behind", '42["echo",1]x'],
    ["an acknowledgement id with a leading zero", '4207["echo"]', { reference: false }],
    ["an acknowledgement id beyond 2^53", '429007199254740993["echo"]', { reference: false }],
  ];
  for (const [name, ...steps] of closing) {
    const isOurs = steps.at(-1)?.reference === false;
    test(`${name} closes the connection`, { ...limit, skip: isReference && isOurs && "the reference takes it" }, async () => {
      const socket = await joined();
      for (const step of steps.filter((each) => each.reference === undefined)) socket.send(step);
      assert.equal(await socket.until(() => false), undefined);
      await socket.closed;
    });
  }

  test("an unknown acknowledgement is ignored", limit, async () => {
    const socket = await joined();
    socket.send("4399[1]");
    socket.send('421["echo","alive"]');
    assert.equal(await socket.next(), '431["alive"]');
    socket.close();
  });

  test("a namespace without its comma is taken", limit, async () => {
    const socket = await joined();
    socket.send("40/chat");
    assert.match(await socket.next(), /^40\/chat,\{"sid":"[\w-]{20}"\}$/);
    socket.send("41/chat");
    socket.send('421["echo","alive"]');
    assert.equal(await socket.next(), '431["alive"]');
    socket.close();
  });

  test("an unknown namespace is refused in so many words", limit, async () => {
    const socket = await joined();
    socket.send("40/nowhere,");
    assert.equal(await socket.next(), '44/nowhere,{"message":"Invalid namespace"}');
    socket.close();
  });

  test("a refused namespace gets message and data", limit, async () => {
    const socket = await joined();
    socket.send('40/admin,{"token":"wrong"}');
    assert.equal(await socket.next(), '44/admin,{"message":"not authorised","data":{"code":4001,"hint":"é✓"}}');
    socket.send('40/admin,{"token":"let me in"}');
    assert.match(await socket.next(), /^40\/admin,\{"sid":"[\w-]{20}"\}$/);
    assert.equal(await socket.next(), '42/admin,["hello","admin"]');
    socket.close();
  });

  test("a late packet to a namespace the server has left is ignored", { ...limit, skip: isReference && "the reference closes" }, async () => {
    const socket = await joined();
    socket.send("40/chat,");
    assert.match(await socket.next(), /^40\/chat,/);
    socket.send('42/chat,["disconnect me",false]');
    assert.equal(await socket.next(), "41/chat,");
    socket.send('42/chat,["echo","late"]');
    socket.send('421["echo","alive"]');
    assert.equal(await socket.next(), '431["alive"]');
    socket.close();
  });

  test("binary events have their placeholders numbered in order", limit, async () => {
    const socket = await joined();
    socket.send('452-["echo",{"_placeholder":true,"num":1},{"b":{"_placeholder":true,"num":0}}]');
    socket.send(Buffer.from([1]));
    socket.send(Buffer.from([2]));
    assert.equal(await socket.next(), '452-["echo",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]');
    assert.deepEqual(await socket.next(), Buffer.from([2]));
    assert.deepEqual(await socket.next(), Buffer.from([1]));
    socket.close();
  });
});
