// A WebSocket for Node, which has one of its own only since version 22, and that one takes no headers. RFC 6455; compressed
// messages without context takeover, RFC 7692.

import { createHash, randomBytes } from "node:crypto";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { deflateRawSync, inflateRawSync, constants } from "node:zlib";
import type { EngineOptions } from "../engineio/config.js";
import { viewOf } from "../engineio/packet.js";
import type { WebSocketLike } from "../platform.js";
import { encodeFrame, FrameError, FrameReader, Opcode, type Frame } from "./frame.js";
import { start } from "./request.js";

/** Bytes of one message, also when inflated; beyond that the connection is closed with 1009. As in `ws`. */
const messageBytesMax = 100 << 20;
/** Milliseconds that the server may take to answer a close frame; then the connection is cut. */
const closeTimeout = 2_000;

const offer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/** RFC 7692 §7.2.1: the end of each compressed message, which is not sent. */
const tail = Buffer.from([0, 0, 0xff, 0xff]);

export class NodeWebSocket implements WebSocketLike {
  /** Bytes always come so. */
  binaryType = "arraybuffer";
  onopen: WebSocketLike["onopen"] = null;
  onmessage: WebSocketLike["onmessage"] = null;
  onerror: WebSocketLike["onerror"] = null;
  onclose: WebSocketLike["onclose"] = null;
  /** The subprotocol that was agreed on. */
  protocol = "";
  private readonly _request: ClientRequest;
  private _socket?: Duplex;
  private readonly _threshold: number;
  private _deflates = false;
  private _message: { opcode: number; compressed: boolean; parts: Buffer[]; size: number } | undefined;
  private _end = { code: 1006, reason: "" };
  private _isClosing = false;
  private _isOver = false;

  constructor(
    url: string,
    private readonly _options: Partial<EngineOptions>,
  ) {
    const { perMessageDeflate, protocols = [], origin } = _options;
    this._threshold = perMessageDeflate?.threshold ?? 1024;
    const key = randomBytes(16).toString("base64");
    const offered = [protocols].flat();
    this._request = start(url, _options, {
      // A connection of its own: one that polling has left may be closed by the server at this very moment.
      agent: _options.agent ?? false,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": 13,
        "sec-websocket-key": key,
        ...(perMessageDeflate !== false && { "sec-websocket-extensions": offer }),
        ...(offered.length > 0 && { "sec-websocket-protocol": offered.join(", ") }),
        ...(origin && { origin }),
      },
    });
    this._request.once("error", (error) => this._fail(error));
    this._request.once("response", (response) => {
      this._fail(new Error(`Unexpected server response: ${response.statusCode}`));
    });
    this._request.once("upgrade", (response, socket, head) => {
      const fault = faultOf(response, key, offered);
      if (fault || this._isOver) {
        socket.destroy();
        if (fault) this._fail(new Error(fault));
      } else this._onUpgrade(response, socket, head);
    });
    this._request.end();
  }

  private _onUpgrade(response: IncomingMessage, socket: Duplex, head: Buffer): void {
    this._socket = socket;
    this.protocol = response.headers["sec-websocket-protocol"] ?? "";
    this._deflates = response.headers["sec-websocket-extensions"] !== undefined;
    const { setNoDelay, unref } = socket as Partial<import("node:net").Socket>;
    setNoDelay?.call(socket, true);
    if (this._options.autoUnref) unref?.call(socket);
    const reader = new FrameReader(messageBytesMax, (frame) => this._onFrame(frame));
    const read = (chunk: Buffer) => {
      if (this._isOver) return;
      try {
        reader.push(chunk);
      } catch (error) {
        this._sendClose(error instanceof FrameError ? error.code : 1007);
        this._fail(error as Error);
      }
    };
    socket.on("data", read);
    socket.on("error", (error) => this._fail(error));
    socket.on("end", () => socket.end());
    socket.on("close", () => this._finish());
    this.onopen?.({ type: "open", target: this });
    if (head.length > 0) read(head);
  }

  private _onFrame({ opcode, payload, fin, compressed }: Frame): void {
    if (this._isOver) return;
    if (opcode === Opcode.ping) this._write(Opcode.pong, payload);
    else if (opcode === Opcode.close) this._onClose(payload);
    else if (opcode !== Opcode.pong) this._onPart(opcode, payload, fin, compressed);
  }

  private _onPart(opcode: number, payload: Buffer, fin: boolean, compressed: boolean): void {
    const isFirst = opcode !== Opcode.continuation;
    if (isFirst === (this._message !== undefined)) throw new FrameError("a fragment out of place", 1002);
    if (compressed && !(isFirst && this._deflates)) throw new FrameError("a compressed frame out of place", 1002);
    const message = (this._message ??= { opcode, compressed, parts: [], size: 0 });
    message.parts.push(payload);
    message.size += payload.length;
    if (message.size > messageBytesMax) throw new FrameError("a message that is too large", 1009);
    if (!fin) return;
    this._message = undefined;
    let bytes = message.parts.length === 1 ? payload : Buffer.concat(message.parts);
    if (message.compressed) bytes = inflate(bytes);
    // A decoder throws at what is no UTF-8; the connection is then closed with 1007.
    const data = message.opcode === Opcode.text ? new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) : copyOf(bytes);
    this.onmessage?.({ type: "message", data, target: this });
  }

  private _onClose(payload: Buffer): void {
    if (payload.length >= 2) this._end = { code: payload.readUInt16BE(0), reason: payload.toString("utf8", 2) };
    else this._end.code = 1005;
    this._sendClose(payload.length >= 2 ? this._end.code : undefined);
    this._socket?.end();
  }

  send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (this._isClosing || !this._socket) return;
    const isText = typeof data === "string";
    const payload = isText ? Buffer.from(data) : viewOf(data);
    const opcode = isText ? Opcode.text : Opcode.binary;
    if (!this._deflates || payload.length < this._threshold) return this._write(opcode, payload);
    const packed = deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH });
    this._write(opcode, packed.subarray(0, -tail.length), true);
  }

  private _write(opcode: number, payload: Uint8Array, compressed = false): void {
    this._socket?.write(encodeFrame(opcode, payload, compressed));
  }

  close(): void {
    if (!this._socket) {
      this._request.destroy();
      return this._finish();
    }
    this._sendClose();
  }

  private _sendClose(code?: number): void {
    if (this._isClosing) return;
    this._isClosing = true;
    this._write(Opcode.close, code === undefined ? new Uint8Array() : Uint8Array.of(code >> 8, code & 255));
    setTimeout(() => this._socket?.destroy(), closeTimeout).unref();
  }

  private _fail(error: Error): void {
    if (this._isOver) return;
    this.onerror?.({ type: "error", message: error.message, error, target: this });
    this._request.destroy();
    if (this._socket && this._isClosing) this._socket.end();
    else this._socket?.destroy();
    this._finish();
  }

  private _finish(): void {
    if (this._isOver) return;
    this._isOver = true;
    this.onclose?.({ type: "close", ...this._end, wasClean: this._end.code !== 1006, target: this });
  }
}

/** What is wrong with the server's answer, if anything. RFC 6455 §4.1. */
function faultOf({ headers, statusCode }: IncomingMessage, key: string, offered: readonly string[]): string | undefined {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  if (statusCode !== 101 || headers.upgrade?.toLowerCase() !== "websocket") return "the server upgraded to something else";
  if (headers["sec-websocket-accept"] !== accept) return "the server did not understand the handshake";
  const protocol = headers["sec-websocket-protocol"];
  if (protocol !== undefined && !offered.includes(protocol)) return "the server chose a subprotocol that was not offered";
  const extensions = headers["sec-websocket-extensions"];
  const isFine = extensions === undefined || (/^permessage-deflate\b/.test(extensions) && extensions.includes("server_no_context_takeover"));
  return isFine ? undefined : "the server chose extensions that were not offered";
}

function inflate(bytes: Buffer): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: messageBytesMax };
  return inflateRawSync(Buffer.concat([bytes, tail]), options);
}

/** An `ArrayBuffer` of its own: a slice of the read buffer would keep all of that. */
function copyOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.prototype.slice.call(bytes).buffer as ArrayBuffer;
}
