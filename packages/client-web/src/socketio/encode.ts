// A packet as text, and the attachments that follow it. SIO 5 "Packet encoding".

import type { RawData } from "../engineio/packet.js";
import { PacketType, type Packet } from "./packet.js";
import { toJson } from "./placeholder.js";

/** `2["hello"]`, `51-/admin,13["file",{"_placeholder":true,"num":0}]` and its bytes. */
export function encode({ type, nsp, id, data }: Packet): RawData[] {
  const attachments: RawData[] = [];
  const json = data === undefined ? "" : toJson(data, attachments as any[]);
  let text = nsp === "/" ? "" : `${nsp},`;
  // Only events and acknowledgements may carry bytes.
  if (attachments.length > 0) {
    type = type === PacketType.ACK || type === PacketType.BINARY_ACK ? PacketType.BINARY_ACK : PacketType.BINARY_EVENT;
    text = `${attachments.length}-${text}`;
  }
  return [`${type}${text}${id ?? ""}${json}`, ...attachments];
}
