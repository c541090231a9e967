// One connection that several sockets share, each for a namespace; it comes back by itself.

import { Emitter, type DefaultEventsMap, type EventsMap } from "../emitter.js";
import type { EngineOptions } from "../engineio/config.js";
import type { RawData } from "../engineio/packet.js";
import { Engine } from "../engineio/session.js";
import type { CloseDetails } from "../engineio/transport.js";
import { after, type Timer } from "../timers.js";
import { delayOf } from "./backoff.js";
import type { Packet } from "./packet.js";
import { Decoder, Encoder } from "./parser.js";
import { Socket, type DisconnectDescription, type SocketOptions } from "./socket.js";

/** A parser: `socket.io-msgpack-parser`, or one of your own. The server must use the same. */
export interface Parser {
  Encoder: new () => { encode(packet: any): any[] };
  Decoder: new () => { add(chunk: any): void; destroy(): void; on(event: "decoded", listener: (packet: any) => void): unknown };
}

/** Options that can be read and changed on the manager later, by a method of the same name. */
interface Settings {
  /** Whether to come back. Default true. */
  reconnection: boolean;
  /** Attempts before giving up. Default: no limit. */
  reconnectionAttempts: number;
  /** Milliseconds before the first attempt. Default 1000. */
  reconnectionDelay: number;
  /** Milliseconds between two attempts, at the most. Default 5000. */
  reconnectionDelayMax: number;
  /** How much chance there is in the delay, from 0 to 1. Default 0.5. */
  randomizationFactor: number;
  /** Milliseconds that connecting may take; `false`: for ever. Default 20000. */
  timeout: number | false;
}

export interface ManagerOptions extends EngineOptions, Settings {
  /** Make a connection of its own. Default false. */
  forceNew: boolean;
  /** Share the connection with other namespaces of the same server. Default true. */
  multiplex: boolean;
  /** Connect without being asked. Default true. */
  autoConnect: boolean;
  parser: any;
}

export interface ManagerReservedEvents {
  open: () => void;
  error: (error: Error) => void;
  ping: () => void;
  packet: (packet: Packet) => void;
  close: (reason: string, description?: DisconnectDescription) => void;
  reconnect_failed: () => void;
  reconnect_attempt: (attempt: number) => void;
  reconnect_error: (error: Error) => void;
  reconnect: (attempt: number) => void;
}

export class Manager<ListenEvents extends EventsMap = DefaultEventsMap, EmitEvents extends EventsMap = ListenEvents> extends Emitter<
  {},
  {},
  ManagerReservedEvents
> {
  /** The connection below, once there was one. */
  engine!: Engine;
  opts: Partial<ManagerOptions>;
  /** Whether sockets connect when they are made. */
  _autoConnect: boolean;
  _readyState: "opening" | "open" | "closed" = "closed";
  _reconnecting = false;
  private readonly _url?: string;
  private readonly _sockets = new Map<string, Socket<ListenEvents, EmitEvents>>();
  private readonly _settings: Settings;
  private readonly _encoder: InstanceType<Parser["Encoder"]>;
  private readonly _decoder: InstanceType<Parser["Decoder"]>;
  private _attempts = 0;
  /** Whether somebody closed it on purpose. */
  private _stopped = false;
  private _timer?: Timer;
  /** What ends each subscription to the engine. */
  private readonly _subscriptions: (() => void)[] = [];

  constructor(opts?: Partial<ManagerOptions>);
  constructor(url?: string, opts?: Partial<ManagerOptions>);
  constructor(url?: string | Partial<ManagerOptions>, opts?: Partial<ManagerOptions>);
  constructor(url?: string | Partial<ManagerOptions>, opts?: Partial<ManagerOptions>) {
    super();
    if (typeof url === "object") [url, opts] = [undefined, url];
    this._url = url;
    this.opts = opts = { path: "/socket.io", ...opts };
    this._settings = {
      reconnection: opts.reconnection !== false,
      reconnectionAttempts: opts.reconnectionAttempts || Infinity,
      reconnectionDelay: opts.reconnectionDelay || 1000,
      reconnectionDelayMax: opts.reconnectionDelayMax || 5000,
      randomizationFactor: opts.randomizationFactor ?? 0.5,
      timeout: opts.timeout ?? 20_000,
    };
    const parser: Parser = opts.parser ?? { Encoder, Decoder };
    this._encoder = new parser.Encoder();
    this._decoder = new parser.Decoder();
    this._decoder.on("decoded", (packet) => this.emitReserved("packet", packet));
    this._autoConnect = opts.autoConnect !== false;
    if (this._autoConnect) this.open();
  }

  /** Connects; `done` is called once, with an error if that failed. Without `done` a failure starts the attempts to reconnect. */
  open(done?: (error?: Error) => void): this {
    if (this._readyState !== "closed") return this;
    const engine = (this.engine = new Engine(this._url, this.opts));
    this._readyState = "opening";
    this._stopped = false;
    const fail = (error: Error) => {
      this._release();
      this._readyState = "closed";
      this.emitReserved("error", error);
      if (done) done(error);
      // The first attempt that fails starts the others.
      else if (!this._reconnecting && this._settings.reconnection && this._attempts === 0) this._reconnect();
    };
    this._listen("open", () => {
      this._onOpen();
      done?.();
    });
    this._listen("error", fail);
    const { timeout } = this._settings;
    if (timeout !== false) {
      this._timer = after(timeout, this.opts, () => {
        fail(new Error("timeout"));
        engine.close();
      });
    }
    return this;
  }

  connect(done?: (error?: Error) => void): this {
    return this.open(done);
  }

  private _onOpen(): void {
    this._release();
    this._readyState = "open";
    this._listen("ping", () => this.emitReserved("ping"));
    this._listen("data", (data: RawData) => this._onData(data));
    this._listen("error", (error: Error) => this.emitReserved("error", error));
    this._listen("close", (reason: string, details?: CloseDetails) => this._onClose(reason, details));
    this.emitReserved("open");
  }

  private _onData(data: RawData): void {
    try {
      this._decoder.add(data);
    } catch (error) {
      this._onClose("parse error", error as Error);
    }
  }

  private _listen(event: "open" | "ping" | "data" | "error" | "close", listener: (...args: any[]) => void): void {
    const { engine } = this;
    engine.on(event, listener);
    this._subscriptions.push(() => engine.off(event, listener));
  }

  /** Lets go of the timer and of the engine's events, where others may listen too. */
  private _release(): void {
    clearTimeout(this._timer);
    for (const end of this._subscriptions.splice(0)) end();
    this._decoder.destroy();
  }

  private _onClose(reason: string, description?: DisconnectDescription): void {
    this._release();
    this.engine?.close();
    this._attempts = 0;
    this._readyState = "closed";
    this.emitReserved("close", reason, description);
    if (this._settings.reconnection && !this._stopped) this._reconnect();
  }

  private _reconnect(): void {
    if (this._reconnecting || this._stopped) return;
    if (this._attempts >= this._settings.reconnectionAttempts) {
      this._attempts = 0;
      this.emitReserved("reconnect_failed");
      return;
    }
    this._reconnecting = true;
    const delay = delayOf(this._attempts, this._settings);
    this._attempts += 1;
    this._timer = after(delay, this.opts, () => {
      if (!this._stopped) this.emitReserved("reconnect_attempt", this._attempts);
      // A listener may have stopped it.
      if (this._stopped) return;
      this.open((error) => {
        const attempt = this._attempts;
        this._reconnecting = false;
        if (error) {
          this.emitReserved("reconnect_error", error);
          this._reconnect();
        } else {
          this._attempts = 0;
          this.emitReserved("reconnect", attempt);
        }
      });
    });
  }

  /** The socket of a namespace: the same one whoever asks. */
  socket(nsp: string, opts?: Partial<SocketOptions>): Socket<ListenEvents, EmitEvents> {
    let socket = this._sockets.get(nsp);
    if (!socket) {
      socket = new Socket<ListenEvents, EmitEvents>(this, nsp, opts);
      this._sockets.set(nsp, socket);
    } else if (this._autoConnect && !socket.active) socket.connect();
    return socket;
  }

  /** Whether the namespace has a socket already. @internal */
  _has(nsp: string): boolean {
    return this._sockets.has(nsp);
  }

  /** Closes the connection when no socket wants it any more. @internal */
  _destroy(): void {
    for (const socket of this._sockets.values()) if (socket.active) return;
    this._close();
  }

  /** @internal */
  _packet(packet: Packet): void {
    for (const part of this._encoder.encode(packet)) this.engine.write(part, packet.options);
  }

  /** Closes the connection for good. */
  _close(): void {
    this._stopped = true;
    this._reconnecting = false;
    this._onClose("forced close");
  }
}

/** Each reads its option, or changes it. */
export interface Manager<ListenEvents extends EventsMap = DefaultEventsMap, EmitEvents extends EventsMap = ListenEvents> {
  reconnection: Setting<"reconnection", this>;
  reconnectionAttempts: Setting<"reconnectionAttempts", this>;
  reconnectionDelay: Setting<"reconnectionDelay", this>;
  reconnectionDelayMax: Setting<"reconnectionDelayMax", this>;
  randomizationFactor: Setting<"randomizationFactor", this>;
  timeout: Setting<"timeout", this>;
}

interface Setting<Name extends keyof Settings, Self> {
  (value: Settings[Name]): Self;
  (): Settings[Name];
}

for (const name of [
  "reconnection",
  "reconnectionAttempts",
  "reconnectionDelay",
  "reconnectionDelayMax",
  "randomizationFactor",
  "timeout",
] as const) {
  (Manager.prototype as any)[name] = function (this: any, ...values: unknown[]) {
    if (values.length === 0) return this._settings[name];
    this._settings[name] = values[0];
    // It ends the attempts that are under way, too.
    if (name === "reconnection") this._stopped = !(this._settings[name] = !!values[0]);
    return this;
  };
}
