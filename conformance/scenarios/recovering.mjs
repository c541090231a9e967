// Coming back by connection state recovery, through a link that is cut or stalls. The client is a stock one: it reconnects by
// itself, with the private id and the offset it remembers.

import assert from "node:assert/strict";
import { breakableLink } from "../harness/proxy.mjs";

const server = { connection_state_recovery: {}, ping_interval: 500, ping_timeout: 400 };
const needs = ["reconnect", "recovery"];

/** The arguments without the offset that stands behind them. */
async function next(client, event, count) {
  return (await client.next(event)).slice(0, count);
}

/** A client whose link can be broken, and another one that emits to it by a link that holds. */
async function pair(stage, run, namespace = "/", options = {}) {
  const link = await breakableLink(stage.server.port);
  try {
    const client = await stage.connect(namespace, { url: link.url, reconnection: true, ...options });
    if (stage.mode === "upgrade") await client.upgraded();
    const other = await stage.connect(namespace, options);
    await run({ link, client, other, id: await client.id() });
  } finally {
    link.close();
  }
}

async function lose(client, other, id, how) {
  await other.call("watch", id);
  how();
  await client.life("disconnect");
  return next(other, "left", 2);
}

export const recovering = [
  {
    name: "a client whose link was cut finds its id, its rooms, its data and what it missed",
    needs,
    server,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        stage.equal(await client.call("recovered"), [false]);
        await client.call("join", "room");
        await client.call("remember", { name: "é" });
        await other.emit("room", "room", 0);
        stage.equal(await next(client, "room", 2), ["room", 0]);
        link.refuse();
        const [gone, reason] = await lose(client, other, id, () => link.cut());
        assert.equal(gone, id);
        assert.match(reason, /^(transport (close|error)|ping timeout)$/);
        await other.emit("room", "room", 1, "text");
        await other.emit("room", "elsewhere", 2);
        await other.emit("to", id, "privately");
        await other.emit("room", "room", 3, Uint8Array.of(1, 2, 3));
        await other.call("whoami");
        link.accept();
        await client.life("connect");
        assert.equal(await client.id(), id);
        stage.equal(await next(client, "room", 3), ["room", 1, "text"]);
        stage.equal(await next(client, "private", 2), [await other.id(), "privately"]);
        stage.equal(await next(client, "room", 3), ["room", 3, Uint8Array.of(1, 2, 3)]);
        stage.equal(await client.call("recovered"), [true]);
        stage.equal(await client.call("remembered"), [{ name: "é" }]);
        await other.emit("room", "room", 4);
        stage.equal(await next(client, "room", 2), ["room", 4]);
        assert.equal(await client.waiting("room"), 0);
      });
    },
  },
  {
    name: "a client whose link stalls unnoticed comes back and is recovered",
    needs,
    server,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        await client.call("join", "room");
        link.stall();
        // Swallowed by a link that both ends take for sound.
        for (let n = 0; n < 5; n += 1) await other.emit("room", "room", n);
        await client.life("disconnect");
        await other.emit("room", "room", 5);
        await client.life("connect");
        assert.equal(await client.id(), id);
        for (let n = 0; n <= 5; n += 1) stage.equal(await next(client, "room", 2), ["room", n]);
      });
    },
  },
  {
    name: "a connection that only the client has lost is fenced and recovered",
    needs,
    // A client that polls tells the server by a request of its own.
    modes: ["websocket", "upgrade"],
    // It sees nothing amiss for longer than the scenario lasts.
    server: { connection_state_recovery: {} },
    reference: false,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        await client.call("join", "room");
        await other.call("watch", id);
        await link.cutClients();
        await other.emit("room", "room", 1);
        await client.life("disconnect");
        await client.life("connect");
        assert.equal(await client.id(), id);
        stage.equal(await next(client, "room", 2), ["room", 1]);
        stage.equal(await next(other, "left", 2), [id, "forced server close"]);
        await other.emit("room", "room", 2);
        stage.equal(await next(client, "room", 2), ["room", 2]);
      });
    },
  },
  {
    name: "a client that has received nothing yet is recovered",
    needs,
    server,
    reference: false,
    async run(stage) {
      await pair(
        stage,
        async ({ link, client, other, id }) => {
          link.refuse();
          await lose(client, other, id, () => link.cut());
          await other.emit("to", id, "first");
          await other.call("whoami");
          link.accept();
          await client.life("connect");
          assert.equal(await client.id(), id);
          stage.equal(await next(client, "private", 2), [await other.id(), "first"]);
        },
        "/chat",
      );
    },
  },
  {
    name: "volatile events do not spoil what a client remembers",
    needs,
    server,
    reference: false,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        await client.emit("volatile me", "AAAAAAAA.1");
        await client.next("volatile");
        link.refuse();
        await lose(client, other, id, () => link.cut());
        await other.emit("to", id, "missed");
        await other.call("whoami");
        link.accept();
        await client.life("connect");
        assert.equal(await client.id(), id);
        stage.equal(await next(client, "private", 2), [await other.id(), "missed"]);
        assert.equal(await client.waiting("volatile"), 0);
      });
    },
  },
  {
    name: "middlewares are asked again",
    needs: [...needs, "namespace auth"],
    server,
    reference: false,
    async run(stage) {
      await pair(
        stage,
        async ({ link, client, other, id }) => {
          stage.equal(await other.call("asked"), [2]);
          await lose(client, other, id, () => link.cut());
          await client.life("connect");
          assert.equal(await client.id(), id);
          stage.equal(await client.call("asked"), [3]);
        },
        "/admin",
        { auth: { token: "let me in" } },
      );
    },
  },
  {
    name: "who was sent away, or left, is not recovered",
    needs,
    server,
    async run(stage) {
      await pair(stage, async ({ client, other, id }) => {
        await client.emit("disconnect me", false);
        await client.life("disconnect");
        await client.connect();
        await client.life("connect");
        const second = await client.id();
        assert.notEqual(second, id);
        // Its next connection may be there before the end of this one, and stock clients then ask for what they had.
        await lose(client, other, second, () => client.disconnect());
        await client.connect();
        await client.life("connect");
        assert.notEqual(await client.id(), second);
        stage.equal(await client.call("recovered"), [false]);
      });
    },
  },
  {
    name: "who stays away too long starts anew",
    needs,
    server: { ...server, connection_state_recovery: { max_disconnection_duration: 300 } },
    reference: false,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        await client.call("join", "room");
        link.refuse();
        await lose(client, other, id, () => link.cut());
        await other.emit("room", "room", 1);
        let stat;
        do stat = await stage.server.stat();
        while (stat.recoverable > 0);
        link.accept();
        await client.life("connect");
        assert.notEqual(await client.id(), id);
        stage.equal(await client.call("recovered"), [false]);
        assert.equal(await client.waiting("room"), 0);
      });
    },
  },
  {
    name: "a flood through a link that is cut again and again arrives once and in order",
    needs,
    server: { ...server, ping_interval: 200 },
    reference: false,
    async run(stage) {
      await pair(stage, async ({ link, client, other, id }) => {
        await client.call("join", "room");
        const count = 300;
        const flooding = (async () => {
          for (let n = 0; n < count; n += 1) {
            await other.emit("room", "room", n);
            // At any byte, now of what goes down, now of what comes up.
            if (n % 30 === 0) link.cutAfter((n * 7919) % 3000, n % 60 === 0 ? "down" : "up");
            if (n % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 1));
          }
          link.hold();
        })();
        // If it fails, what has gone before tells why.
        flooding.catch(() => {});
        for (let n = 0; n < count; n += 1) stage.equal(await next(client, "room", 2), ["room", n]);
        await flooding;
        assert.equal(await client.id(), id);
        assert.equal(await client.waiting("room"), 0);
      });
    },
  },
];
