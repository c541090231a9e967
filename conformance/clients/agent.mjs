// The JavaScript agent: carries out a scenario's commands with whatever `io` it is given, in Node or in a page.
//
// Events are kept in a queue per name, so that a scenario asks for them one after the other and misses none.

import { pack, unpack } from "../harness/values.mjs";

const transportsOf = { polling: ["polling"], jsonp: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"], webtransport: ["webtransport"] };
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));

/** One queue per name; `take` waits for the next entry. */
export class Inbox {
  #queues = new Map();

  #queue(name) {
    if (!this.#queues.has(name)) this.#queues.set(name, { entries: [], waiting: [] });
    return this.#queues.get(name);
  }

  put(name, entry) {
    const queue = this.#queue(name);
    if (queue.waiting.length > 0) queue.waiting.shift()(entry);
    else queue.entries.push(entry);
  }

  take(name) {
    const queue = this.#queue(name);
    if (queue.entries.length > 0) return Promise.resolve(queue.entries.shift());
    return new Promise((resolve) => queue.waiting.push(resolve));
  }

  count(name) {
    return this.#queue(name).entries.length;
  }
}

/** One Socket.IO client of the generations since 3.0. */
export class Client {
  #inbox = new Inbox();

  constructor(socket, replies) {
    this.socket = socket;
    this.hear((event, ...args) => {
      const acknowledge = typeof args.at(-1) === "function" ? args.pop() : undefined;
      if (acknowledge && replies[event]) acknowledge(...(replies[event] === "echo" ? args : unpack(replies[event])));
      this.#inbox.put(`event ${event}`, args);
    });
    socket.on("connect", () => this.#inbox.put("life connect", { id: socket.id }));
    socket.on("disconnect", (reason) => this.#inbox.put("life disconnect", { reason }));
    socket.on(this.refusal, (error) => this.#inbox.put("life connect_error", this.refused(error)));
  }

  /** The event by which a namespace refuses. */
  get refusal() {
    return "connect_error";
  }

  refused(error) {
    return { message: error.message, data: error.data };
  }

  /** Has `heard` called with every event that arrives. */
  hear(heard) {
    this.socket.onAny(heard);
  }

  life(kind) {
    return this.#inbox.take(`life ${kind}`);
  }

  emit(event, ...args) {
    this.socket.emit(event, ...args);
  }

  volatile(event, ...args) {
    this.socket.volatile.emit(event, ...args);
  }

  call(event, ...args) {
    return new Promise((resolve) => this.socket.emit(event, ...args, (...answers) => resolve(answers)));
  }

  next(event) {
    return this.#inbox.take(`event ${event}`);
  }

  waiting(event) {
    return this.#inbox.count(`event ${event}`);
  }

  /** The first arguments of the next `count` events of this name. */
  async collect(event, count) {
    const firsts = [];
    while (firsts.length < count) firsts.push((await this.next(event))[0]);
    return firsts;
  }

  /** Emits `event` with 0, 1, 2, …; pauses after each batch, so that the flood lasts longer than an upgrade. */
  async flood(event, count, batch) {
    const from = this.transport();
    for (let n = 0; n < count; n += 1) {
      this.socket.emit(event, n);
      if (n % batch === batch - 1) await pause();
    }
    return { from, to: this.transport() };
  }

  transport() {
    return this.socket.io.engine?.transport?.name;
  }

  async upgraded() {
    while (this.transport() !== "websocket") await pause();
  }

  id() {
    return this.socket.id;
  }

  disconnect() {
    this.socket.disconnect();
  }

  connect() {
    this.socket.connect();
  }

  /** Closes the transport under the Socket.IO client, which then tries to reconnect. */
  cut() {
    this.socket.io.engine.close();
  }
}

function hashOf({ certificateHash }) {
  const value = Uint8Array.from(certificateHash.match(/../g), (digits) => Number.parseInt(digits, 16));
  return { algorithm: "sha-256", value };
}

/** An agent for the generations since 3.0. */
export class Agent {
  #io;
  #settings;
  #clients = new Map();

  /** `settings`: more options of every connection. */
  constructor(io, settings = {}) {
    this.#io = io;
    this.#settings = settings;
  }

  /** The client of one namespace, not connected yet. */
  client(manager, namespace, options) {
    return new Client(manager.socket(namespace, { auth: options.auth }), options.replies ?? {});
  }

  /** Arguments in the form in which the client library takes them. */
  toLibrary(args) {
    return args;
  }

  /** Opens one connection with a client for each of `options.namespaces`; `handles` names them. */
  open(handles, options) {
    const manager = new this.#io.Manager(options.url, {
      transports: transportsOf[options.mode],
      reconnection: options.reconnection ?? false,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      query: options.query,
      extraHeaders: options.headers,
      perMessageDeflate: options.perMessageDeflate,
      eio: options.eio,
      ...(options.certificateHash && { transportOptions: { webtransport: { serverCertificateHashes: [hashOf(options)] } } }),
      forceJSONP: options.mode === "jsonp",
      autoConnect: false,
      ...this.#settings,
    });
    for (const [at, handle] of handles.entries()) {
      const client = this.client(manager, options.namespaces[at], options);
      this.#clients.set(handle, client);
      client.connect();
    }
  }

  close() {
    for (const client of this.#clients.values()) client.socket.disconnect();
    this.#clients.clear();
  }

  /** Carries out one command; arguments and result are in the packed form. */
  async run(operation, handle, args) {
    if (operation === "open") return this.open(handle, args[0]);
    if (operation === "close") return this.close();
    return pack(await this.#clients.get(handle)[operation](...this.toLibrary(unpack(args))));
  }
}
