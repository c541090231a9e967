// Checks that a server answers the handlers' contract, by the official client: `node check.mjs http://127.0.0.1:3000`.
// The client is taken from the conformance tests' packages: `cargo xtask setup` installs them.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { once } from "node:events";

const require = createRequire(new URL("../../conformance/", import.meta.url));
const { io } = require("socket.io-client-4");

const [url = "http://127.0.0.1:3000"] = process.argv.slice(2);
const watchdog = setTimeout(() => {
  console.error("no answer within 10 s");
  process.exit(1);
}, 10_000);

const open = async () => {
  const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false });
  await Promise.race([once(socket, "connect"), once(socket, "connect_error").then(([error]) => Promise.reject(error))]);
  return socket;
};

/** All events `event` of these sockets, one each. */
const received = (event, sockets) => Promise.all(sockets.map((socket) => once(socket, event).then(([x]) => x)));

const sockets = await Promise.all([open(), open(), open()]);
const [first, second, third] = sockets;
assert.equal(new Set(sockets.map((socket) => socket.id)).size, 3, "ids differ");

const payloads = ["x", "0123456789abcdef", "é🙂", "y".repeat(1024), "z".repeat(70_000)];
const binary = [Buffer.from([1, 2, 3]), Buffer.alloc(1024, 7)];

for (const x of [...payloads, ...binary]) {
  const echo = received("echo", [first]);
  first.emit("echo", x);
  assert.deepEqual((await echo)[0], x, "echo");
  assert.deepEqual(await first.emitWithAck("ack", x), x, "ack");
  const everyone = received("pub", sockets);
  second.emit("pub", x);
  assert.deepEqual(await everyone, [x, x, x], "pub");
}

await first.emitWithAck("join", "r1");
await second.emitWithAck("join", "r1");
await third.emitWithAck("join", "r2");
third.on("room", () => assert.fail("third is in another room"));
for (const x of [...payloads, ...binary]) {
  const members = received("room", [first, second]);
  third.emit("room", "r1", x);
  assert.deepEqual(await members, [x, x], "room");
}
await third.emitWithAck("ack", "all before has arrived");

// Many at once stay in order, and none is lost.
const back = [];
first.on("echo", (x) => back.push(x));
for (let n = 0; n < 100; n++) first.emit("echo", `${n}`);
while (back.length < 100) await once(first, "echo");
assert.deepEqual(back, Array.from({ length: 100 }, (_, n) => `${n}`), "order");

// Who has left receives nothing more; the others do.
first.disconnect();
const rest = received("pub", [second, third]);
second.emit("pub", "after");
assert.deepEqual(await rest, ["after", "after"]);

for (const socket of sockets) socket.disconnect();
clearTimeout(watchdog);
console.log(`${url}: as agreed`);
