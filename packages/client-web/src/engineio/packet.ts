// One Engine.IO packet as text or bytes. EIO 4 and 3 "Packet encoding".

/** Revisions of the protocol. 3 is what servers of Socket.IO 1 and 2 speak. */
export type Version = 3 | 4;

export type Bytes = ArrayBuffer | ArrayBufferView | Blob;

/** What a message carries. */
export type RawData = string | Bytes;

const types = ["open", "close", "ping", "pong", "message", "upgrade", "noop"] as const;

export type PacketType = (typeof types)[number] | "error";

export interface Packet {
  type: PacketType;
  data?: any;
  options?: { compress?: boolean };
}

const fault: Packet = { type: "error", data: "parser error" };

/** `message` with text → `4hello`; bytes → `bAQID` (revision 3: `b4AQID`). */
export function encodeText({ type, data = "" }: Packet, version: Version): string {
  if (typeof data === "string") return types.indexOf(type as any) + data;
  return (version < 4 ? "b4" : "b") + toBase64(data);
}

/** The inverse; text that is no packet is one of the type `error`. */
export function decodeText(text: string, version: Version): Packet {
  const prefix = version < 4 ? "b4" : "b";
  if (text.startsWith(prefix)) return decodeBase64(text.slice(prefix.length));
  const type = types[text.charCodeAt(0) - 48];
  if (!type) return fault;
  return text.length > 1 ? { type, data: text.slice(1) } : { type };
}

/** A frame of bytes: the message itself; in revision 3 the packet's type stands in front of it. */
export function encodeBytes(data: ArrayBuffer | ArrayBufferView, version: Version): ArrayBuffer | ArrayBufferView {
  if (version > 3) return data;
  const frame = new Uint8Array(data.byteLength + 1);
  frame[0] = 4;
  frame.set(viewOf(data), 1);
  return frame;
}

export function decodeBytes(data: ArrayBuffer, version: Version): Packet {
  if (version > 3) return { type: "message", data };
  return new Uint8Array(data)[0] === 4 ? { type: "message", data: data.slice(1) } : fault;
}

/** The bytes themselves, without a copy. A `Blob` has been read before: see Transport.send. */
export function viewOf(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
}

/** How many bytes a packet takes in a polling body, with the separator behind it. */
export function sizeOf(data: RawData | undefined): number {
  if (!data) return 2;
  if (typeof data === "string") return new TextEncoder().encode(data).length + 2;
  return Math.ceil(((data as Blob).size ?? (data as ArrayBuffer).byteLength) / 3) * 4 + 2;
}

function toBase64(data: ArrayBuffer | ArrayBufferView): string {
  const bytes = viewOf(data);
  let text = "";
  // Not all at once: arguments of a call go on the stack.
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}

function decodeBase64(text: string): Packet {
  try {
    const bytes = atob(text);
    // It overlooks a lot: what it would not write so itself is a fault.
    return btoa(bytes) === text ? { type: "message", data: Uint8Array.from(bytes, (char) => char.charCodeAt(0)).buffer } : fault;
  } catch {
    return fault;
  }
}
