import assert from "node:assert/strict";
import { isReference } from "../harness/server.mjs";

const values = [
  "text",
  "",
  0,
  -1.5,
  1e21,
  9007199254740991,
  true,
  false,
  null,
  [],
  {},
  [[1, [2]], "x"],
  { a: { b: [null, { c: "d" }] }, "": 1 },
];

export const events = [
  {
    name: "events go both ways with no argument, one, and several",
    async run(stage) {
      const client = await stage.connect();
      for (const args of [[], ["one"], ["one", 2, { three: [3] }], [null, false, ""]]) {
        await client.emit("echo", ...args);
        stage.equal(await client.next("echo"), args);
      }
    },
  },
  {
    name: "every JSON value comes back as it went",
    async run(stage) {
      const client = await stage.connect();
      // Its codec wraps integers, on either side.
      const wraps = stage.kind.wrapsIntegers || (isReference && stage.kind.server?.parser === "msgpack");
      const sent = wraps ? values.filter((value) => value !== 1e21) : values;
      await client.emit("echo", ...sent);
      stage.equal(await client.next("echo"), sent);
    },
  },
  {
    name: "the event `message` is an event like any other",
    async run(stage) {
      const client = await stage.connect();
      await client.emit("message", "hello");
      stage.equal(await client.next("message"), ["hello"]);
    },
  },
  {
    name: "texts full of quotes, escapes and separators survive",
    async run(stage) {
      const client = await stage.connect();
      const texts = ['"', "\\", "\n\r\t\0", "\u001e", "a\u001eb", ",", "/admin,", "[1]", "b64==", "2probe", "42[]"];
      await client.emit("echo", ...texts);
      stage.equal(await client.next("echo"), texts);
      for (const each of texts) stage.equal(await client.call("echo", each), [each]);
    },
  },
  {
    name: "a text of 300,000 characters comes back whole",
    needs: ["long polls", "non-ASCII"],
    async run(stage) {
      const client = await stage.connect();
      const long = "0123456789é".repeat(27_000);
      stage.equal(await client.call("echo", long), [long]);
    },
  },
  {
    name: "events keep their order",
    async run(stage) {
      const client = await stage.connect();
      // JSONP loads a frame for each of them.
      const count = stage.mode === "jsonp" ? 20 : 200;
      for (let n = 0; n < count; n += 1) await client.emit("echo", n);
      stage.equal(await client.collect("echo", count), Array.from({ length: count }, (_, n) => n));
    },
  },
  {
    name: "volatile events reach a client that listens, or are dropped, never out of order",
    async run(stage) {
      const client = await stage.connect();
      await client.emit("fire", 50);
      stage.equal(await client.next("fired all"), [50]);
      const came = await client.collect("fired", await client.waiting("fired"));
      assert.deepEqual(came, [...came].sort((a, b) => a - b));
      assert.equal(new Set(came).size, came.length);
    },
  },
  {
    name: "a volatile event of the client arrives while it is connected",
    needs: ["volatile"],
    modes: ["websocket"],
    async run(stage) {
      const client = await stage.connect();
      // A volatile event may be dropped while the transport is still busy with the one before it.
      for (let round = 0; round < 50 && (await client.waiting("echo")) === 0; round += 1) {
        await client.volatile("echo", "v");
        await client.call("whoami");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      stage.equal(await client.next("echo"), ["v"]);
    },
  },
];
