import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { decode } from "../src/msgpack/decode.js";
import { encode } from "../src/msgpack/encode.js";
import { Decoder, Encoder } from "../src/msgpack/parser.js";
import { PacketType, type Packet } from "../src/socketio/packet.js";

// The codec behind socket.io-msgpack-parser.
const notepack = createRequire(import.meta.url)("notepack.io");

const hex = (data: ArrayBuffer | Uint8Array) => Buffer.from(data as ArrayBuffer).toString("hex");
const bytes = (length: number) => Uint8Array.from({ length }, (_, at) => at % 251).buffer;

const numbers = [0, 1, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 60];
const values: unknown[] = [
  ...numbers,
  ...numbers.map((number) => -number - 1),
  0.5,
  -1e-300,
  NaN,
  Infinity,
  true,
  false,
  null,
  undefined,
  ...[0, 31, 32, 255, 256, 65_535, 65_536].map((length) => "x".repeat(length)),
  "é✓😀\u2028\ufeff",
  ...[0, 1, 255, 256, 65_536].map(bytes),
  ...[0, 15, 16, 65_536].map((length) => Array.from({ length }, (_, at) => at)),
  Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`key ${at}`, at])),
  { a: { b: [null, { c: "d" }] }, "": undefined },
  new Date(0),
  new Date(-1),
  new Date(2 ** 40 + 7),
];

test("values are written as notepack.io writes them, and read back", () => {
  for (const value of values) {
    const written = encode(value);
    // For Node bytes are a Buffer to notepack.io.
    const given = value instanceof ArrayBuffer ? Buffer.from(value) : value;
    assert.equal(hex(written), hex(notepack.encode(given)), String(value).slice(0, 50));
    assert.deepEqual(decode(written), value);
  }
});

test("integers beyond 64 bits are floats", () => {
  for (const value of [-1e300, 2 ** 64, -(2 ** 64)]) assert.equal(decode(encode(value)), value);
  assert.deepEqual([2 ** 64 - 2 ** 11, -(2 ** 63)].map((value) => decode(encode(value))), [2 ** 64 - 2 ** 11, -(2 ** 63)]);
});

test("values are right wherever the room ends", () => {
  for (let length = 240; length < 260; length += 1) {
    const value = ["x".repeat(length), 0.5, bytes(300), "é".repeat(300), 1e9];
    assert.deepEqual(decode(encode(value)), value);
  }
});

test("every kind of view is its bytes", () => {
  const view = new Uint16Array([1, 2, 3]).subarray(1);
  assert.deepEqual(decode(encode([view, new DataView(bytes(4), 1, 2)])), [new Uint8Array([2, 0, 3, 0]).buffer, new Uint8Array([1, 2]).buffer]);
  assert.deepEqual(decode(Buffer.from("93010203", "hex")), [1, 2, 3]);
  assert.deepEqual(decode(Buffer.from("c4020102", "hex")), Buffer.of(1, 2));
});

test("toJSON is asked, functions in objects are left out, what cannot be sent is told", () => {
  assert.deepEqual(decode(encode({ date: { toJSON: () => "today" }, f() {} })), { date: "today" });
  assert.throws(() => encode([() => {}]), /function/);
  assert.throws(() => encode(1n), /bigint/);
  assert.throws(() => encode(new Blob(["x"])), /arrayBuffer/);
});

test("packets have the bytes of socket.io-msgpack-parser", () => {
  for (const [packet, expected] of [
    [{ type: PacketType.CONNECT, nsp: "/", data: undefined }, "82a47479706500a36e7370a12f"],
    [{ type: PacketType.EVENT, nsp: "/", data: ["hello", 1, { a: true }] }, "83a47479706502a36e7370a12fa46461746193a568656c6c6f0181a161c3"],
    [
      { type: PacketType.EVENT, nsp: "/admin", data: ["x", Uint8Array.of(1, 2)], id: 13, options: { compress: true } },
      "84a47479706502a36e7370a62f61646d696ea46461746192a178c4020102a269640d",
    ],
    [{ type: PacketType.ACK, nsp: "/", data: [], id: 13 }, "84a47479706503a36e7370a12fa46461746190a269640d"],
  ] as [Packet, string][]) {
    assert.equal(hex(new Encoder().encode(packet)[0]), expected);
  }
});

function received(chunk: any): Packet | undefined {
  const decoder = new Decoder();
  let came: Packet | undefined;
  decoder.on("decoded", (packet) => (came = packet));
  decoder.add(chunk);
  return came;
}

test("packets are read, also from JSON", () => {
  const packet = { type: 2, nsp: "/", data: ["hello", { deep: [1] }], id: 3 };
  assert.deepEqual(received(encode(packet)), packet);
  assert.deepEqual(received(JSON.stringify(packet)), packet);
});

test("what is no packet is refused", () => {
  for (const packet of [
    null,
    1,
    [],
    {},
    { type: 5, nsp: "/", data: ["a"] },
    { type: 0.5, nsp: "/" },
    { type: 2, nsp: 1, data: ["a"] },
    { type: 2, nsp: "/" },
    { type: 2, nsp: "/", data: [] },
    { type: 2, nsp: "/", data: ["connect"] },
    { type: 2, nsp: "/", data: ["a"], id: "1" },
    { type: 3, nsp: "/", data: {}, id: 1 },
    { type: 1, nsp: "/", data: 1 },
    { type: 0, nsp: "/", data: "x" },
  ]) {
    assert.throws(() => received(encode(packet)), JSON.stringify(packet));
  }
});

test("what ends early, goes on, or declares more than there is, is refused", () => {
  const whole = Buffer.from(encode({ a: ["text", bytes(300), 1e9, 0.5, new Date(1)] }));
  for (let length = 0; length < whole.length; length += 1) assert.throws(() => decode(whole.subarray(0, length)), `${length} bytes`);
  for (const text of ["c1", "00ff", "ddffffffff", "dfffffffff", "c6ffffffff00", "dbffffffff", "c9ffffffff00", "a2c3"]) {
    assert.throws(() => decode(Buffer.from(text, "hex")), text);
  }
});

test("a key is a key, whatever it is called", () => {
  const value = decode(Buffer.from(encode(JSON.parse('{"__proto__":{"polluted":1},"constructor":2}'))));
  assert.deepEqual(Object.keys(value as object), ["__proto__", "constructor"]);
  assert.equal(({} as any).polluted, undefined);
});
