// A small client of Patera's native WebSocket endpoint (subprotocol `patera.json`): events, acknowledgements and
// reconnection over the browser's own `WebSocket`. It is not a Socket.IO client.
//
//   both ways   {"event": "name", "args": […], "ack": 7}      `ack` only where an answer is wanted
//   both ways   {"ack": 7, "args": […]}
//   first       {"event": "connect", "args": [{"sid": "…"}]}

const SUBPROTOCOL = "patera.json";
const PENDING_ACKS_MAX = 1024;

/** Names and values as in Socket.IO where it has them; times in milliseconds. */
const DEFAULTS = {
  reconnectionAttempts: 12,
  reconnectionDelay: 1000,
  reconnectionDelayMax: 5000,
  randomizationFactor: 0.5,
  connectTimeout: 10_000,
  ackTimeout: 5000,
  // A browser hides WebSocket pings from a page. This server pushes each second, so a long silence means a dead network.
  silenceMax: 20_000,
};

/**
 *   idle ──connect()──▶ connecting ──"connect"──▶ connected
 *    ▲                     │    ▲                     │
 *    │ disconnect()        ▼    │ after the delay     │ lost
 *    └───────────────── waiting ◀─────────────────────┘
 *                          │ attempts used up
 *                          ▼
 *                        failed ──connect()──▶ connecting
 */
export class NativeSocket {
  state = "idle";
  /** The socket id while connected, else null. */
  id = null;
  /** Which attempt to reconnect is awaited or under way; 0 for none. */
  attempt = 0;

  #url;
  #options;
  #webSocket = null;
  #timer = null;
  #ackId = 0;
  #acks = new Map();
  #handlers = new Map();
  #heardAt = 0;

  /** Told of every step of the connection's life: `(name, detail)`. */
  onLife = () => {};
  /** Told of every packet: `("in" | "out", packet)`. */
  onPacket = () => {};

  constructor(url, options = {}) {
    this.#url = url;
    this.#options = { ...DEFAULTS, ...options };
    setInterval(() => this.#checkSilence(), this.#options.silenceMax / 4);
  }

  /** One handler per event: `handler(...args)`. */
  on(event, handler) {
    this.#handlers.set(event, handler);
    return this;
  }

  connect() {
    if (this.state === "connecting" || this.state === "connected") return;
    if (this.state !== "waiting") this.attempt = 0;
    this.#open();
  }

  /** Ends the connection for good, until `connect()`. */
  disconnect() {
    if (this.state === "idle" || this.state === "failed") return;
    const wasConnected = this.#release(1000);
    this.state = "idle";
    this.onLife("disconnect", { reason: wasConnected ? "client disconnect" : "gave up connecting" });
  }

  /** Loses the connection on purpose, as a failing network would. */
  drop() {
    if (this.state === "connected") this.#lost("connection dropped");
  }

  /** Sends an event, or returns false when there is no connection: nothing is kept for later. */
  emit(event, ...args) {
    return this.#send({ event, args });
  }

  /**
   * Sends an event and waits for its acknowledgement: `{ args, milliseconds }`.
   * Rejects when not connected, when the connection is lost, and after `ackTimeout`.
   */
  emitWithAck(event, ...args) {
    return new Promise((resolve, reject) => {
      if (this.#acks.size >= PENDING_ACKS_MAX) return reject(new Error("too many unanswered"));
      const ack = this.#ackId++;
      const sentAt = performance.now();
      if (!this.#send({ event, args, ack })) return reject(new Error("not connected"));
      const timer = setTimeout(() => {
        this.#acks.delete(ack);
        reject(new Error("no answer in time"));
      }, this.#options.ackTimeout);
      this.#acks.set(ack, {
        settle: (answer) => {
          clearTimeout(timer);
          resolve({ args: answer, milliseconds: performance.now() - sentAt });
        },
        fail: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  #open() {
    clearTimeout(this.#timer);
    this.state = "connecting";
    this.onLife("connecting", { url: this.#url });
    const webSocket = new WebSocket(this.#url, SUBPROTOCOL);
    this.#webSocket = webSocket;
    this.#timer = setTimeout(() => this.#lost("connect timeout"), this.#options.connectTimeout);
    // A socket that was let go may still report: only the current one is heard.
    const ifCurrent = (handle) => (event) => {
      if (this.#webSocket === webSocket) handle(event);
    };
    webSocket.onmessage = ifCurrent(({ data }) => this.#handleMessage(data));
    webSocket.onclose = ifCurrent(({ code, reason }) => this.#lost(closeReason(code, reason)));
  }

  #handleMessage(data) {
    this.#heardAt = Date.now();
    const packet = decode(data);
    if (packet === null) return;
    this.onPacket("in", packet);
    if (packet.event === undefined) return this.#handleAck(packet);
    if (packet.event === "connect") return this.#handleConnect(packet.args[0]?.sid);
    this.#handlers.get(packet.event)?.(...packet.args);
  }

  #handleConnect(sid) {
    if (this.state !== "connecting" || typeof sid !== "string") return;
    clearTimeout(this.#timer);
    const attempt = this.attempt;
    this.attempt = 0;
    this.state = "connected";
    this.id = sid;
    if (attempt > 0) this.onLife("reconnect", { attempt });
    this.onLife("connect", { sid });
  }

  #handleAck({ ack, args }) {
    const pending = this.#acks.get(ack);
    this.#acks.delete(ack);
    pending?.settle(args);
  }

  #lost(reason) {
    const wasConnected = this.#release(3000);
    const { reconnectionAttempts } = this.#options;
    const hasFailed = this.attempt >= reconnectionAttempts;
    if (!hasFailed) this.attempt += 1;
    this.state = hasFailed ? "failed" : "waiting";
    this.onLife(wasConnected ? "disconnect" : "connect_error", { reason });
    if (hasFailed) return this.onLife("reconnect_failed", { attempts: reconnectionAttempts });
    const delay = backoff(this.attempt, this.#options);
    this.#timer = setTimeout(() => this.#open(), delay);
    this.onLife("reconnecting", { attempt: this.attempt, delay });
  }

  /** Lets go of the WebSocket, its timers and its unanswered acknowledgements; tells whether it was connected. */
  #release(code) {
    const wasConnected = this.id !== null;
    clearTimeout(this.#timer);
    const webSocket = this.#webSocket;
    this.#webSocket = null;
    this.id = null;
    if (webSocket !== null && webSocket.readyState <= WebSocket.OPEN) webSocket.close(code);
    const unanswered = [...this.#acks.values()];
    this.#acks.clear();
    for (const pending of unanswered) pending.fail(new Error("connection lost"));
    return wasConnected;
  }

  #send(packet) {
    if (this.state !== "connected" || this.#webSocket.readyState !== WebSocket.OPEN) return false;
    this.#webSocket.send(JSON.stringify(packet));
    this.onPacket("out", packet);
    return true;
  }

  #checkSilence() {
    const isSilent = Date.now() - this.#heardAt > this.#options.silenceMax;
    if (this.state === "connected" && isSilent) this.#lost("silence");
  }
}

/** 1 s, 2 s, 4 s, 5 s, …, each spread by the factor so that a server that restarts is not met by everyone at once. */
function backoff(attempt, { reconnectionDelay, reconnectionDelayMax, randomizationFactor }) {
  const base = Math.min(reconnectionDelay * 2 ** (attempt - 1), reconnectionDelayMax);
  const spread = (Math.random() * 2 - 1) * randomizationFactor;
  return Math.min(base * (1 + spread), reconnectionDelayMax);
}

function decode(data) {
  if (typeof data !== "string") return null;
  let packet;
  try {
    packet = JSON.parse(data);
  } catch {
    return null;
  }
  if (packet === null || !Array.isArray(packet.args)) return null;
  const isEvent = typeof packet.event === "string";
  const isAck = packet.event === undefined && Number.isSafeInteger(packet.ack);
  return isEvent || isAck ? packet : null;
}

function closeReason(code, reason) {
  const meaning = {
    1000: "closed by the server",
    1001: "server going away",
    1006: "connection lost",
    1008: "refused by policy",
    1009: "message too big",
  }[code];
  return [reason || meaning || "closed", `code ${code}`].join(", ");
}
