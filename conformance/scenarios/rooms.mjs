import assert from "node:assert/strict";

/** Three clients; the first `members` of them are in a room of their own. */
async function three(stage, members) {
  const clients = [await stage.connect(), await stage.connect(), await stage.connect()];
  const room = stage.unique("room");
  for (const client of clients.slice(0, members)) await client.call("join", room);
  return { clients, room };
}

/** After an answer from the server nothing sent before can still be under way: so none came. */
async function heardNothing(client, event) {
  await client.call("whoami");
  assert.equal(await client.waiting(event), 0);
}

export const rooms = [
  {
    name: "a room hears what is sent to it, nobody else does",
    async run(stage) {
      const { clients, room } = await three(stage, 2);
      await clients[2].emit("room", room, "news", { n: 1 });
      for (const member of clients.slice(0, 2)) stage.equal(await member.next("room"), [room, "news", { n: 1 }]);
      await heardNothing(clients[2], "room");
    },
  },
  {
    name: "who sends to its own room through its socket is left out",
    async run(stage) {
      const { clients, room } = await three(stage, 3);
      await clients[0].emit("others", room, "news");
      for (const member of clients.slice(1)) stage.equal(await member.next("room"), [room, "news"]);
      await heardNothing(clients[0], "room");
    },
  },
  {
    name: "who is excepted is left out",
    async run(stage) {
      const { clients, room } = await three(stage, 3);
      await clients[0].emit("except", room, await clients[1].id(), "news");
      for (const member of [clients[0], clients[2]]) stage.equal(await member.next("room"), [room, "news"]);
      await heardNothing(clients[1], "room");
    },
  },
  {
    name: "who has left a room hears it no more",
    async run(stage) {
      const { clients, room } = await three(stage, 2);
      await clients[1].call("leave", room);
      await clients[2].emit("room", room, "news");
      stage.equal(await clients[0].next("room"), [room, "news"]);
      await heardNothing(clients[1], "room");
    },
  },
  {
    name: "a broadcast reaches everyone but its sender",
    async run(stage) {
      const { clients } = await three(stage, 0);
      const nonce = stage.unique("broadcast");
      await clients[0].emit("bc", nonce, 2);
      for (const other of clients.slice(1)) stage.equal(await other.next("bc"), [nonce, 2]);
      await heardNothing(clients[0], "bc");
    },
  },
  {
    name: "an event to everyone reaches its sender too",
    async run(stage) {
      const { clients } = await three(stage, 0);
      const nonce = stage.unique("all");
      await clients[0].emit("all", nonce);
      for (const each of clients) stage.equal(await each.next("all"), [nonce]);
    },
  },
  {
    name: "a private message reaches one id",
    needs: ["non-ASCII"],
    async run(stage) {
      const { clients } = await three(stage, 0);
      await clients[0].emit("to", await clients[1].id(), "psst", { secret: "é" });
      stage.equal(await clients[1].next("private"), [await clients[0].id(), "psst", { secret: "é" }]);
      await heardNothing(clients[2], "private");
    },
  },
];
