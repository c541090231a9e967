// Values as msgpack, in the forms that notepack.io chooses, which socket.io-msgpack-parser is built on: the shortest that
// holds a value, numbers with a fraction as 64-bit floats. https://github.com/msgpack/msgpack/blob/master/spec.md

import { viewOf } from "../engineio/packet.js";

/** Bytes of `value`. Throws at what has none: functions, symbols, `BigInt`, and files, which would have to be read first. */
export function encode(value: unknown): ArrayBuffer {
  const writer = new Writer();
  write(writer, value);
  return writer.finish();
}

/** Bytes that grow. */
class Writer {
  private _bytes = new Uint8Array(256);
  private _view = new DataView(this._bytes.buffer);
  private _at = 0;

  /** Makes room, and gives the place of it. */
  private _reserve(length: number): number {
    const at = this._at;
    this._at += length;
    if (this._at > this._bytes.length) {
      const larger = new Uint8Array(Math.max(this._at, 2 * this._bytes.length));
      larger.set(this._bytes);
      this._bytes = larger;
      this._view = new DataView(larger.buffer);
    }
    return at;
  }

  /** A number of so many bytes, behind its prefix if there is one. */
  uint(length: 1 | 2 | 4, value: number, prefix?: number): void {
    if (prefix !== undefined) this.uint(1, prefix);
    const at = this._reserve(length);
    if (length === 1) this._view.setUint8(at, value);
    else if (length === 2) this._view.setUint16(at, value);
    else this._view.setUint32(at, value);
  }

  /** A prefix, then 64 bits. */
  wide(prefix: number, value: number): void {
    this.uint(4, Math.floor(value / 2 ** 32), prefix);
    this.uint(4, value);
  }

  float(value: number): void {
    this.uint(1, 0xcb);
    const at = this._reserve(8);
    this._view.setFloat64(at, value);
  }

  bytes(bytes: Uint8Array): void {
    // Making room may replace what is written to.
    const at = this._reserve(bytes.length);
    this._bytes.set(bytes, at);
  }

  finish(): ArrayBuffer {
    return this._bytes.buffer.slice(0, this._at);
  }
}

function write(to: Writer, value: any): void {
  switch (typeof value) {
    case "string": {
      const bytes = new TextEncoder().encode(value);
      writeLength(to, bytes.length, { short: 0xa0, shortMax: 31, prefix8: 0xd9, prefix16: 0xda });
      return to.bytes(bytes);
    }
    case "number":
      return Number.isInteger(value) ? writeInteger(to, value) : to.float(value);
    case "boolean":
      return to.uint(1, value ? 0xc3 : 0xc2);
    case "undefined":
      // An extension of the type 0, as notepack.io has it.
      return to.bytes(Uint8Array.of(0xd4, 0, 0));
    case "object":
      return writeObject(to, value);
    default:
      throw new Error(`a ${typeof value} cannot be sent`);
  }
}

interface Prefixes {
  short?: number;
  shortMax?: number;
  prefix8?: number;
  /** The one for 32 bits is behind it. */
  prefix16: number;
}

function writeLength(to: Writer, length: number, { short = 0, shortMax = -1, prefix8, prefix16 }: Prefixes): void {
  if (length <= shortMax) to.uint(1, short | length);
  else if (length < 0x100 && prefix8 !== undefined) to.uint(1, length, prefix8);
  else if (length < 0x10000) to.uint(2, length, prefix16);
  else to.uint(4, length, prefix16 + 1);
}

function writeInteger(to: Writer, value: number): void {
  if (value >= -32 && value < 128) to.uint(1, value);
  else if (value >= 0) {
    if (value < 0x100) to.uint(1, value, 0xcc);
    else if (value < 0x10000) to.uint(2, value, 0xcd);
    else if (value < 2 ** 32) to.uint(4, value, 0xce);
    else if (value < 2 ** 64) to.wide(0xcf, value);
    else to.float(value);
  } else if (value >= -0x80) to.uint(1, value, 0xd0);
  else if (value >= -0x8000) to.uint(2, value, 0xd1);
  else if (value >= -(2 ** 31)) to.uint(4, value, 0xd2);
  else if (value >= -(2 ** 63)) to.wide(0xd3, value);
  else to.float(value);
}

function writeObject(to: Writer, value: any): void {
  if (value === null) return to.uint(1, 0xc0);
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    writeLength(to, value.byteLength, { prefix8: 0xc4, prefix16: 0xc5 });
    return to.bytes(viewOf(value));
  }
  if (typeof Blob === "function" && value instanceof Blob) throw new Error("a Blob cannot be sent as msgpack: send its arrayBuffer()");
  if (Array.isArray(value)) {
    writeLength(to, value.length, { short: 0x90, shortMax: 15, prefix16: 0xdc });
    for (const each of value) write(to, each);
    return;
  }
  if (value instanceof Date) {
    to.uint(1, 0, 0xd7);
    const time = value.getTime();
    to.uint(4, Math.floor(time / 2 ** 32));
    return to.uint(4, time);
  }
  if (typeof value.toJSON === "function") return write(to, value.toJSON());
  const entries = Object.entries(value).filter(([, each]) => typeof each !== "function");
  writeLength(to, entries.length, { short: 0x80, shortMax: 15, prefix16: 0xde });
  for (const [key, each] of entries) {
    write(to, key);
    write(to, each);
  }
}
