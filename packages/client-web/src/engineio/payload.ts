// The body of a polling request: several packets in one text.
//
// Revision 4 separates them by U+001E. Revision 3 writes the length in UTF-16 code units in front of each: `6:4hello`.

import { decodeText, encodeText, type Packet, type Version } from "./packet.js";

const separator = "\x1e";

export function encodePayload(packets: readonly Packet[], version: Version): string {
  const texts = packets.map((packet) => encodeText(packet, version));
  return version < 4 ? texts.map((text) => `${text.length}:${text}`).join("") : texts.join(separator);
}

/** The packets up to the first that is none: that one has the type `error`. */
export function decodePayload(text: string, version: Version): Packet[] {
  const packets: Packet[] = [];
  for (const each of version < 4 ? splitByLength(text) : text.split(separator)) {
    const packet = decodeText(each, version);
    packets.push(packet);
    if (packet.type === "error") break;
  }
  return packets;
}

/** Whether a server of revision 3 wrote this, whatever it was asked for: an open packet with its length in front. */
export function isVersion3(text: string): boolean {
  return /^\d+:0\{/.test(text);
}

/** A length that is none, or too long for what follows, gives an empty text, which is no packet. */
function splitByLength(text: string): string[] {
  const texts = [];
  const length = /(0|[1-9]\d{0,8}):/y;
  let at = 0;
  do {
    length.lastIndex = at;
    const digits = length.exec(text)?.[1];
    const from = length.lastIndex;
    at = from + Number(digits);
    if (!(at <= text.length)) return [...texts, ""];
    texts.push(text.slice(from, at));
  } while (at < text.length);
  return texts;
}
