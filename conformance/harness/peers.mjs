// Clients for tests that are written out: a Socket.IO client and a plain WebSocket with the same few methods.

import assert from "node:assert/strict";
import { Socket } from "engine.io-client";
import { io } from "socket.io-client-4";
import { WebSocket } from "ws";
import { Inbox } from "../clients/agent.mjs";

export const transportsOf = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** What a test has opened, closed again by `closeAll`, also if the test has failed. */
export class Peers {
  #close = [];

  /** A connected Socket.IO client; `options` are those of its `io()`, `namespace` goes behind the URL. */
  async socketIo(url, { namespace = "", mode = "upgrade", ...options } = {}) {
    const peer = new SocketIoPeer(url + namespace, mode, options);
    this.#close.push(() => peer.socket.disconnect());
    await peer.connected(mode);
    return peer;
  }

  /** A plain WebSocket with the subprotocol patera.json, connected. */
  async native(url, path = "/ws") {
    const peer = new NativePeer(url, path, ["patera.json"]);
    this.#close.push(() => peer.socket.terminate());
    await peer.connected();
    return peer;
  }

  /** A plain WebSocket without any subprotocol: `next("message")` is what came, as text. */
  async raw(url, path = "/ws") {
    const peer = new NativePeer(url, path, []);
    this.#close.push(() => peer.socket.terminate());
    await peer.opened;
    return peer;
  }

  /** A Socket.IO client that is to be refused: its connect_error. */
  async refused(url, options = {}) {
    const socket = newSocket(url, "upgrade", options);
    this.#close.push(() => socket.disconnect());
    return new Promise((resolve, reject) => {
      socket.once("connect", () => reject(new Error("it was let in")));
      socket.once("connect_error", resolve);
    });
  }

  /** An Engine.IO client; `next("message")` is what came. */
  async engine(url, mode) {
    const peer = new EnginePeer(url, mode);
    this.#close.push(() => peer.socket.close());
    await peer.opened;
    return peer;
  }

  closeAll() {
    for (const close of this.#close.splice(0)) close();
  }
}

function newSocket(url, mode, options) {
  return io(url, { transports: transportsOf[mode], forceNew: true, reconnection: false, ...options });
}

class Peer {
  inbox = new Inbox();

  /** The arguments of the next event of this name. */
  next(event) {
    return this.inbox.take(event);
  }

  /** How many events of this name have come and were not asked for. */
  waiting(event) {
    return this.inbox.count(event);
  }
}

class SocketIoPeer extends Peer {
  constructor(url, mode, options) {
    super();
    const socket = newSocket(url, mode, options);
    this.socket = socket;
    // What a server puts behind the arguments for connection state recovery is the client's business.
    const isOffset = (last) => socket._pid !== undefined && /^[\w-]+\.\d+$/.test(last);
    socket.onAny((event, ...args) => this.inbox.put(event, isOffset(args.at(-1)) ? args.slice(0, -1) : args));
    this.closed = new Promise((resolve) => socket.once("disconnect", (reason) => resolve(reason)));
  }

  async connected(mode) {
    await new Promise((resolve, reject) => {
      this.socket.once("connect", resolve);
      this.socket.once("connect_error", reject);
    });
    this.id = this.socket.id;
    const { engine } = this.socket.io;
    if (mode === "upgrade" && engine.transport.name === "polling") await new Promise((resolve) => engine.once("upgrade", resolve));
  }

  emit(event, ...args) {
    this.socket.emit(event, ...args);
  }

  /** Emits and waits for the acknowledgement: its arguments. */
  ask(event, ...args) {
    return new Promise((resolve) => this.socket.emit(event, ...args, (...answers) => resolve(answers)));
  }

  close() {
    this.socket.disconnect();
  }
}

class NativePeer extends Peer {
  #answers = new Map();
  #asked = 0;

  constructor(url, path, protocols) {
    super();
    this.socket = new WebSocket(url.replace(/^http/, "ws") + path, protocols);
    this.opened = new Promise((resolve, reject) => {
      this.socket.once("open", resolve);
      this.socket.once("error", reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => this.socket.once("close", (code) => resolve(code)));
    this.socket.on("error", () => {});
    this.socket.on("message", (data) => {
      if (protocols.length === 0) return this.inbox.put("message", String(data));
      const { event, args, ack } = JSON.parse(String(data));
      if (event !== undefined) return this.inbox.put(event, args);
      this.#answers.get(ack)(args);
      this.#answers.delete(ack);
    });
  }

  async connected() {
    await this.opened;
    assert.equal(this.socket.protocol, "patera.json");
    const [{ sid }] = await this.next("connect");
    this.id = sid;
  }

  emit(event, ...args) {
    this.socket.send(JSON.stringify({ event, args }));
  }

  ask(event, ...args) {
    const ack = this.#asked;
    this.#asked += 1;
    return new Promise((resolve) => {
      this.#answers.set(ack, resolve);
      this.socket.send(JSON.stringify({ event, args, ack }));
    });
  }

  send(message) {
    this.socket.send(message);
  }

  close() {
    this.socket.close();
  }
}

class EnginePeer extends Peer {
  constructor(url, mode) {
    super();
    const socket = new Socket(url, { transports: transportsOf[mode] });
    this.socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => socket.once("close", (reason) => resolve(reason)));
    socket.on("message", (message) => this.inbox.put("message", message));
  }

  send(message) {
    this.socket.send(message);
  }
}
