// One namespace of a connection: what a page holds, emits to and listens to.

import { callAll, Emitter, type DefaultEventsMap, type EventNames, type EventParams, type EventsMap } from "../emitter.js";
import type { CloseDetails } from "../engineio/transport.js";
import { after } from "../timers.js";
import type { Manager } from "./manager.js";
import { PacketType, reservedEvents, type Packet } from "./packet.js";
import { RetryQueue, type Ack, type Flags } from "./queue.js";

type PrependTimeoutError<Args extends any[]> = {
  [K in keyof Args]: Args[K] extends (...args: infer Params) => infer Result ? (err: Error, ...args: Params) => Result : Args[K];
};

/** The same events, with an error in front of each acknowledgement's arguments. */
export type DecorateAcknowledgements<Events> = {
  [K in keyof Events]: Events[K] extends (...args: infer Params) => infer Result
    ? (...args: PrependTimeoutError<Params>) => Result
    : Events[K];
};

export type Last<List extends any[]> = List extends [...infer _, infer Item] ? Item : any;
export type AllButLast<List extends any[]> = List extends [...infer Items, infer _] ? Items : any[];
export type FirstArg<Callback> = Callback extends (arg: infer Arg) => infer _ ? Arg : any;

type Auth = { [key: string]: any } | ((cb: (data: object) => void) => void);

export interface SocketOptions {
  /** Credentials for the namespace; a function is asked at each connection, so that a token may be renewed. */
  auth?: Auth;
  /** How often an event without acknowledgement is sent again. Default 0. Wants `ackTimeout`. */
  retries?: number;
  /** Milliseconds that an acknowledgement may take. Default: for ever. */
  ackTimeout?: number;
}

/** More about the end of a connection: an error, or the event or answer that told it. */
export type DisconnectDescription = Error | CloseDetails;

/** An error that may bring data: what the namespace's middleware has given. */
export interface ExtendedError extends Error {
  data?: any;
}

/**
 * What the socket raises itself. `connect`, `connect_error` and `disconnect` are those of socket.io-client 3 and 4; the
 * others are those of the generations before, which told on the socket what is now told on the manager.
 */
export interface SocketReservedEvents {
  connect: () => void;
  connect_error: (err: ExtendedError) => void;
  disconnect: (reason: Socket.DisconnectReason, description?: DisconnectDescription) => void;
  /** It begins to connect, by itself or because of `connect()`. */
  connecting: () => void;
  /** As `connect_error`. */
  connect_failed: (err: ExtendedError) => void;
  /** As `connect_error`; and a transport that breaks. */
  error: (err: ExtendedError) => void;
  /** An attempt to reconnect begins: the first one is 1. */
  reconnect_attempt: (attempt: number) => void;
  /** As `reconnect_attempt`. */
  reconnecting: (attempt: number) => void;
  /** The attempt succeeded; `connect` follows. */
  reconnect: (attempt: number) => void;
  reconnect_error: (err: Error) => void;
  /** No attempt is left. */
  reconnect_failed: () => void;
}

type AnyListener = (...args: any[]) => void;

export class Socket<ListenEvents extends EventsMap = DefaultEventsMap, EmitEvents extends EventsMap = ListenEvents> extends Emitter<
  ListenEvents,
  EmitEvents,
  SocketReservedEvents
> {
  /** Known by the server under this id, while connected; another one after each reconnection that recovers nothing. */
  id: string | undefined;
  connected = false;
  /** Whether the last connection went on where the one before had ended: same id and rooms, and nothing missed. */
  recovered = false;
  auth!: Auth;
  /** Events that came before the namespace was joined. */
  receiveBuffer: Array<ReadonlyArray<any>> = [];
  /** Packets that wait for the connection. */
  sendBuffer: Packet[] = [];
  private _pid?: string;
  private _lastOffset?: string;
  private _nextId = 0;
  private readonly _acks = new Map<number, Ack>();
  private _flags: Flags = {};
  private readonly _queue?: RetryQueue;
  private _unsubscribe?: () => void;
  private _any: AnyListener[] = [];
  private _anyOutgoing: AnyListener[] = [];

  constructor(
    readonly io: Manager<ListenEvents, EmitEvents>,
    readonly nsp: string,
    private readonly _opts: Partial<SocketOptions> = {},
  ) {
    super();
    if (_opts.auth) this.auth = _opts.auth;
    if (_opts.retries) {
      this._queue = new RetryQueue(_opts.retries, (args, flags) => {
        if (this.connected) this._emit(args, flags);
        return this.connected;
      });
    }
    if (io._autoConnect) this.open();
  }

  get disconnected(): boolean {
    return !this.connected;
  }

  /** Whether it is connected, or will be without being asked. */
  get active(): boolean {
    return this._unsubscribe !== undefined;
  }

  connect(): this {
    if (this.connected) return this;
    this._subscribe();
    const { io } = this;
    if (!io._reconnecting) io.open();
    if (io._readyState === "open") this._onOpen();
    // Not at once: who has just made it could not listen yet.
    queueMicrotask(() => this.active && !this.connected && this.emitReserved("connecting"));
    return this;
  }

  open(): this {
    return this.connect();
  }

  private _subscribe(): void {
    if (this._unsubscribe) return;
    const { io } = this;
    const subscriptions: [any, AnyListener][] = [
      ["open", () => this._onOpen()],
      ["packet", (packet: Packet) => this._onPacket(packet)],
      ["error", (error: Error) => (this.connected ? this.emitReserved("error", error) : this._refused(error))],
      ["close", (reason, description) => this._onClose(reason, description)],
      [
        "reconnect_attempt",
        (attempt: number) => {
          this.emitReserved("reconnect_attempt", attempt);
          this.emitReserved("reconnecting", attempt);
        },
      ],
      ...(["reconnect", "reconnect_error", "reconnect_failed"] as const).map((event): [any, AnyListener] => [
        event,
        (...args) => this._raise(event, args),
      ]),
    ];
    for (const [event, listener] of subscriptions) io.on(event, listener);
    this._unsubscribe = () => {
      for (const [event, listener] of subscriptions) io.off(event, listener);
    };
  }

  /** Leaves the namespace, and closes the connection if no other one is in use. It does not come back by itself. */
  disconnect(): this {
    if (this.connected) this._packet({ type: PacketType.DISCONNECT });
    // Nothing is to be recovered, even if the server reads the next CONNECT, on another connection, before this goodbye.
    this._pid = undefined;
    this._destroy();
    this._onClose("io client disconnect");
    return this;
  }

  close(): this {
    return this.disconnect();
  }

  private _destroy(): void {
    this._unsubscribe?.();
    this._unsubscribe = undefined;
    this.io._destroy();
  }

  /** Emits `message`. */
  send(...args: any[]): this {
    return this.emit("message", ...(args as any));
  }

  /** Sends an event; not connected, when it will be. A function at the end is called with the acknowledgement. */
  emit<Event extends EventNames<EmitEvents>>(event: Event, ...args: EventParams<EmitEvents, Event>): this {
    if (reservedEvents.includes(event)) throw new Error(`"${String(event)}" is a reserved event name`);
    const flags = this._flags;
    this._flags = {};
    const all: unknown[] = [event, ...args];
    if (this._queue && !flags.volatile) this._queue.add(all, flags, takeAck(all));
    else this._emit(all, flags);
    return this;
  }

  private _emit(args: unknown[], flags: Flags): void {
    const data = [...args];
    const packet: Omit<Packet, "nsp"> = { type: PacketType.EVENT, data, options: { compress: flags.compress !== false } };
    const { engine } = this.io;
    const ready = this.connected && !engine._hasPingExpired();
    const dropped = flags.volatile && !(ready && engine.transport.writable);
    const ack = takeAck(data);
    if (ack) packet.id = this._expect(ack, flags.timeout ?? this._opts.ackTimeout);
    if (dropped) return;
    if (ready) this._sendEvent(packet);
    else this.sendBuffer.push({ ...packet, nsp: this.nsp });
  }

  /** Keeps what is to be called with the acknowledgement of this id. */
  private _expect(ack: Ack, timeout: number | undefined): number {
    const id = this._nextId++;
    if (timeout === undefined) {
      this._acks.set(id, ack);
      return id;
    }
    const timer = after(timeout, this.io.opts, () => {
      this._acks.delete(id);
      this.sendBuffer = this.sendBuffer.filter((packet) => packet.id !== id);
      ack.call(this, new Error("operation has timed out"));
    });
    const inTime: Ack = (...args) => {
      clearTimeout(timer);
      ack.apply(this, args);
    };
    inTime.withError = true;
    this._acks.set(id, inTime);
    return id;
  }

  /** Emits and resolves to the acknowledgement's first argument. Rejects if the connection ends, or the time. */
  emitWithAck<Event extends EventNames<EmitEvents>>(
    event: Event,
    ...args: AllButLast<EventParams<EmitEvents, Event>>
  ): Promise<FirstArg<Last<EventParams<EmitEvents, Event>>>> {
    return new Promise((resolve, reject) => {
      const settle: Ack = (error, value) => (error ? reject(error) : resolve(value));
      settle.withError = true;
      this.emit(event, ...([...args, settle] as any));
    });
  }

  /** The next `emit` waits so many milliseconds for its acknowledgement, which then gets an error first. */
  timeout(timeout: number): Socket<ListenEvents, DecorateAcknowledgements<EmitEvents>> {
    this._flags.timeout = timeout;
    return this as any;
  }

  /** Whether the next `emit` may be compressed. */
  compress(compress: boolean): this {
    this._flags.compress = compress;
    return this;
  }

  /** The next `emit` is dropped if it cannot be sent at once. */
  get volatile(): this {
    this._flags.volatile = true;
    return this;
  }

  private _packet(packet: Omit<Packet, "nsp">): void {
    this.io._packet({ ...packet, nsp: this.nsp });
  }

  private _sendEvent(packet: Omit<Packet, "nsp">): void {
    callAll(this, this.listenersAnyOutgoing(), packet.data);
    this._packet(packet);
  }

  /** Asks to be let in. */
  private _onOpen(): void {
    const { auth, io } = this;
    const join = (data?: object) => {
      if (io.engine.opts.eio > 3) {
        if (this._pid) data = { pid: this._pid, offset: this._lastOffset, ...data };
        this._packet({ type: PacketType.CONNECT, data });
      } else if (this.nsp !== "/") {
        // Revision 4 has no payload here, but a query; and it lets everybody into `/` unasked.
        const query = new URLSearchParams(data as Record<string, string>).toString();
        io._packet({ type: PacketType.CONNECT, nsp: query ? `${this.nsp}?${query}` : this.nsp });
      }
    };
    if (typeof auth === "function") auth(join);
    else join(auth);
  }

  private _onPacket({ type, nsp, id, data }: Packet): void {
    // A server of revision 4 may repeat the query.
    if (nsp !== this.nsp && (type !== PacketType.CONNECT || nsp.split("?")[0] !== this.nsp)) return;
    switch (type) {
      case PacketType.CONNECT:
        return this._onConnect(data);
      case PacketType.EVENT:
      case PacketType.BINARY_EVENT:
        return this._onEvent(id === undefined ? data : [...data, this._answer(id)]);
      case PacketType.ACK:
      case PacketType.BINARY_ACK:
        return this._onAck(id!, data);
      case PacketType.DISCONNECT:
        this._pid = undefined;
        this._destroy();
        return this._onClose("io server disconnect");
      case PacketType.CONNECT_ERROR: {
        this._destroy();
        const error: ExtendedError = new Error(data?.message ?? (typeof data === "string" ? data : "refused"));
        error.data = typeof data?.message === "string" ? data.data : data;
        this._refused(error);
      }
    }
  }

  private _refused(error: ExtendedError): void {
    this.emitReserved("connect_error", error);
    this.emitReserved("connect_failed", error);
    this.emitReserved("error", error);
  }

  private _onConnect(data: { sid?: string; pid?: string } | undefined): void {
    const { engine } = this.io;
    let { sid, pid } = data ?? {};
    if (engine.opts.eio < 4) sid = (this.nsp === "/" ? "" : `${this.nsp}#`) + engine.id;
    if (!sid) {
      return this._refused(new Error("the server speaks an older protocol: it wants the option `eio: 3`"));
    }
    this.id = sid;
    this.recovered = pid !== undefined && this._pid === pid;
    this._pid = pid;
    this.connected = true;
    for (const args of this.receiveBuffer.splice(0)) this._dispatch(args);
    // One that cannot be encoded does not keep the others.
    for (const packet of this.sendBuffer.splice(0)) callAll(this, [this._sendEvent], [packet]);
    this._queue?.restart();
    this.emitReserved("connect");
  }

  private _onEvent(args: unknown[]): void {
    if (this.connected) this._dispatch(args);
    else this.receiveBuffer.push(args);
  }

  private _dispatch(args: readonly any[]): void {
    callAll(this, this.listenersAny(), args);
    this._raise(args[0], args.slice(1));
    const last = args.at(-1);
    // With recovery on, the server ends events by where the client now is.
    if (this._pid && typeof last === "string") this._lastOffset = last;
  }

  /** What a listener calls to acknowledge; once. */
  private _answer(id: number): Ack {
    let answered = false;
    return (...data) => {
      if (answered) return;
      answered = true;
      this._packet({ type: PacketType.ACK, id, data });
    };
  }

  private _onAck(id: number, args: unknown[]): void {
    const ack = this._acks.get(id);
    this._acks.delete(id);
    if (ack) callAll(this, [ack], ack.withError ? [null, ...args] : args);
  }

  private _onClose(reason: string, description?: DisconnectDescription): void {
    if (this.connected) {
      this.connected = false;
      this.id = undefined;
      this.emitReserved("disconnect", reason as Socket.DisconnectReason, description);
    }
    // Nobody will answer them; those that were not sent yet wait on.
    for (const [id, ack] of [...this._acks]) {
      if (this.sendBuffer.some((packet) => packet.id === id)) continue;
      this._acks.delete(id);
      if (ack.withError) callAll(this, [ack], [new Error("socket has been disconnected")]);
    }
  }

  /** Calls `listener` with every event that arrives: its name, then its arguments. */
  onAny(listener: AnyListener): this {
    this._any.push(listener);
    return this;
  }

  prependAny(listener: AnyListener): this {
    this._any.unshift(listener);
    return this;
  }

  offAny(listener?: AnyListener): this {
    this._any = without(this._any, listener);
    return this;
  }

  listenersAny(): AnyListener[] {
    return [...this._any];
  }

  /** Calls `listener` with every event that is sent. */
  onAnyOutgoing(listener: AnyListener): this {
    this._anyOutgoing.push(listener);
    return this;
  }

  prependAnyOutgoing(listener: AnyListener): this {
    this._anyOutgoing.unshift(listener);
    return this;
  }

  offAnyOutgoing(listener?: AnyListener): this {
    this._anyOutgoing = without(this._anyOutgoing, listener);
    return this;
  }

  listenersAnyOutgoing(): AnyListener[] {
    return [...this._anyOutgoing];
  }
}

export declare namespace Socket {
  /** Why a connection has ended. */
  export type DisconnectReason =
    | "io server disconnect"
    | "io client disconnect"
    | "ping timeout"
    | "transport close"
    | "transport error"
    | "parse error"
    | "forced close";
}

/** Removes the acknowledgement's callback from the end of `args`, if there is one. */
function takeAck(args: unknown[]): Ack | undefined {
  return typeof args.at(-1) === "function" ? (args.pop() as Ack) : undefined;
}

/** The list without the first such entry; nothing is left if none is named. */
function without(list: AnyListener[], entry: AnyListener | undefined): AnyListener[] {
  const at = entry ? list.indexOf(entry) : -1;
  return entry ? list.filter((_, index) => index !== at) : [];
}
