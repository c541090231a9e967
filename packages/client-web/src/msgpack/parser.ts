// The parser of the build for msgpack, byte for byte that of socket.io-msgpack-parser: a packet is one map in one message,
// bytes stand in it as they are. The server must use it too.

import { Emitter } from "../emitter.js";
import { isDataValid, PacketType, type Packet } from "../socketio/packet.js";
import { decode } from "./decode.js";
import { encode } from "./encode.js";

export class Encoder {
  /** The one message of a packet. */
  encode({ type, nsp, data, id }: Packet): [ArrayBuffer] {
    return [encode({ type, nsp, ...(data !== undefined && { data }), ...(id !== undefined && { id }) })];
  }
}

export class Decoder extends Emitter<{}, {}, { decoded: (packet: Packet) => void }> {
  /** Throws at what is no packet; then the connection is to be closed. A text is taken for the JSON of a packet. */
  add(chunk: string | ArrayBuffer | ArrayBufferView): void {
    const packet = (typeof chunk === "string" ? JSON.parse(chunk) : decode(chunk)) as Packet;
    const { type, nsp, id, data } = packet ?? {};
    if (!Number.isInteger(type) || type < PacketType.CONNECT || type > PacketType.CONNECT_ERROR) throw new Error("invalid packet type");
    if (typeof nsp !== "string") throw new Error("invalid namespace");
    if (id !== undefined && !Number.isInteger(id)) throw new Error("invalid packet id");
    if (!isDataValid(type, data)) throw new Error("invalid payload");
    this.emitReserved("decoded", packet);
  }

  destroy(): void {}
}
