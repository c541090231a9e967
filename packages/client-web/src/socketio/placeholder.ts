// Bytes inside of arguments: each leaves a placeholder in the JSON and travels behind it. SIO 5 "Binary".

import type { Bytes } from "../engineio/packet.js";

export function isBinary(value: unknown): value is Bytes {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) || (typeof Blob === "function" && value instanceof Blob);
}

/** JSON of `data`; the bytes in it go into `attachments`, in the order in which they are met. */
export function toJson(data: unknown, attachments: Bytes[]): string {
  return JSON.stringify(data, function (this: any, key, value) {
    // `this[key]` is the value before its `toJSON`, which a Buffer has.
    const bytes = isBinary(this[key]) ? this[key] : value;
    if (!isBinary(bytes)) return value;
    attachments.push(bytes);
    return { _placeholder: true, num: attachments.length - 1 };
  });
}

/** The inverse. Throws if the text is no JSON, or has a placeholder for which there is no attachment. */
export function fromJson(text: string, attachments: readonly unknown[]): unknown {
  if (attachments.length === 0) return JSON.parse(text);
  return JSON.parse(text, (_, value) => {
    if (value?._placeholder !== true) return value;
    if (typeof value.num !== "number" || !(value.num in attachments)) throw new Error("illegal attachments");
    return attachments[value.num];
  });
}
