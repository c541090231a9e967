// The wire vectors of the repository: what Rust reads in its tests too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodeBytes, decodeText, encodeBytes, encodeText, type Packet as EnginePacket, type Version } from "../src/engineio/packet.js";
import { decodePayload, encodePayload } from "../src/engineio/payload.js";
import { Decoder } from "../src/socketio/connection.js";
import { encode } from "../src/socketio/encode.js";
import { PacketType, type Packet } from "../src/socketio/packet.js";

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../../vectors/${name}.json`, import.meta.url), "utf8"));
const fromHex = (hex: string): ArrayBuffer => new Uint8Array(Buffer.from(hex, "hex")).buffer;
const toHex = (data: ArrayBuffer | ArrayBufferView) =>
  Buffer.from(ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)).toString("hex");

/** A packet as the vectors write it; of those without text they leave out what stands behind the type. */
function row(packet: EnginePacket) {
  if (packet.data instanceof ArrayBuffer) return { type: packet.type, binary: toHex(packet.data) };
  const isBare = ["close", "upgrade", "noop"].includes(packet.type);
  return isBare ? { type: packet.type } : { type: packet.type, data: packet.data ?? "" };
}

function packetOf({ type, data, binary }: any): EnginePacket {
  return { type, data: binary === undefined ? data : fromHex(binary) };
}

for (const [name, version] of [
  ["engineio", 4],
  ["engineio3", 3],
] as [string, Version][]) {
  test(`${name}: packets`, () => {
    const { valid, invalid } = read(`${name}-packets`);
    for (const { text, frame_hex, packet, decode_only } of valid) {
      const came = text === undefined ? decodeBytes(fromHex(frame_hex), version) : decodeText(text, version);
      assert.deepEqual(row(came), packet, text);
      if (decode_only) continue;
      const given = packetOf(packet);
      if (text !== undefined) assert.equal(encodeText(given, version), text);
      else assert.equal(toHex(encodeBytes(given.data, version)), frame_hex);
    }
    for (const { text, frame_hex } of invalid) {
      const came = text === undefined ? decodeBytes(fromHex(frame_hex), version) : decodeText(text, version);
      assert.equal(came.type, "error", text ?? frame_hex);
    }
  });

  test(`${name}: payloads`, () => {
    const { valid, invalid } = read(`${name}-payloads`);
    for (const { body, bytes_hex, packets, decode_only } of valid) {
      // Clients of 1.x encode text twice: servers make up for that, and never write so.
      if (decode_only) continue;
      assert.deepEqual(decodePayload(body ?? fromHex(bytes_hex), version).map(row), packets, body ?? bytes_hex);
      if (body !== undefined) assert.equal(encodePayload(packets.map(packetOf), version), body);
    }
    for (const { body, bytes_hex, before, error } of invalid) {
      // Text that is no UTF-8 is patched, not refused; and a client does not count control packets.
      if ((body ?? bytes_hex) === undefined || /^(too_many_control_packets|utf8)$/.test(error)) continue;
      const came = decodePayload(body ?? fromHex(bytes_hex), version);
      assert.equal(came.pop()?.type, "error", body ?? bytes_hex);
      // A length that ends within a character is seen behind it only.
      if (body !== "2:4😀") assert.deepEqual(came.map(row), before, body);
    }
  });
}

/** Decodes a text and its attachments; bytes become `{"$bytes": hex}`. */
function decode(text: string, attachments: string[] = []): Packet {
  const decoder = new Decoder();
  const came: Packet[] = [];
  decoder.on("decoded", (packet) => came.push(packet));
  decoder.add(text);
  for (const hex of attachments) decoder.add(fromHex(hex));
  assert.equal(came.length, 1, text);
  return came[0]!;
}

const names = ["connect", "disconnect", "event", "ack", "connect_error", "event", "ack"];

function socketRow({ type, nsp, id, data }: Packet) {
  const packet: any = { type: names[type], namespace: nsp };
  if (id !== undefined) packet.id = id;
  const plain = JSON.parse(JSON.stringify(data ?? null, (_, value) => (value instanceof ArrayBuffer ? { $bytes: toHex(value) } : value)));
  if (packet.type === "event") [packet.name, packet.args] = [String(plain[0]), plain.slice(1)];
  else if (packet.type === "ack") packet.args = plain;
  else if (data !== undefined) packet.payload = plain;
  return packet;
}

function socketPacket({ type, namespace, id, name, args, payload }: any): Packet {
  const kind = { connect: PacketType.CONNECT, disconnect: PacketType.DISCONNECT, event: PacketType.EVENT, ack: PacketType.ACK }[
    type as string
  ];
  const data = name === undefined ? (args ?? payload) : [name, ...args];
  const bytes = JSON.parse(JSON.stringify(data ?? null), (_, value) =>
    typeof value?.$bytes === "string" ? new Uint8Array(fromHex(value.$bytes)) : value,
  );
  return { type: kind ?? PacketType.CONNECT_ERROR, nsp: namespace, id, data: data === undefined ? undefined : bytes };
}

test("socketio: packets", () => {
  const { valid } = read("socketio-packets");
  for (const { text, attachments, packet, decode_only } of valid) {
    assert.deepEqual(socketRow(decode(text, attachments)), packet, text);
    if (decode_only) continue;
    const [head, ...rest] = encode(socketPacket(packet));
    assert.equal(head, text);
    assert.deepEqual(rest.map((each) => toHex(each as Uint8Array)), attachments ?? []);
  }
});

/** Errors of a party that knows where it is connected, and limits that only a server has. */
const notOfDecoding = /^(not_connected|already_connected|wrong_direction|limit_(?!attachments))/;

test("socketio: what is no packet is refused", () => {
  const rows = read("socketio-packets").invalid.filter(({ error }: any) => !notOfDecoding.test(error));
  assert.ok(rows.length > 80);
  for (const { messages } of rows) {
    const decoder = new Decoder();
    const add = (message: any) => decoder.add(typeof message === "string" ? message : fromHex(message.binary));
    messages.slice(0, -1).forEach(add);
    assert.throws(() => {
      add(messages.at(-1));
      // A placeholder is looked at when the attachments are there.
      const count = Number(/^[56](\d+)-/.exec(messages.at(-1))?.[1] ?? 0);
      for (let more = 0; more < count && more < 20; more += 1) decoder.add(fromHex("00"));
    }, JSON.stringify(messages).slice(0, 100));
  }
});

test("socketio 4: what a server writes", () => {
  const { server } = read("socketio4-packets");
  assert.ok(server.length > 3);
  for (const { text, attachments, packet } of server) {
    const came = decode(text, attachments);
    assert.equal(came.nsp.split("?")[0], packet.namespace, text);
    assert.equal(names[came.type]?.replace("connect_", ""), packet.type.replace("connect_", ""), text);
  }
});
