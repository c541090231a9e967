// The body of a polling request: several packets in one text.
//
// Revision 4 separates them by U+001E. Revision 3 writes the length in UTF-16 code units in front of each: `6:4hello`. A server of
// revision 3 that has bytes to send sends a body of bytes.

import { decodeBytes, decodeText, encodeText, type Packet, type Version } from "./packet.js";

const separator = "\x1e";

export function encodePayload(packets: readonly Packet[], version: Version): string {
  const texts = packets.map((packet) => encodeText(packet, version));
  return version < 4 ? texts.map((text) => `${text.length}:${text}`).join("") : texts.join(separator);
}

/** The packets up to the first that is none: that one has the type `error`. */
export function decodePayload(body: string | ArrayBuffer, version: Version): Packet[] {
  const packets: Packet[] = [];
  for (const each of split(body, version)) {
    const packet = typeof each === "string" ? decodeText(each, version) : decodeBytes(each, version);
    packets.push(packet);
    if (packet.type === "error") break;
  }
  return packets;
}

function split(body: string | ArrayBuffer, version: Version): (string | ArrayBuffer)[] {
  if (typeof body !== "string") return splitBytes(new Uint8Array(body));
  return version < 4 ? splitByLength(body) : body.split(separator);
}

/** Whether a server of revision 3 wrote this, whatever it was asked for: an open packet with its length in front. */
export function isVersion3(body: string | ArrayBuffer): boolean {
  return typeof body !== "string" || /^\d+:0\{/.test(body);
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

/** Each packet: 0 for text or 1 for bytes, the digits of its length, a byte each, then 255. What is none gives an empty text. */
function splitBytes(bytes: Uint8Array): (string | ArrayBuffer)[] {
  const packets: (string | ArrayBuffer)[] = [];
  let at = 0;
  do {
    const end = bytes.indexOf(255, at);
    const from = end + 1;
    const digits = bytes.subarray(at + 1, end);
    const packet = bytes.slice(from, from + Number(digits.join("")));
    const kind = bytes[at]!;
    if (kind > 1 || end < at + 2 || digits[0] === 0 || digits.some((digit) => digit > 9)) return [...packets, ""];
    at = from + Number(digits.join(""));
    if (at > bytes.length) return [...packets, ""];
    packets.push(kind === 1 ? packet.buffer : new TextDecoder().decode(packet));
  } while (at < bytes.length);
  return packets;
}
