// The parsers of JavaScript, asked one input at a time: a line of JSON in, `{format, data}` with the data in base64; a line out,
// `{read}` or `{refused}`. What is read is put so that it can be compared: bytes are `{"$bytes": base64}`, and what JSON has no word
// for is null.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const old = createRequire(require.resolve("socket.io-2/package.json"));
const engine4 = require("engine.io-parser");
const engine3 = old("engine.io-parser");
const socket5 = require("socket.io-parser");
const socket4 = old("socket.io-parser");
const msgpack = require("socket.io-msgpack-parser");

const formats = {
  engineio4: (data) => payload((each) => engine4.decodePayload(data.toString(), "nodebuffer").forEach(each)),
  engineio4_stream: async (data) => {
    const packets = await frames(data);
    return payload((each) => packets.forEach(each));
  },
  engineio3: (data) => payload((each) => engine3.decodePayload(data.toString(), each)),
  engineio3_bytes: (data) => payload((each) => engine3.decodePayload(data, each)),
  socketio5: (data) => packet(new socket5.Decoder(), messages(data)),
  socketio4: (data) => textual(packet(new socket4.Decoder(), messages(data))),
  msgpack: (data) => packet(new msgpack.Decoder(), [data]),
};

// The packets of a payload; of those that have no data, what stands behind them is nothing.
function payload(decode) {
  const packets = [];
  decode((packet) => {
    if (packet.type === "error") throw new Error("parser error");
    if (packet.type === undefined) throw new Error("no type");
    packets.push(["close", "upgrade", "noop"].includes(packet.type) ? [packet.type, ""] : [packet.type, packet.data ?? ""]);
  });
  return packets;
}

const PAYLOAD_BYTES_MAX = 1_000_000;

async function frames(data) {
  const { readable, writable } = engine4.createPacketDecoderStream(PAYLOAD_BYTES_MAX, "nodebuffer");
  const writing = (async () => {
    const writer = writable.getWriter();
    await writer.write(data);
    await writer.close();
  })();
  const packets = [];
  for await (const packet of readable) packets.push(packet);
  await writing;
  return packets;
}

// Messages between `ff`; one of bytes begins with `00`.
function messages(data) {
  const all = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0xff, at);
    const message = data.subarray(at, end < 0 ? data.length : end);
    all.push(message[0] === 0 ? message.subarray(1) : message.toString());
    at = end < 0 ? data.length : end + 1;
  }
  return all;
}

// The one packet that all messages are together.
function packet(decoder, all) {
  let decoded;
  decoder.on("decoded", (packet) => (decoded = packet));
  for (const message of all) {
    if (decoded !== undefined) throw new Error("more than one packet");
    decoder.add(message);
  }
  if (decoded === undefined) throw new Error("incomplete");
  // Of the older revision errors are packets.
  if (decoded.type === 4 && typeof decoded.data === "string" && decoded.data.startsWith("parser error")) throw new Error(decoded.data);
  const { type, nsp, id, data } = decoded;
  return { type, nsp, id, data };
}

// What is deeper cannot be read by who compares.
const DEPTH_MAX = 120;

// In the older revision, events and acknowledgements with attachments have types of their own even when those are there, and the
// query stands behind the name.
function textual({ type, nsp, id, data }) {
  return { type: { 5: 2, 6: 3 }[type] ?? type, nsp: nsp.split("?")[0], id, data };
}

function comparable(value, depth = 0) {
  if (depth > DEPTH_MAX) return "too deep to be told";
  if (value === undefined || value === null || typeof value === "function") return null;
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object") return value;
  if (value instanceof ArrayBuffer) return comparable(Buffer.from(value));
  if (ArrayBuffer.isView(value)) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return Array.from(value, (inner) => comparable(inner, depth + 1));
  const entries = Object.entries(value).map(([key, inner]) => [key.toWellFormed(), comparable(inner, depth + 1)]);
  return Object.fromEntries(entries);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { format, data } = JSON.parse(line);
  let answer;
  try {
    answer = { read: comparable(await formats[format](Buffer.from(data, "base64"))) };
  } catch (error) {
    answer = { refused: String(error.message ?? error).slice(0, 60) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
