// Plain WebSockets: the browser's own `new WebSocket("ws://…/ws")`, with the subprotocol `patera.json` and without.

import assert from "node:assert/strict";

const bytes = Uint8Array.of(0, 1, 255);

export const native = [
  {
    name: "the subprotocol is agreed on where it is asked for, and only there",
    needs: ["native"],
    async run(stage) {
      assert.equal(await (await stage.connect()).protocol(), "patera.json");
      assert.equal(await (await stage.connect("/", { raw: true })).protocol(), "");
    },
  },
  {
    name: "without a subprotocol texts and bytes are the event `message`, as they are",
    needs: ["native"],
    async run(stage) {
      const client = await stage.connect("/", { raw: true });
      for (const message of ["hello", "", "é😀\u2028", '"quoted"', "[1]", bytes, new Uint8Array(0), new Uint8Array(70_000)]) {
        await client.send(message);
        stage.equal(await client.next("message"), [message]);
      }
    },
  },
  {
    name: "without a subprotocol other events come as JSON",
    needs: ["native"],
    async run(stage) {
      const [raw, other] = [await stage.connect("/", { raw: true }), await stage.connect()];
      const nonce = stage.unique("raw");
      await other.emit("all", nonce, { n: 1 }, bytes);
      stage.equal(await raw.next("all"), [nonce, { n: 1 }, bytes]);
      const [{ id }, ...rest] = await raw.next("welcome");
      stage.equal(rest, ["two", 3]);
      await other.emit("to", id, "psst");
      stage.equal(await raw.next("private"), [await other.id(), "psst"]);
    },
  },
  {
    name: "a client of the subprotocol may send bytes as they are",
    needs: ["native"],
    async run(stage) {
      const client = await stage.connect();
      await client.send(bytes);
      stage.equal(await client.next("message"), [bytes]);
    },
  },
  {
    name: "the query is the auth of a namespace that asks for one",
    needs: ["native"],
    async run(stage) {
      const client = await stage.connect("/admin", { auth: { token: "let me in" } });
      stage.equal(await client.next("hello"), ["admin"]);
      stage.equal(await client.call("echo", 1), [1]);
    },
  },
  {
    name: "who is refused is told why, and closed",
    needs: ["native"],
    async run(stage) {
      const client = await stage.open("/admin", { auth: { token: "wrong" } });
      stage.equal(await client.life("connect_error"), { message: "not authorised", data: { code: 4001, hint: "é✓" } });
      await client.life("disconnect");
    },
  },
];
