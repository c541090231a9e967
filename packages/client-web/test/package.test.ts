// The package as others load it: by its own name, through its exports.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(import.meta.url);
// Not written out, or the types would have to be built before they are checked.
const [main, msgpack]: string[] = ["patera-client", "patera-client/msgpack"];

test("as a module and as CommonJS it has the names of socket.io-client", async () => {
  for (const loaded of [await import(main!), require(main!)]) {
    for (const name of ["io", "connect", "default", "Manager", "Socket", "protocol", "Fetch", "XHR", "NodeXHR", "WebSocket", "NodeWebSocket"]) {
      assert.ok(name in loaded, name);
    }
    assert.ok(loaded.default === loaded.io && loaded.io.Manager === loaded.Manager && loaded.io.connect === loaded.io);
    assert.equal(loaded.protocol, 5);
  }
});

test("the parser for msgpack is an entry of its own", async () => {
  for (const { Encoder, Decoder } of [await import(msgpack!), require(msgpack!)]) {
    let came;
    const decoder = new Decoder();
    decoder.on("decoded", (packet: unknown) => (came = packet));
    for (const part of new Encoder().encode({ type: 2, nsp: "/", data: ["a"] })) decoder.add(part);
    assert.deepEqual(came, { type: 2, nsp: "/", data: ["a"] });
  }
});
