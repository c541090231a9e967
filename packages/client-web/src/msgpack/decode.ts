// Msgpack as values; the inverse of encode.ts. Bytes come as an `ArrayBuffer` of their own; in Node, out of a `Buffer`, as one.

import { viewOf } from "../engineio/packet.js";

/** Throws at what is no msgpack, or ends early. What is behind the value is a fault too. */
export function decode(data: ArrayBuffer | ArrayBufferView): unknown {
  const bytes = viewOf(data);
  const isBuffer = typeof Buffer === "function" && Buffer.isBuffer(data);
  const wrap = isBuffer ? (inner: ArrayBuffer) => Buffer.from(inner) : (inner: ArrayBuffer) => inner;
  const reader = new Reader(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), wrap);
  const value = read(reader);
  if (reader.at !== bytes.length) throw new Error("bytes behind the end");
  return value;
}

class Reader {
  at = 0;

  constructor(
    private readonly _bytes: Uint8Array,
    readonly view: DataView,
    private readonly _wrap: (bytes: ArrayBuffer) => ArrayBuffer | Uint8Array,
  ) {}

  /** The place of the next `length` bytes. Throws if there are not so many: nothing is allocated for them before. */
  skip(length: number): number {
    const at = this.at;
    this.at += length;
    if (this.at > this._bytes.length) throw new Error("the end came early");
    return at;
  }

  /** A number of 1, 2 or 4 bytes: `power` is 0, 1 or 2. */
  uint(power: number): number {
    const at = this.skip(1 << power);
    return power === 0 ? this.view.getUint8(at) : power === 1 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  int(power: number): number {
    const shift = 32 - (8 << power);
    return (this.uint(power) << shift) >> shift;
  }

  bytes(length: number): ArrayBuffer | Uint8Array {
    const at = this.skip(length);
    // Not the method of a Buffer, which makes no copy.
    return this._wrap(Uint8Array.prototype.slice.call(this._bytes, at, at + length).buffer as ArrayBuffer);
  }

  text(length: number): string {
    const at = this.skip(length);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this._bytes.subarray(at, at + length));
  }
}

function read(from: Reader): unknown {
  const prefix = from.uint(0);
  if (prefix < 0x80) return prefix;
  if (prefix < 0x90) return readMap(from, prefix & 15);
  if (prefix < 0xa0) return readArray(from, prefix & 15);
  if (prefix < 0xc0) return from.text(prefix & 31);
  if (prefix > 0xdf) return prefix - 256;
  switch (prefix) {
    case 0xc0:
      return null;
    case 0xc2:
    case 0xc3:
      return prefix === 0xc3;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return from.bytes(from.uint(prefix - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return readExtension(from, from.uint(prefix - 0xc7));
    case 0xca:
      return from.view.getFloat32(from.skip(4));
    case 0xcb:
      return from.view.getFloat64(from.skip(8));
    case 0xcc:
    case 0xcd:
    case 0xce:
      return from.uint(prefix - 0xcc);
    case 0xcf:
      return from.uint(2) * 2 ** 32 + from.uint(2);
    case 0xd0:
    case 0xd1:
    case 0xd2:
      return from.int(prefix - 0xd0);
    case 0xd3:
      return from.int(2) * 2 ** 32 + from.uint(2);
    case 0xd9:
    case 0xda:
    case 0xdb:
      return from.text(from.uint(prefix - 0xd9));
    case 0xdc:
    case 0xdd:
      return readArray(from, from.uint(prefix - 0xdb));
    case 0xde:
    case 0xdf:
      return readMap(from, from.uint(prefix - 0xdd));
    case 0xc1:
      throw new Error("0xc1 is never used");
    default:
      return readExtension(from, 1 << (prefix - 0xd4));
  }
}

function readArray(from: Reader, length: number): unknown[] {
  const values = [];
  while (values.length < length) values.push(read(from));
  return values;
}

function readMap(from: Reader, length: number): object {
  const entries: [string, unknown][] = [];
  while (entries.length < length) entries.push([String(read(from)), read(from)]);
  // Unlike an assignment it takes `__proto__` for a key like any other.
  return Object.fromEntries(entries);
}

/** The type 0 is notepack.io's: one byte is `undefined`, eight are a date. Others come as `[type, bytes]`. */
function readExtension(from: Reader, length: number): unknown {
  const type = from.int(0);
  if (type === 0 && length === 8) return new Date(from.int(2) * 2 ** 32 + from.uint(2));
  const data = from.bytes(length);
  return type === 0 && length === 1 ? undefined : [type, data];
}
