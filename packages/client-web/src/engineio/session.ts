// One Engine.IO session: its transport, its heartbeat, what waits to be written. It is `socket.io.engine`.
//
//   opening ──▶ open ──▶ closing ──▶ closed       closing: what waits is written first

import { Emitter } from "../emitter.js";
import { platform } from "../platform.js";
import { parseAddress } from "../url.js";
import type { EngineOptions } from "./config.js";
import { parseHandshake, type Handshake } from "./handshake.js";
import { Heartbeat } from "./heartbeat.js";
import { sizeOf, type Packet, type PacketType, type RawData } from "./packet.js";
import { Polling } from "./polling.js";
import type { CloseDetails, Transport, TransportConstructor, TransportOptions } from "./transport.js";
import { probe } from "./upgrade.js";
import { WebSocketTransport } from "./websocket.js";

interface EngineEvents {
  open: () => void;
  handshake: (handshake: Handshake) => void;
  packet: (packet: Packet) => void;
  packetCreate: (packet: Packet) => void;
  data: (data: RawData) => void;
  message: (data: RawData) => void;
  drain: () => void;
  flush: () => void;
  heartbeat: () => void;
  ping: () => void;
  pong: () => void;
  error: (error: Error) => void;
  upgrading: (transport: Transport) => void;
  upgrade: (transport: Transport) => void;
  upgradeError: (error: Error) => void;
  close: (reason: string, details?: CloseDetails | Error) => void;
}

const builtIn: { [name: string]: TransportConstructor } = { polling: Polling, websocket: WebSocketTransport };

export class Engine extends Emitter<{}, {}, EngineEvents> {
  static readonly protocol = 4;
  /** Whether the last attempt at a WebSocket went well, for `rememberUpgrade`. */
  static priorWebsocketSuccess = false;

  /** The session's id, while it is open. */
  id: string | undefined;
  transport!: Transport;
  readyState: "opening" | "open" | "closing" | "closed" = "closed";
  /** Packets that the transport has not taken yet, or not finished with. */
  writeBuffer: Packet[] = [];
  readonly opts: TransportOptions;
  /** How many packets in front of the buffer are with the transport. */
  private _sent = 0;
  private _upgrading = false;
  private _giveUp?: () => void;
  private _maxPayload?: number;
  private _heartbeat?: Heartbeat;
  private readonly _names: string[] = [];
  private readonly _transports = { ...builtIn };
  private readonly _onOffline = () => this._onClose("transport close", { description: "network connection lost" });
  private readonly _onLeave = () => {
    if (!this.transport) return;
    this.transport.off();
    this.transport.close();
  };

  constructor(url?: string, opts: Partial<EngineOptions> = {}) {
    super();
    const address = parseAddress(url ?? opts.host);
    const query = opts.query ?? address.query;
    this.opts = {
      ...opts,
      secure: opts.secure ?? address.secure,
      hostname: opts.hostname ?? address.hostname,
      port: String(opts.port ?? address.port),
      path: (opts.path ?? "/engine.io").replace(/\/$/, "") + (opts.addTrailingSlash === false ? "" : "/"),
      query: typeof query === "string" ? Object.fromEntries(new URLSearchParams(query)) : query,
      eio: opts.eio ?? 4,
    } as TransportOptions;
    for (const each of opts.transports ?? Object.keys(builtIn)) {
      const name: string = typeof each === "string" ? each : each.prototype.name;
      if (typeof each !== "string") this._transports[name] = each;
      if (this._transports[name]) this._names.push(name);
    }
    if (opts.closeOnBeforeunload) globalThis.addEventListener?.("beforeunload", this._onLeave);
    if (this.opts.hostname !== "localhost") globalThis.addEventListener?.("offline", this._onOffline);
    this._open();
  }

  private _open(): void {
    const names = this._names;
    this.readyState = "opening";
    const remembered = this.opts.rememberUpgrade && Engine.priorWebsocketSuccess && names.includes("websocket");
    const name = remembered ? "websocket" : names[0];
    if (name === undefined) {
      queueMicrotask(() => this._onError(new Error("No transports available")));
      return;
    }
    const transport = this._create(name);
    this._use(transport);
    transport.open();
  }

  private _create(name: string): Transport {
    const { opts } = this;
    const own = opts.transportOptions?.[name];
    const query: Record<string, unknown> = { ...opts.query, EIO: opts.eio, transport: name };
    if (this.id) query.sid = this.id;
    return new this._transports[name]!({ ...opts, ...own, query, eio: opts.eio, socket: this } as TransportOptions);
  }

  private _use(transport: Transport): void {
    this.transport?.off();
    this.transport = transport;
    transport.on("drain", () => this._onDrain());
    transport.on("packet", (packet) => this._onPacket(packet, transport));
    transport.on("error", (error) => this._onError(error));
    transport.on("close", (details) => this._onClose("transport close", details));
  }

  private _onPacket(packet: Packet, transport: Transport): void {
    if (this.readyState === "closed") return;
    const { type, data } = packet;
    this.emitReserved("packet", packet);
    this.emitReserved("heartbeat");
    if (type === "open") this._onHandshake(data, transport);
    else if (type === "ping") {
      this._send("pong");
      this.emitReserved("ping");
      this.emitReserved("pong");
      this._heartbeat?.beat();
    } else if (type === "pong") {
      this._heartbeat?.beat();
      this.emitReserved("pong");
    } else if (type === "message") {
      const message = data instanceof ArrayBuffer ? platform.bytes(data) : (data ?? "");
      this.emitReserved("data", message);
      this.emitReserved("message", message);
    } else if (type === "error") this._onError(Object.assign(new Error("server error"), { code: data }));
  }

  private _onHandshake(text: string, transport: Transport): void {
    const handshake = parseHandshake(text);
    if (!handshake || this.id) return this._onError(new Error("server error"));
    this.emitReserved("handshake", handshake);
    const { opts } = this;
    // Polling notices by itself that a server is older than it was told.
    opts.eio = transport.opts.eio;
    this.id = transport.query.sid = handshake.sid;
    this._maxPayload = handshake.maxPayload;
    this.readyState = "open";
    Engine.priorWebsocketSuccess = transport.name === "websocket";
    this._heartbeat = new Heartbeat(
      handshake,
      opts.eio,
      opts,
      () => this._send("ping"),
      () => this._onClose("ping timeout"),
    );
    this.emitReserved("open");
    this._flush();
    const upgrade = this._names.find((name) => name !== transport.name && handshake.upgrades?.includes(name));
    if (upgrade && opts.upgrade !== false && (this.readyState as string) === "open") this._probe(upgrade);
  }

  private _probe(name: string): void {
    Engine.priorWebsocketSuccess = false;
    this._giveUp = probe(this._create(name), {
      onProbed: (transport, takeOver) => {
        this._upgrading = true;
        this.emitReserved("upgrading", transport);
        this.transport.pause(takeOver);
      },
      onUpgraded: (transport) => {
        Engine.priorWebsocketSuccess = transport.name === "websocket";
        this._use(transport);
        transport.send([{ type: "upgrade" }]);
        this.emitReserved("upgrade", transport);
        this._upgrading = false;
        this._flush();
      },
      onUpgradeError: (error) => {
        this.emitReserved("upgradeError", error);
        if (!this._upgrading) return;
        this._upgrading = false;
        this.transport.resume();
        this._flush();
      },
    });
  }

  private _onDrain(): void {
    this.writeBuffer.splice(0, this._sent);
    this._sent = 0;
    if (this.writeBuffer.length > 0) this._flush();
    else this.emitReserved("drain");
  }

  private _flush(): void {
    if (this.readyState === "closed" || this._upgrading || this._sent > 0) return;
    if (!this.transport.writable || this.writeBuffer.length === 0) return;
    const packets = this._writable();
    this._sent = packets.length;
    this.transport.send(packets);
    this.emitReserved("flush");
  }

  /** As many packets as one body may hold; a single one that is larger goes alone. */
  private _writable(): Packet[] {
    const buffer = this.writeBuffer;
    let size = 0;
    const fits = ({ data }: Packet, at: number) => {
      size += sizeOf(data);
      return at === 0 || size - 1 <= this._maxPayload!;
    };
    if (!this._maxPayload || this.transport.name !== "polling") return buffer.slice();
    const end = buffer.findIndex((packet, at) => !fits(packet, at));
    return end < 0 ? buffer.slice() : buffer.slice(0, end);
  }

  /** Whether the heartbeat is overdue, though its timer has not fired: a page that slept. @internal */
  _hasPingExpired(): boolean {
    return this._heartbeat?.hasExpired() ?? false;
  }

  /** Sends a message. `written` is called when the transport has taken it. */
  send(data: RawData, options?: Packet["options"] | (() => void), written?: () => void): this {
    if (typeof options === "function") return this.send(data, undefined, options);
    this._send("message", data, options, written);
    return this;
  }

  write(data: RawData, options?: Packet["options"] | (() => void), written?: () => void): this {
    return this.send(data, options, written);
  }

  private _send(type: PacketType, data?: RawData, options?: Packet["options"], written?: () => void): void {
    if (this.readyState === "closing" || this.readyState === "closed") return;
    const packet: Packet = { type, data, options };
    this.emitReserved("packetCreate", packet);
    this.writeBuffer.push(packet);
    if (written) this.once("flush", written);
    this._flush();
  }

  /** Writes what waits, finishes an upgrade that is under way, then closes. */
  close(): this {
    if (this.readyState === "open" && (this.writeBuffer.length > 0 || this._upgrading)) {
      this.readyState = "closing";
      const finish = () => this._onClose("forced close");
      const whenUpgraded = () => {
        if (!this._upgrading) return finish();
        this.once("upgrade", () => (this.writeBuffer.length > 0 ? this.once("drain", finish) : finish()));
        this.once("upgradeError", finish);
      };
      if (this.writeBuffer.length > 0 && !this._upgrading) this.once("drain", whenUpgraded);
      else whenUpgraded();
    } else if (this.readyState !== "closing") this._onClose("forced close");
    return this;
  }

  private _onError(error: Error): void {
    Engine.priorWebsocketSuccess = false;
    if (this.opts.tryAllTransports && this._names.length > 1 && this.readyState === "opening") {
      this._names.shift();
      this._open();
      return;
    }
    this.emitReserved("error", error);
    this._onClose("transport error", error);
  }

  private _onClose(reason: string, details?: CloseDetails | Error): void {
    if (this.readyState === "closed") return;
    this._heartbeat?.stop();
    this._giveUp?.();
    this.transport?.off();
    this.transport?.close();
    globalThis.removeEventListener?.("beforeunload", this._onLeave);
    globalThis.removeEventListener?.("offline", this._onOffline);
    this.readyState = "closed";
    this.id = undefined;
    this.emitReserved("close", reason, details);
    this.writeBuffer = [];
    this._sent = 0;
  }
}
