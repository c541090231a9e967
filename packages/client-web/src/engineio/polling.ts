// HTTP long polling: a GET that waits for packets, and a POST that brings some; at most one of each at a time.
// EIO 4 and 3 "HTTP long-polling".

import { after } from "../timers.js";
import { platform } from "../platform.js";
import type { Packet } from "./packet.js";
import { decodePayload, encodePayload, isVersion3 } from "./payload.js";
import { Transport } from "./transport.js";

export class Polling extends Transport {
  /** Aborts the GET that waits. */
  private _poll?: AbortController;
  /** Settles with the POST that is under way. */
  private _post?: Promise<void>;
  private _resume?: () => void;

  get name(): string {
    return "polling";
  }

  protected doOpen(): void {
    this._get();
  }

  pause(then: () => void): void {
    this.readyState = "pausing";
    this._resume = then;
    this._checkPaused();
  }

  /** What is under way is waited for: the answer to the GET may hold packets, and those of the POST must not be overtaken. */
  private _checkPaused(): void {
    if (this.readyState !== "pausing" || this._poll || !this.writable) return;
    this.readyState = "paused";
    this._resume?.();
  }

  resume(): void {
    this.readyState = "open";
    if (!this._poll) this._get();
  }

  private _get(): void {
    const poll = (this._poll = new AbortController());
    this.emitReserved("poll");
    this._request(
      poll,
      undefined,
      (body) => {
        this._poll = undefined;
        this._onPayload(body);
        this.emitReserved("pollComplete");
        if (this.readyState === "open") this._get();
        else this._checkPaused();
      },
      "xhr poll error",
    );
  }

  private _onPayload(body: string | ArrayBuffer): void {
    if (this.readyState === "opening" && isVersion3(body)) this.opts.eio = 3;
    for (const packet of decodePayload(body, this.version)) {
      if (this.readyState === "closed") return;
      if (this.readyState === "opening" && packet.type === "open") this.onOpen();
      if (packet.type === "close") return this.onClose({ description: "transport closed by the server" });
      this.onPacket(packet);
    }
  }

  protected write(packets: readonly Packet[]): void {
    this._post = this._request(
      new AbortController(),
      encodePayload(packets, this.version),
      () => {
        this._post = undefined;
        this.onDrain();
        this._checkPaused();
      },
      "xhr post error",
    );
  }

  protected doClose(): void {
    const abort = () => this._poll?.abort();
    // The server ends the GET when it has read the goodbye.
    const sayGoodbye = () => this._send(new AbortController(), encodePayload([{ type: "close" }], this.version)).then(abort, abort);
    // Before the answer to the first GET there is nobody to say it to.
    if (this.readyState === "opening") abort();
    else if (this._post) this._post.then(sayGoodbye);
    else sayGoodbye();
  }

  private _request(abort: AbortController, body: string | undefined, then: (body: string | ArrayBuffer) => void, failure: string): Promise<void> {
    return this._send(abort, body).then(
      ({ status, body }) => {
        if (this.readyState === "closed") return;
        if (status === 200) then(body);
        else this.onError(failure, status, { status, responseText: body });
      },
      (error) => this.onError(failure, error),
    );
  }

  private _send(abort: AbortController, body: string | undefined) {
    const { opts } = this;
    const timer = opts.requestTimeout ? after(opts.requestTimeout, opts, () => abort.abort()) : undefined;
    const answer = platform.request({ url: this.uri("http"), body, options: opts, signal: abort.signal });
    return answer.finally(() => clearTimeout(timer));
  }
}
