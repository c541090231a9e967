// The parser that is used unless the option `parser` names another: `{Encoder, Decoder}`, as socket.io-parser has them.

import { encode } from "./encode.js";
import type { RawData } from "../engineio/packet.js";
import type { Packet } from "./packet.js";

export { Decoder } from "./connection.js";

export class Encoder {
  /** The messages of a packet: its text, then its attachments. */
  encode(packet: Packet): RawData[] {
    return encode(packet);
  }
}
