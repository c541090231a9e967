// WebSocket frames as a client writes and reads them. RFC 6455 §5.

import { randomFillSync } from "node:crypto";

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  fin: boolean;
  /** The first reserved bit: the message is compressed (RFC 7692). */
  compressed: boolean;
  opcode: number;
  payload: Buffer;
}

/** A frame that no server may send; `code` is what the connection is closed with. */
export class FrameError extends Error {
  constructor(
    message: string,
    readonly code: number,
  ) {
    super(message);
  }
}

/** A whole message, or a control frame, masked as a client must. */
export function encodeFrame(opcode: number, payload: Uint8Array, compressed = false): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(6 + extra + length);
  frame[0] = 0x80 | (compressed ? 0x40 : 0) | opcode;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = frame.subarray(2 + extra, 6 + extra);
  randomFillSync(mask);
  const data = frame.subarray(6 + extra);
  for (let at = 0; at < length; at += 1) data[at] = payload[at]! ^ mask[at & 3]!;
  return frame;
}

/** Finds frames in what arrives, whatever pieces it arrives in. Nothing is allocated for bytes that have not come. */
export class FrameReader {
  private readonly _chunks: Buffer[] = [];
  private _size = 0;
  private readonly _steps: Generator<number, never, Buffer>;
  private _wanted: number;

  constructor(bytesMax: number, onFrame: (frame: Frame) => void) {
    this._steps = readFrames(bytesMax, onFrame);
    this._wanted = this._steps.next().value;
  }

  /** Throws a `FrameError`; then the connection is to be closed. */
  push(chunk: Buffer): void {
    this._chunks.push(chunk);
    this._size += chunk.length;
    while (this._size >= this._wanted) {
      const all = this._chunks.length === 1 ? this._chunks[0]! : Buffer.concat(this._chunks);
      const rest = all.subarray(this._wanted);
      this._chunks.splice(0, Infinity, rest);
      this._size = rest.length;
      this._wanted = this._steps.next(all.subarray(0, this._wanted)).value;
    }
  }
}

/** Yields how many bytes it needs next, and is given them. */
function* readFrames(bytesMax: number, onFrame: (frame: Frame) => void): Generator<number, never, Buffer> {
  for (;;) {
    const head = yield 2;
    const [first, second] = [head[0]!, head[1]!];
    const opcode = first & 15;
    const fin = first >= 128;
    if ((first & 0x30) !== 0 || second >= 128) throw new FrameError("a frame with bits that mean nothing", 1002);
    if ((opcode > 2 && opcode < 8) || opcode > 10) throw new FrameError("a frame of an unknown kind", 1002);
    if (opcode > 7 && (!fin || second > 125 || first & 0x40)) throw new FrameError("a control frame that is none", 1002);
    let length: number = second;
    if (length === 126) length = (yield 2).readUInt16BE();
    else if (length === 127) length = Number((yield 8).readBigUInt64BE());
    if (length > bytesMax) throw new FrameError("a message that is too large", 1009);
    onFrame({ fin, compressed: (first & 0x40) !== 0, opcode, payload: yield length });
  }
}
