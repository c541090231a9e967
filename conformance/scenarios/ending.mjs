import assert from "node:assert/strict";

/** Connects a client and an observer who is told by the server when and why the client has left. */
async function watched(stage, options) {
  const client = await stage.connect("/", options);
  const observer = await stage.connect();
  const id = await client.id();
  await observer.call("watch", id);
  if (stage.mode === "upgrade") await client.upgraded();
  return { client, observer, id };
}

export const ending = [
  {
    name: "the client disconnects; both sides know why",
    async run(stage) {
      const { client, observer, id } = await watched(stage);
      await client.disconnect();
      if (stage.kind.hearsOwnEnd !== false) stage.ended(await client.life("disconnect"), "byClient");
      const [who, why] = await observer.next("left");
      assert.equal(who, id);
      if (stage.kind.native) assert.equal(why, "transport close");
      else if (stage.kind.hearsOwnEnd === false) assert.match(why, /^(client namespace disconnect|transport (close|error))$/);
      else assert.match(why, /^(client namespace disconnect|transport close)$/);
      if (stage.kind.can.has("cut")) assert.equal(why, "client namespace disconnect");
    },
  },
  {
    name: "the server disconnects the socket; both sides know why",
    async run(stage) {
      const { client, observer, id } = await watched(stage);
      await client.emit("disconnect me", false);
      stage.ended(await client.life("disconnect"), "byServer");
      stage.equal(await observer.next("left"), [id, "server namespace disconnect"]);
    },
  },
  {
    name: "the server closes the whole connection; both sides know why",
    async run(stage) {
      const { client, observer, id } = await watched(stage);
      await client.emit("disconnect me", true);
      stage.ended(await client.life("disconnect"), "byServer");
      stage.equal(await observer.next("left"), [id, "server namespace disconnect"]);
    },
  },
  {
    name: "who has left is in no room",
    async run(stage) {
      const { client, observer } = await watched(stage);
      const room = stage.unique("left");
      await client.call("join", room);
      await observer.call("join", room);
      await client.disconnect();
      await observer.next("left");
      await observer.emit("room", room, "anyone");
      stage.equal(await observer.next("room"), [room, "anyone"]);
      assert.equal(await client.waiting("room"), 0);
    },
  },
  {
    name: "a transport that closes under the client ends as transport close, and the client comes back",
    needs: ["cut"],
    async run(stage) {
      const { client, observer, id } = await watched(stage, { reconnection: true });
      await client.cut();
      stage.equal(await client.life("disconnect"), { reason: "forced close" });
      stage.equal(await observer.next("left"), [id, "transport close"]);
      const { id: again } = await client.life("connect");
      assert.notEqual(again, id);
      stage.equal(await client.call("echo", "back"), ["back"]);
    },
  },
  {
    name: "a handler that panics ends its own connection and nobody else's",
    reference: false,
    async run(stage) {
      const { client, observer, id } = await watched(stage);
      await client.emit("panic me");
      if (stage.can("notice a refused POST")) await client.life("disconnect");
      const [who] = await observer.next("left");
      assert.equal(who, id);
      stage.equal(await observer.call("echo", "alive"), ["alive"]);
    },
  },
  {
    name: "heartbeats keep a silent connection open",
    server: { ping_interval: 100, ping_timeout: 1_000 },
    async run(stage) {
      const client = await stage.connect();
      // Without heartbeats that are sent and answered it would be closed within this time.
      await new Promise((resolve) => setTimeout(resolve, 1_300));
      stage.equal(await client.call("echo", "alive"), ["alive"]);
    },
  },
];
