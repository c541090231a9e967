// What polling and WebSocket have in common. A transport of your own extends this, with a `name` in its prototype.

import { Emitter } from "../emitter.js";
import { originOf } from "../url.js";
import type { EngineOptions } from "./config.js";
import type { Packet, Version } from "./packet.js";

/** Why a transport failed. */
export class TransportError extends Error {
  readonly type = "TransportError";

  constructor(
    message: string,
    /** The status of an HTTP answer, or the error or event that came instead. */
    readonly description?: any,
    /** `{status, responseText}` of an HTTP answer; the event of a WebSocket. */
    readonly context?: any,
  ) {
    super(message);
  }
}

/** What is known about the end of a transport. */
export interface CloseDetails {
  description: string;
  context?: unknown;
}

interface TransportEvents {
  open: () => void;
  packet: (packet: Packet) => void;
  drain: () => void;
  error: (error: TransportError) => void;
  close: (details?: CloseDetails) => void;
  poll: () => void;
  pollComplete: () => void;
}

/** What a session gives its transports. */
export interface TransportOptions extends EngineOptions {
  query: { [name: string]: any };
  hostname: string;
  port: string;
}

export type TransportConstructor = new (options: TransportOptions) => Transport;

/**
 * ```text
 * opening ──▶ open ──▶ pausing ──▶ paused      (polling, when it is upgraded)
 *    └─────────┴──────────┴──────────┴──▶ closed
 * ```
 */
export abstract class Transport extends Emitter<{}, {}, TransportEvents> {
  /** In the prototype: it is asked before there is a transport. */
  abstract get name(): string;
  readyState: "opening" | "open" | "pausing" | "paused" | "closed" = "opening";
  /** Whether a packet may be written now. */
  writable = false;
  query: { [name: string]: any };

  constructor(readonly opts: TransportOptions) {
    super();
    this.query = { ...opts.query };
  }

  /** Starts connecting. */
  open(): this {
    this.doOpen();
    return this;
  }

  close(): this {
    if (this.readyState !== "closed") {
      this.doClose();
      this.onClose();
    }
    return this;
  }

  /** Writes these packets; only while it is writable. Attachments that are files are read first, in order all the same. */
  send(packets: readonly Packet[]): void {
    this.writable = false;
    const files = packets.filter(({ data }) => data instanceof Blob);
    if (files.length === 0) return this.write(packets);
    const read = files.map(async (packet) => {
      packet.data = await packet.data.arrayBuffer();
    });
    Promise.all(read).then(
      () => this.readyState !== "closed" && this.write(packets),
      (error) => this.onError("blob read error", error),
    );
  }

  /** Stops without losing anything, then calls `then`. */
  pause(then: () => void): void {
    then();
  }

  /** Goes on after a `pause` that came to nothing. */
  resume(): void {}

  protected get version(): Version {
    return this.opts.eio;
  }

  protected uri(scheme: string): string {
    const { opts, query } = this;
    if (opts.forceBase64) query.b64 = 1;
    if (opts.timestampRequests ?? this.name === "polling") {
      query[opts.timestampParam ?? "t"] = Date.now().toString(36) + Math.random().toString(36).slice(2, 6);
    }
    return `${originOf(opts, scheme)}${opts.path}?${new URLSearchParams(query)}`;
  }

  protected onOpen(): void {
    this.readyState = "open";
    this.writable = true;
    this.emitReserved("open");
  }

  protected onPacket(packet: Packet): void {
    this.emitReserved("packet", packet);
  }

  protected onDrain(): void {
    this.writable = true;
    this.emitReserved("drain");
  }

  protected onError(message: string, description?: unknown, context?: unknown): void {
    if (this.readyState !== "closed") this.emitReserved("error", new TransportError(message, description, context));
  }

  protected onClose(details?: CloseDetails): void {
    this.readyState = "closed";
    this.emitReserved("close", details);
  }

  protected abstract doOpen(): void;
  protected abstract doClose(): void;
  protected abstract write(packets: readonly Packet[]): void;
}
