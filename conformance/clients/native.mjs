// The plain `WebSocket` agent: speaks the subprotocol `patera.json`, or none. Runs in Node and in a page.

import { asBytes, pack, unpack } from "../harness/values.mjs";
import { Inbox } from "./agent.mjs";

/** Bytes are `{"base64": …}` in this subprotocol. */
function toWire(value) {
  if (asBytes(value)) return { base64: pack(value).$bytes };
  if (Array.isArray(value)) return value.map(toWire);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toWire(inner)]));
}

function fromWire(value) {
  if (Array.isArray(value)) return value.map(fromWire);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.base64 === "string" && Object.keys(value).length === 1) return unpack({ $bytes: value.base64 });
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fromWire(inner)]));
}

class Client {
  #inbox = new Inbox();
  #acknowledgements = new Map();
  #acknowledgement = 0;
  #id;

  constructor(socket, replies) {
    this.socket = socket;
    this.replies = replies;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      // Without the subprotocol the event `message` comes as its bare text or bytes.
      if (socket.protocol !== "" || (typeof data === "string" && data.startsWith('{"event":'))) this.#received(JSON.parse(data));
      else this.#inbox.put("event message", [data]);
    };
    // Only the subprotocol tells the id; without it there is nothing to wait for.
    socket.onopen = () => {
      if (socket.protocol === "") this.#inbox.put("life connect", {});
    };
    socket.onclose = ({ code, reason }) => this.#inbox.put("life disconnect", { reason: `${code} ${reason}`.trim() });
    socket.onerror = () => {};
  }

  #received({ event, args, ack }) {
    const values = fromWire(args ?? []);
    if (event === undefined) {
      this.#acknowledgements.get(ack)?.(values);
      this.#acknowledgements.delete(ack);
    } else if (event === "connect") {
      this.#id = values[0].sid;
      this.#inbox.put("life connect", { id: this.#id });
    } else if (event === "connect_error") {
      this.#inbox.put("life connect_error", values[0]);
    } else {
      const reply = this.replies[event];
      if (ack !== undefined && reply) this.#send({ ack, args: toWire(reply === "echo" ? values : unpack(reply)) });
      this.#inbox.put(`event ${event}`, values);
    }
  }

  #send(message) {
    this.socket.send(JSON.stringify(message));
  }

  life(kind) {
    return this.#inbox.take(`life ${kind}`);
  }

  emit(event, ...args) {
    this.#send({ event, args: toWire(args) });
  }

  /** Sends a text or bytes as they are. */
  send(message) {
    this.socket.send(message);
  }

  protocol() {
    return this.socket.protocol;
  }

  call(event, ...args) {
    const ack = this.#acknowledgement;
    this.#acknowledgement += 1;
    return new Promise((resolve) => {
      this.#acknowledgements.set(ack, resolve);
      this.#send({ event, args: toWire(args), ack });
    });
  }

  next(event) {
    return this.#inbox.take(`event ${event}`);
  }

  waiting(event) {
    return this.#inbox.count(`event ${event}`);
  }

  async collect(event, count) {
    const firsts = [];
    while (firsts.length < count) firsts.push((await this.next(event))[0]);
    return firsts;
  }

  flood(event, count) {
    for (let n = 0; n < count; n += 1) this.emit(event, n);
    return { from: "websocket", to: "websocket" };
  }

  transport() {
    return "websocket";
  }

  upgraded() {}

  id() {
    return this.#id;
  }

  disconnect() {
    this.socket.close();
  }
}

export class NativeAgent {
  #WebSocket;
  #clients = new Map();

  constructor(WebSocket) {
    this.#WebSocket = WebSocket;
  }

  open(handles, options) {
    const url = new URL(options.namespaces[0] === "/" ? "/ws" : `${options.namespaces[0]}/ws`, options.url.replace(/^http/, "ws"));
    for (const [name, value] of Object.entries({ ...options.query, ...options.auth })) url.searchParams.set(name, value);
    const socket = new this.#WebSocket(url.href, options.raw ? [] : ["patera.json"]);
    this.#clients.set(handles[0], new Client(socket, options.replies ?? {}));
  }

  close() {
    for (const client of this.#clients.values()) client.socket.close();
    this.#clients.clear();
  }

  async run(operation, handle, args) {
    if (operation === "open") return this.open(handle, args[0]);
    if (operation === "close") return this.close();
    return pack(await this.#clients.get(handle)[operation](...unpack(args)));
  }
}
