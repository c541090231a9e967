// The connection of the page: the server's own Socket.IO client, told step by step, and a plug to pull. It owns whether there
// is a connection, over what, and since when; it knows nothing of what is said over it.
//
//   idle ──connect()──▶ connecting ──connect──▶ connected ──disconnect──▶ waiting ──reconnect──▶ connected
//                                                                            └──reconnect_failed──▶ failed

import { io, path, Polling, WebSocket as WebSocketTransport } from "./client.js";

/** Options that may stand in the page's address, `?transports=polling&reconnectionDelay=200`, and what is read from it. */
const FROM_ADDRESS = {
  transports: (text) => text.split(",").filter((name) => name in TRANSPORTS),
  upgrade: (text) => text !== "false",
  reconnectionAttempts: number,
  reconnectionDelay: number,
  reconnectionDelayMax: number,
  timeout: number,
};

/** A demo shows more when it comes back soon; all else is as in Socket.IO. Times in milliseconds. */
const DEFAULTS = { reconnectionDelay: 500, reconnectionDelayMax: 2500 };
const ACK_TIMEOUT = 5000;
/** What a message weighs beside its picture: names, JSON, and text in an alphabet of three bytes a letter. */
const PICTURE_OVERHEAD = 16_384;

let isPlugPulled = false;
const TRANSPORTS = { polling: withPlug(Polling), websocket: withPlug(WebSocketTransport) };

/** A transport that connects to nothing while the plug is pulled. */
function withPlug(Transport) {
  return class extends Transport {
    doOpen() {
      if (isPlugPulled) queueMicrotask(() => this.onError("the plug is pulled"));
      else super.doOpen();
    }

    /** Ends beneath the session, which is told as by a network that fails. */
    cut() {
      if (this.readyState === "closed") return;
      this.doClose();
      this.onClose({ description: "the plug was pulled" });
    }
  };
}

export class Connection {
  /** Called with each step of the connection's life: its name, and words about it. */
  onLife = () => {};
  /** Called when anything that a reader may see has changed. */
  onChange = () => {};

  state = "connecting";
  /** Of the attempts to reconnect. */
  attempt = 0;
  /** What the session is carried by, with the one before an upgrade: `{name, from, milliseconds, at}`. */
  transport = null;
  /** When the connection came about, by the clock that cannot be set. */
  since = null;
  /** The id that the server knew this page by last, also while it is away. */
  id = null;
  socket;
  #payloadMax = null;

  constructor(search) {
    const { transports = Object.keys(TRANSPORTS), ...options } = optionsFrom(search);
    this.socket = io({ path, ...DEFAULTS, ...options, transports: transports.map((name) => TRANSPORTS[name]) });
    this.#watchEngine();
    this.#watchManager(this.socket.io);
    this.#watchSocket(this.socket);
  }

  /** Bytes of a picture that the server takes at the most: all of a message by WebSocket, base64 by polling. */
  get pictureMax() {
    if (this.#payloadMax === null) return null;
    const room = Math.max(this.#payloadMax - PICTURE_OVERHEAD, 0);
    return this.transport?.name === "polling" ? Math.floor((room * 3) / 4) : room;
  }

  get isPlugPulled() {
    return isPlugPulled;
  }

  /** From now on nothing goes through, and nothing will until `plugIn`. */
  pullPlug() {
    isPlugPulled = true;
    this.socket.io.engine.transport.cut();
    this.onChange();
  }

  /** The next attempt to reconnect gets through. */
  plugIn() {
    isPlugPulled = false;
    this.onChange();
  }

  connect() {
    this.socket.connect();
  }

  /** Leaves for good, as far as the server is concerned: there is nothing to recover. */
  disconnect() {
    this.socket.disconnect();
    this.#enter("idle");
  }

  /** Emits, and resolves to the acknowledgement and how long it took. Rejects after five seconds, and at the connection's end. */
  async ask(event, ...args) {
    const start = performance.now();
    const answer = await this.socket.timeout(ACK_TIMEOUT).emitWithAck(event, ...args);
    return { answer, milliseconds: performance.now() - start };
  }

  #enter(state) {
    this.state = state;
    if (state !== "connected") this.transport = this.since = null;
    this.onChange();
  }

  #watchSocket(socket) {
    const on = (name, words, enter) => socket.on(name, (...args) => {
      this.onLife(name, words(...args));
      const state = enter?.();
      if (state !== undefined) this.#enter(state);
    });
    on("connecting", () => new URL(path, location.href).href, () => {
      this.#watchEngine();
      return "connecting";
    });
    on("connect", () => (socket.recovered ? `${socket.id}, recovered` : socket.id), () => {
      this.id = socket.id;
      this.attempt = 0;
      return "connected";
    });
    on("connect_error", describe, () => (socket.active ? "waiting" : "failed"));
    on("connect_failed", describe);
    on("error", describe);
    on("disconnect", (reason, details) => [reason, details?.description].filter((text) => typeof text === "string").join(": "),
      () => (socket.active ? "waiting" : "idle"));
    on("reconnecting", (attempt) => `attempt ${attempt}`, () => "waiting");
    on("reconnect", (attempt) => `after ${attempt} ${attempt === 1 ? "attempt" : "attempts"}`);
    on("reconnect_failed", () => `gave up after ${socket.io.reconnectionAttempts()} attempts`, () => "failed");
    on("message", (data) => JSON.stringify(data));
  }

  #watchManager(manager) {
    manager.on("reconnect_attempt", (attempt) => {
      this.attempt = attempt;
      // The engine of this attempt is made behind this event.
      queueMicrotask(() => this.#watchEngine());
    });
    manager.on("open", () => {
      const { engine } = manager;
      const opened = performance.now();
      this.since = opened;
      this.transport = { name: engine.transport.name, from: null };
      engine.on("upgrade", ({ name }) => {
        const milliseconds = performance.now() - opened;
        this.onLife("upgrade", `${this.transport.name} → ${name}, after ${Math.round(milliseconds)} ms`);
        this.transport = { name, from: this.transport.name, milliseconds, at: new Date() };
        this.onChange();
      });
    });
  }

  /** The handshake tells how much the server takes at once. */
  #watchEngine() {
    this.socket.io.engine.on("handshake", ({ maxPayload }) => { this.#payloadMax = maxPayload ?? null; });
  }
}

function describe(error) {
  const status = typeof error.description === "number" ? `, status ${error.description}` : "";
  return `${error.message}${status}`;
}

function number(text) {
  const value = Number(text);
  return text !== "" && value >= 0 && value <= 1e6 ? value : undefined;
}

function optionsFrom(search) {
  const options = {};
  for (const [name, text] of new URLSearchParams(search)) {
    const value = Object.hasOwn(FROM_ADDRESS, name) ? FROM_ADDRESS[name](text) : undefined;
    if (value !== undefined && value.length !== 0) options[name] = value;
  }
  return options;
}
