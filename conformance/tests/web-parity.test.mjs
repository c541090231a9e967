// Our browser client beside the official one: each script runs with both, against the official server, and both must tell
// the same story. What is meant to differ is not told.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { Server } from "socket.io";
import * as official from "socket.io-client-4";
import { WebSocketServer } from "ws";
import * as ours from "../../packages/client-web/dist/node.mjs";
import { asBytes } from "../harness/values.mjs";

const turn = () => new Promise(setImmediate);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const heard = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

/** Servers by whether they recover connections: those that do end their events by an offset. */
const servers = {};
let url;

async function serve(options) {
  const http = createServer();
  const server = new Server(http, {
    pingInterval: 10_000,
    allowRequest: ({ headers }, decide) => decide(headers["x-refuse"] ?? null, !("x-refuse" in headers)),
    ...options,
  });
  server.on("connection", (socket) => {
    const tries = new Map();
    socket.on("echo", (...args) => (typeof args.at(-1) === "function" ? args.pop()(...args) : socket.emit("echo", ...args)));
    socket.on("later", (delay, ack) => setTimeout(ack, delay, "late"));
    socket.on("never", () => {});
    socket.on("the third time", (name, ack) => {
      tries.set(name, (tries.get(name) ?? 0) + 1);
      if (tries.get(name) === 3) ack(name);
    });
    socket.on("handshake", (ack) => {
      const { query, auth, headers, url: target } = socket.handshake;
      const { t, sid, ...rest } = query;
      ack({ query: rest, auth, colour: headers["x-colour"], path: target.split("?")[0], recovered: socket.recovered });
    });
    socket.on("ask me", (...args) => socket.timeout(1000).emit("question", ...args.slice(0, -1), (_, ...answers) => args.at(-1)(answers)));
    socket.on("disconnect me", (close) => socket.disconnect(close));
    socket.on("cut", () => socket.conn.close());
    socket.on("garbage", () => socket.conn.write("2[garbage"));
    socket.on("while away", (text) => setTimeout(() => server.emit("news", text), 30));
    socket.emit("welcome", 1);
  });
  server.of("/admin").use((socket, next) => {
    if (socket.handshake.auth.token === "let me in") return next();
    next(Object.assign(new Error("not authorised"), { data: { code: 4001 } }));
  });
  for (const name of ["/admin", "/chat"]) server.of(name).on("connection", (socket) => socket.emit("hello", name));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    stop: async () => {
      const closed = server.close();
      http.closeAllConnections();
      await closed;
    },
  };
}

before(async () => {
  servers.plain = await serve({});
  servers.recovering = await serve({ connectionStateRecovery: {} });
  url = servers.plain.url;
});

after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const brief = (value) => {
  if (value instanceof Error) return { error: value.message, ...(value.data && { data: value.data }) };
  if (typeof value === "function") return "function";
  return asBytes(value) ? [...asBytes(value)] : value;
};

/** Writes down what happens to a socket, and waits for it. */
function follow(log, socket, name = "") {
  for (const event of ["connect", "connect_error", "disconnect"]) {
    socket.on(event, (...args) => log.push([name + event, brief(args[0]), socket.active, socket.connected]));
  }
  return socket;
}

/** The story of a script with one of the clients. */
async function tell(script, client) {
  const log = [];
  const opened = [];
  const open = (path = "", { from = servers.plain, ...options } = {}) => {
    const socket = client.io(from.url + path, { forceNew: true, reconnectionDelay: 10, randomizationFactor: 0, ...options });
    opened.push(socket);
    return follow(log, socket);
  };
  try {
    await script({ client, log, open, note: (...values) => log.push(values.map(brief)) });
    // JSON, so that both have the same prototypes.
    return JSON.parse(JSON.stringify(log));
  } finally {
    for (const socket of opened) socket.disconnect();
  }
}

const scripts = {
  async "what is emitted before the connection arrives in order, before `connect` is told"({ open, note }) {
    const socket = open("", { autoConnect: false });
    socket.onAnyOutgoing((...args) => note("out", ...args));
    socket.on("echo", (...args) => note("in", ...args));
    socket.emit("echo", 1).send("not this").emit("echo", 2);
    note(socket.active, socket.connected, socket.disconnected, socket.id, socket.sendBuffer.length);
    socket.connect();
    socket.connect();
    note(socket.active);
    await heard(socket, "connect");
    note(socket.sendBuffer.length, typeof socket.id);
    note(await socket.emitWithAck("echo", 3));
  },
  async "acknowledgements: in time, late, never, and at the end of the connection"({ open, note }) {
    const socket = open();
    await heard(socket, "connect");
    note(await new Promise((resolve) => socket.emit("echo", "a", "b", (...args) => resolve(args))));
    note(await new Promise((resolve) => socket.timeout(500).emit("echo", "a", "b", (...args) => resolve(args))));
    note(await new Promise((resolve) => socket.timeout(20).emit("never", (...args) => resolve(args.map(brief)))));
    let late = 0;
    await new Promise((resolve) => socket.timeout(10).emit("later", 30, () => ((late += 1), resolve())));
    note(await socket.timeout(20).emitWithAck("never").catch(brief), await socket.emitWithAck("echo", "x"));
    await wait(40);
    note("late", late);
    socket.emit("never", () => note("a plain one is called"));
    socket.timeout(5000).emit("never", (error) => note(error));
    const promised = socket.emitWithAck("never").catch(brief);
    socket.disconnect();
    note(await promised);
  },
  async "ackTimeout holds for every acknowledgement"({ open, note }) {
    const socket = open("", { ackTimeout: 300 });
    await heard(socket, "connect");
    note(await new Promise((resolve) => socket.emit("never", (...args) => resolve(args.map(brief)))));
    note(await new Promise((resolve) => socket.emit("echo", 1, (...args) => resolve(args))));
  },
  async "retries: one at a time, in order, given up at last"({ open, note }) {
    const socket = open("", { retries: 3, ackTimeout: 150, transports: ["websocket"] });
    socket.onAnyOutgoing((...args) => note("out", ...args.map(brief)));
    socket.emit("the third time", "first", (error, name) => note("done", error, name));
    socket.emit("never", (error) => note("given up", error));
    socket.volatile.emit("echo", "volatile");
    note(await socket.emitWithAck("echo", "last"));
  },
  async "what an offline client may lose, and what it keeps"({ open, note }) {
    const socket = open("", { reconnection: false });
    await heard(socket, "connect");
    socket.io.engine.close();
    socket.emit("echo", "kept");
    note(socket.sendBuffer.map(({ data }) => data));
    socket.timeout(10).emit("echo", "timed out", () => note(socket.sendBuffer.length));
    await wait(20);
    socket.on("echo", (...args) => note("in", ...args));
    socket.connect();
    await heard(socket, "echo");
  },
  async "listeners, and those of every event"({ open, note }) {
    const socket = open();
    const second = (...args) => note("any 2", ...args);
    socket.onAny((...args) => note("any 1", ...args)).onAny(second).prependAny((...args) => note("any 0", ...args));
    socket.once("echo", (...args) => note("once", ...args));
    socket.on("echo", (...args) => note("on", ...args));
    await heard(socket, "welcome");
    socket.emit("echo", "one");
    await heard(socket, "echo");
    socket.offAny(second).emit("echo", "two");
    await heard(socket, "echo");
    note(socket.listenersAny().length, socket.listeners("echo").length, socket.hasListeners("echo"), socket.hasListeners("other"));
    socket.offAny().off("echo");
    note(socket.listenersAny().length, socket.hasListeners("echo"));
    const outgoing = (...args) => note("out", ...args);
    socket.onAnyOutgoing(outgoing).prependAnyOutgoing((...args) => note("first out", ...args));
    socket.emit("never", 1).offAnyOutgoing(outgoing).emit("never", 2);
    note(socket.listenersAnyOutgoing().length, socket.offAnyOutgoing().listenersAnyOutgoing().length);
  },
  async "the client answers"({ open, note }) {
    const socket = open();
    socket.on("question", (...args) => {
      const answer = args.pop();
      note(...args, typeof answer);
      answer(...args, Buffer.from([1]));
      answer("again");
    });
    const [answers] = await new Promise((resolve) => socket.emit("ask me", "why", 1, (...args) => resolve(args)));
    note(...answers);
  },
  async "names that are reserved"({ open, note }) {
    const socket = open();
    for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
      try {
        socket.emit(name);
        note(name, "was taken");
      } catch (error) {
        note(error);
      }
    }
  },
  async "a namespace that refuses, until it is asked the right way"({ open, note }) {
    const socket = open("/admin", { auth: { token: "wrong" } });
    const [error] = await heard(socket, "connect_error");
    note(error instanceof Error, socket.active, socket.id, socket.io._readyState);
    socket.auth = (give) => give({ token: "let me in" });
    socket.connect();
    note(await heard(socket, "hello"));
    const unknown = open("/unknown");
    note(await heard(unknown, "connect_error"));
  },
  async "the handshake: query, path, headers, auth"({ open, note }) {
    for (const [path, options] of [
      ["", { query: { colour: "blue", empty: "" }, extraHeaders: { "X-Colour": "green" }, auth: { token: "é" } }],
      ["/?from=url&x=1", { transports: ["websocket"] }],
      ["", { query: "a=1&b=%20", path: "/socket.io/" }],
      ["", { auth: (give) => setTimeout(give, 5, { later: true }) }],
    ]) {
      const socket = open(path, { upgrade: false, ...options });
      note(await socket.emitWithAck("handshake"), socket.nsp);
    }
  },
  async "connections are shared where they can be"({ client, note }) {
    const make = (path, options) => client.io(url + path, { autoConnect: false, ...options });
    const [one, chat] = [make(""), make("/chat")];
    const same = (other) => other.io === one.io;
    note(same(chat), same(make("")), same(make("/third")), same(make("/chat", { forceNew: true })), same(make("/a", { multiplex: false })));
    note(same(make("/b", { path: "/other" })), one.io.socket("/chat") === chat, make("/x?y=1").nsp, make("/x/").nsp);
  },
  async "two namespaces on one connection"({ open, note, log, client }) {
    const main = open("/chat");
    const other = follow(log, main.io.socket("/admin", { auth: { token: "let me in" } }), "admin ");
    await Promise.all([heard(main, "hello"), heard(other, "hello")]);
    main.disconnect();
    await turn();
    note(main.active, other.active, other.connected, main.io.engine.readyState);
    const engine = main.io.engine;
    other.disconnect();
    note(await heard(engine, "close").then(([reason]) => reason), other.io._readyState, client.protocol);
  },
  async "the server ends a namespace, or the connection"({ open, note }) {
    for (const close of [false, true]) {
      const socket = open("", { transports: ["websocket"] });
      await heard(socket, "connect");
      socket.emit("disconnect me", close);
      await heard(socket, "disconnect");
      await turn();
      note(socket.active, socket.io._readyState);
      socket.connect();
      await heard(socket, "connect");
    }
  },
  async "a connection that breaks, on the manager"({ open, note }) {
    const socket = open("", { transports: ["websocket"] });
    const manager = socket.io;
    for (const event of ["open", "close", "error", "reconnect_attempt", "reconnect", "reconnect_error", "reconnect_failed"]) {
      manager.on(event, (...args) => note(`manager ${event}`, brief(args[0])));
    }
    await heard(socket, "connect");
    socket.emit("cut");
    await heard(socket, "disconnect");
    await heard(socket, "connect");
    await turn();
    manager.reconnection(false);
    socket.io.engine.close();
    await wait(30);
    note(socket.active, manager._readyState);
  },
  async "a server that is not there"({ client, note }) {
    const socket = client.io("http://127.0.0.1:9", { forceNew: true, reconnectionAttempts: 2, reconnectionDelay: 5 });
    const told = [];
    for (const event of ["error", "reconnect_attempt", "reconnect_error", "reconnect_failed"]) {
      socket.io.on(event, (first) => told.push(`${event} ${brief(first)?.error ?? first}`));
    }
    let errors = 0;
    socket.on("connect_error", (error) => {
      errors += 1;
      note(error.message, error.type, socket.active);
    });
    await heard(socket.io, "reconnect_failed");
    await turn();
    // The last two are the other way round with the official client.
    note(errors, ...told.sort());
    socket.disconnect();
  },
  async "settings of the manager"({ client, note }) {
    const manager = new client.Manager(url, { autoConnect: false });
    const names = ["reconnection", "reconnectionAttempts", "reconnectionDelay", "reconnectionDelayMax", "randomizationFactor", "timeout"];
    note(...names.map((name) => String(manager[name]())));
    note(...names.map((name) => manager[name](7) === manager && manager[name]()));
    note(...names.map((name) => String(new client.Manager(url, { autoConnect: false, [name]: 0 })[name]())));
  },
  async "garbage from the server is a parse error"({ open, note }) {
    const socket = open("", { reconnection: false });
    await heard(socket, "connect");
    socket.emit("garbage");
    const [reason] = await heard(socket, "disconnect");
    note(reason, socket.active);
  },
  async "an answer that is refused says why"({ client, note }) {
    const socket = client.io(url, { forceNew: true, reconnection: false, extraHeaders: { "X-Refuse": "no" }, transports: ["polling"] });
    const [error] = await heard(socket, "connect_error");
    note(error.message, error.type, error.description, error.context.status);
    socket.disconnect();
  },
  async "transports are chosen by name or by class"({ open, client, note }) {
    for (const transports of [["websocket"], ["polling"], [client.NodeWebSocket]]) {
      const socket = open("", { transports, reconnection: false });
      const name = await Promise.race([heard(socket, "connect").then(() => socket.io.engine.transport.name), heard(socket, "connect_error")]);
      note(name);
    }
  },
  async "the upgrade, and one that is remembered"({ open, note }) {
    const socket = open();
    await heard(socket, "connect");
    const engine = socket.io.engine;
    if (engine.transport.name === "polling") await heard(engine, "upgrade");
    note(engine.transport.name, engine.readyState, typeof engine.id);
    const again = open("", { rememberUpgrade: true });
    note(again.io.engine.transport.name);
    await heard(again, "connect");
  },
  async "the engine tells what it does, also to who listened before it was open"({ open, note }) {
    const socket = open();
    const engine = socket.io.engine;
    const told = [];
    for (const event of ["open", "handshake", "upgrading", "upgrade", "upgradeError", "close", "error"]) {
      engine.on(event, (first) => told.push([event, first?.name ?? typeof first]));
    }
    const types = new Set();
    for (const event of ["packet", "packetCreate"]) engine.on(event, ({ type }) => types.add(`${event} ${type}`));
    let messages = 0;
    engine.on("message", () => (messages += 1));
    await heard(socket, "connect");
    if (engine.transport.name === "polling") await heard(engine, "upgrade");
    await socket.emitWithAck("echo", 1);
    note(messages > 1, ...[...types].filter((type) => !/noop/.test(type)).sort());
    const ended = heard(socket, "disconnect");
    engine.close();
    await ended;
    note(...told);
  },
  async "every kind of bytes"({ open, note }) {
    const socket = open();
    const bytes = Uint8Array.of(9, 1, 2, 3);
    note(Buffer.isBuffer(await socket.emitWithAck("echo", bytes)));
    for (const value of [bytes.buffer, bytes, bytes.subarray(1, 3), new DataView(bytes.buffer, 2), Buffer.from("é"), new Uint16Array(bytes.buffer)]) {
      note(await socket.emitWithAck("echo", value));
      note(brief((await socket.emitWithAck("echo", { deep: [value], date: new Date(0), none: undefined })).deep[0]));
    }
  },
  async "what was missed is made up for"({ open, note }) {
    const socket = open("", { from: servers.recovering, transports: ["websocket"] });
    const told = [];
    socket.on("news", (text) => told.push(text));
    await heard(socket, "welcome");
    const id = socket.id;
    note(socket.recovered);
    socket.emit("while away", "you missed this");
    await socket.emitWithAck("echo", 1);
    socket.io.reconnectionDelay(80);
    socket.io.engine.close();
    await heard(socket, "connect");
    note(socket.recovered, socket.id === id, ...told);
    note((await socket.emitWithAck("handshake")).recovered);
  },
};

describe("Patera's client beside the official one", { timeout: 120_000 }, () => {
  for (const [name, script] of Object.entries(scripts)) {
    test(name, { timeout: 15_000 }, async () => {
      const expected = await tell(script, official);
      assert.ok(expected.length > 0, "it tells something");
      assert.deepEqual(await tell(script, ours), expected, "ours beside theirs");
    });
  }
});

test("a volatile event without a connection is lost, whatever became of the connection", { timeout: 15_000 }, async () => {
  const socket = ours.io(url, { forceNew: true, reconnection: false });
  const came = [];
  socket.on("echo", (...args) => came.push(args));
  socket.volatile.emit("echo", "before");
  await heard(socket, "connect");
  socket.io.engine.close();
  socket.volatile.emit("echo", "lost").emit("echo", "kept");
  socket.connect();
  await socket.emitWithAck("echo");
  assert.deepEqual(came, [["kept"]]);
  socket.disconnect();
});

test("what cannot be encoded is reported, and keeps nothing else", { timeout: 15_000 }, async () => {
  const socket = ours.io(url, { forceNew: true });
  const circular = {};
  circular.self = circular;
  const reported = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  socket.emit("never", circular);
  const answer = socket.emitWithAck("echo", "behind it");
  try {
    assert.match((await reported).message, /circular/i);
    assert.equal(await answer, "behind it");
    assert.throws(() => socket.emit("never", circular), /circular/i);
    assert.equal(await socket.emitWithAck("echo", "after it"), "after it");
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
    socket.disconnect();
  }
});

test("without any transport there is an error, as there is with every other failure", { timeout: 15_000 }, async () => {
  const socket = ours.io(url, { forceNew: true, reconnection: false, transports: ["nothing"] });
  const [error] = await heard(socket, "connect_error");
  assert.equal(error.message, "No transports available");
});

test("the socket tells what it did in the generations before", { timeout: 15_000 }, async () => {
  const server = await serve({});
  const { port } = new URL(server.url);
  const socket = ours.io(server.url, { forceNew: true, reconnectionDelay: 5, reconnectionAttempts: 2, transports: ["websocket"] });
  const told = [];
  const names = ["connecting", "connect", "connect_failed", "error", "disconnect", "reconnecting", "reconnect_attempt", "reconnect", "reconnect_error", "reconnect_failed"];
  for (const name of names) socket.on(name, (value) => told.push(value instanceof Error ? `${name}: ${value.message}` : [name, value ?? ""].join(" ").trim()));
  socket.onAny((event) => told.push(`any ${event}`));
  await heard(socket, "welcome");
  socket.emit("cut");
  await heard(socket, "welcome");
  const again = ["reconnecting 1", "reconnect_attempt 1"];
  assert.deepEqual(told.splice(0), [
    "connecting",
    "connect",
    "any welcome",
    "disconnect transport close",
    ...again.toReversed(),
    "reconnect 1",
    "connect",
    "any welcome",
  ]);
  const gaveUp = heard(socket, "reconnect_failed");
  await server.stop();
  await gaveUp;
  const failed = ["connect_failed: websocket error", "error: websocket error"];
  assert.deepEqual(told.splice(0), [
    "disconnect transport close",
    ...again.toReversed(),
    ...failed,
    "reconnect_error: websocket error",
    "reconnect_attempt 2",
    "reconnecting 2",
    ...failed,
    "reconnect_error: websocket error",
    "reconnect_failed",
  ]);
  // Asked again it begins anew.
  const revived = createServer();
  const anew = new Server(revived);
  revived.listen(Number(port), "127.0.0.1");
  socket.connect();
  await heard(socket, "connect");
  assert.deepEqual(told, ["connecting", "connect"]);
  socket.disconnect();
  const closed = anew.close();
  revived.closeAllConnections();
  await closed;
});

describe("Patera's client with servers that misbehave", { timeout: 15_000 }, () => {
  /** A WebSocket server that does as it is told with each connection. */
  async function serveWebSockets(onConnection) {
    const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    sockets.on("connection", onConnection);
    await once(sockets, "listening");
    return { url: `http://127.0.0.1:${sockets.address().port}`, stop: () => stop(sockets) };
  }
  function stop(sockets) {
    for (const each of sockets.clients) each.terminate();
    sockets.close();
  }
  const handshake = '0{"sid":"a","upgrades":[],"pingInterval":30,"pingTimeout":30,"maxPayload":1000000}';
  const options = { transports: ["websocket"], forceNew: true, reconnection: false };

  test("one that falls silent is given up", async () => {
    const server = await serveWebSockets((socket) => {
      socket.send(handshake);
      socket.on("message", (message) => String(message).startsWith("40") && socket.send('40{"sid":"s"}'));
    });
    const socket = ours.io(server.url, options);
    assert.deepEqual(await heard(socket, "disconnect"), ["ping timeout", undefined]);
    server.stop();
  });
});
