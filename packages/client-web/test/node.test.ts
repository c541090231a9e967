// What the client has of its own for Node.

import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { CookieJar } from "../src/node/cookies.js";
import { encodeFrame, FrameReader, Opcode, type Frame } from "../src/node/frame.js";
import { request } from "../src/node/request.js";

/** A frame as a server writes it: unmasked. */
function unmasked(head: number, payload: Buffer): Buffer {
  const { length } = payload;
  if (length < 126) return Buffer.concat([Buffer.of(head, length), payload]);
  const size = Buffer.alloc(length < 65_536 ? 3 : 9);
  size[0] = length < 65_536 ? 126 : 127;
  if (length < 65_536) size.writeUInt16BE(length, 1);
  else size.writeBigUInt64BE(BigInt(length), 1);
  return Buffer.concat([Buffer.of(head), size, payload]);
}

function read(chunks: Buffer[], max = 100_000): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader(max, (frame) => frames.push(frame));
  for (const chunk of chunks) reader.push(chunk);
  return frames;
}

test("frames are found in whatever pieces they come", () => {
  const payloads = [0, 1, 125, 126, 65_535, 65_536].map((length) => Buffer.alloc(length, length % 251));
  const stream = Buffer.concat(payloads.map((payload) => unmasked(0x82, payload)));
  for (const size of [1, 2, 7, 4096, stream.length]) {
    const chunks = [];
    for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
    const frames = read(chunks);
    assert.deepEqual(frames.map(({ payload }) => payload.length), payloads.map(({ length }) => length));
    assert.ok(frames.every(({ payload }, at) => payload.equals(payloads[at]!)));
  }
});

test("what a client writes is masked, and unmasks to what it was", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = Buffer.alloc(length, 0x5a);
    const frame = encodeFrame(Opcode.binary, payload);
    const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
    assert.deepEqual([frame[0], frame[1]! & 0x80], [0x82, 0x80]);
    const mask = frame.subarray(2 + extra, 6 + extra);
    const data = frame.subarray(6 + extra).map((byte, at) => byte ^ mask[at & 3]!);
    assert.ok(payload.equals(data), `${length} bytes`);
  }
});

test("frames that no server may send are refused", () => {
  const refused = (chunk: Buffer, code: number) => assert.throws(() => read([chunk]), { code }, chunk.subarray(0, 4).toString("hex"));
  refused(Buffer.of(0xa1, 0), 1002); // a reserved bit
  refused(Buffer.of(0x81, 0x80), 1002); // masked
  refused(Buffer.of(0x83, 0), 1002); // an unknown opcode
  refused(Buffer.of(0x8b, 0), 1002);
  refused(Buffer.of(0x09, 0), 1002); // a ping in fragments
  refused(Buffer.of(0x89, 126), 1002); // and one that is too long
  refused(Buffer.of(0xc9, 0), 1002); // and a compressed one
  refused(unmasked(0x82, Buffer.alloc(100_001)), 1009);
  refused(Buffer.concat([Buffer.of(0x82, 127), Buffer.alloc(8, 0xff)]), 1009);
  assert.equal(read([unmasked(0x82, Buffer.alloc(100_000))]).length, 1);
});

test("a cookie jar keeps what is alive, and sends it back", () => {
  const jar = new CookieJar();
  assert.deepEqual(jar.header(), {});
  jar.keep(["a=1; Path=/; HttpOnly", "b=x=y; Max-Age=60", "c=gone; Max-Age=0", "d=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "=nothing"]);
  jar.keep(["e=5; expires=Fri, 01 Jan 2999 00:00:00 GMT", "f=6; Max-Age=nonsense"]);
  assert.deepEqual(jar.header(), { cookie: "a=1; b=x=y; e=5; f=6" });
  jar.keep(["a=2", "b=; Max-Age=-1"]);
  assert.deepEqual(jar.header(), { cookie: "a=2; e=5; f=6" });
});

/** A server for one test: what it was asked, and what it answers. */
async function serve(answer: (request: IncomingMessage, body: string) => { status?: number; text?: string; headers?: any } | "reset") {
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const given = answer(request, body);
    if (given === "reset") return void (request.socket as any).resetAndDestroy();
    response.writeHead(given.status ?? 200, given.headers);
    response.end(given.text ?? "ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

test("requests bring headers and cookies, and take cookies along", async () => {
  const asked: unknown[] = [];
  const server = await serve(({ method, headers }, body) => {
    asked.push([method, headers["x-colour"], headers.cookie, body]);
    return { headers: { "set-cookie": `seen=${asked.length}` }, text: "é" };
  });
  try {
    const session = {};
    const options = { withCredentials: true, extraHeaders: { "X-Colour": "green" }, socket: session };
    const signal = new AbortController().signal;
    const answer = await request({ url: server.url, body: undefined, options, signal });
    assert.deepEqual(answer, { status: 200, body: "é" });
    await request({ url: server.url, body: "4é", options, signal });
    await request({ url: server.url, body: undefined, options: { ...options, socket: {} }, signal });
    const types = { headers: { "content-type": "application/octet-stream" }, text: "\x01" };
    const bytes = await serve(() => types);
    assert.deepEqual((await request({ url: bytes.url, body: undefined, options, signal })).body, Uint8Array.of(1).buffer);
    bytes.stop();
    assert.deepEqual(asked, [
      ["GET", "green", undefined, ""],
      ["POST", "green", "seen=1", "4é"],
      ["GET", "green", undefined, ""],
    ]);
  } finally {
    server.stop();
  }
});

test("a kept connection that the server has closed meanwhile costs nothing, a fresh one that is reset is an error", async () => {
  let count = 0;
  const server = await serve(() => ((count += 1) % 2 === 0 ? "reset" : {}));
  try {
    const ask = () => request({ url: server.url, body: "4", options: {}, signal: new AbortController().signal });
    await ask();
    // On the same connection, which is reset; then on another one.
    assert.equal((await ask()).status, 200);
    assert.equal(count, 3);
  } finally {
    server.stop();
  }
  const broken = await serve(() => "reset");
  try {
    await assert.rejects(request({ url: broken.url, body: "4", options: {}, signal: new AbortController().signal }), { code: "ECONNRESET" });
  } finally {
    broken.stop();
  }
});

test("an aborted request rejects", async () => {
  const abort = new AbortController();
  const server = await serve(() => {
    abort.abort();
    return {};
  });
  try {
    await assert.rejects(request({ url: server.url, body: undefined, options: {}, signal: abort.signal }), { name: "AbortError" });
  } finally {
    server.stop();
  }
});
