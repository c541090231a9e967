// Every generation of clients in one room of one server: what each sends reaches all others, once and in order.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium1, chromium2, chromium4, nativeChromium } from "../clients/chromium.mjs";
import { nativeNode, node14, node17, node2, node3, node4 } from "../clients/node.mjs";
import { python4Async, pythonAsync } from "../clients/python.mjs";
import { corsFor, isAble, Stage } from "../harness/scenario.mjs";
import { isReference, Server } from "../harness/server.mjs";

const rounds = 10;
const bytes = (count) => Uint8Array.from({ length: count }, (_, n) => n % 256);

/** Kinds of clients, each with the modes in which it takes part. A browser allows few connections to one host. */
const members = [
  [node14, ["polling", "websocket", "upgrade"]],
  [node17, ["polling", "websocket", "upgrade"]],
  [node2, ["polling", "websocket", "upgrade"]],
  [node3, ["polling", "websocket", "upgrade"]],
  [node4, ["polling", "websocket", "upgrade"]],
  [python4Async, ["polling", "websocket"]],
  [pythonAsync, ["polling", "websocket"]],
  [chromium1, ["polling", "websocket", "jsonp"]],
  [chromium2, ["polling", "websocket", "jsonp"]],
  [chromium4, ["polling", "websocket"]],
  ...(isReference ? [] : [nativeNode, nativeChromium].map((kind) => [kind, ["websocket"]])),
];

/** The reference breaks the connection of a 1.x client that polls when a text to it is not ASCII. */
const greeting = members.every(([kind, modes]) => modes.every((mode) => isAble(kind, mode, "non-ASCII"))) ? "é✓😀\u2028" : "ascii";

/** What `sender` sends in each round: text and bytes in turn. */
function contents(sender, round) {
  return round % 2 === 0 ? [sender, round, `${greeting} ${round}`] : [sender, round, { file: bytes(round) }, bytes(300)];
}

describe("all generations in one room", () => {
  let server;
  const agents = [];
  before(async () => {
    for (const [kind] of members) agents.push(await kind.start());
    const origin = agents.map((agent) => agent.origin).filter(Boolean);
    server = await Server.start({ cors: { origin, credentials: true } });
  });
  after(async () => {
    for (const agent of agents) await agent.run("close", "", []);
    for (const agent of agents) await agent.stop();
    await server?.stop();
  });

  /** One client of each kind and mode, all in `room`. */
  async function gather(room) {
    const places = members.flatMap(([kind, modes], at) => modes.map((mode) => new Stage(kind, mode, agents[at], server)));
    return Promise.all(
      places.map(async (stage) => {
        const client = await stage.connect();
        if (stage.mode === "upgrade") await client.upgraded();
        await client.call("join", room);
        return { name: `${stage.kind.name}, ${stage.mode}`, client, stage };
      }),
    );
  }

  test("each sends text and bytes, all others receive them once and in order", { timeout: 60_000 }, async () => {
    const room = "everyone";
    const everyone = await gather(room);
    await Promise.all(
      everyone.map(async ({ name, client }) => {
        for (let round = 0; round < rounds; round += 1) await client.emit("others", room, ...contents(name, round));
      }),
    );
    await Promise.all(
      everyone.map(async ({ name, client, stage }) => {
        const nexts = new Map(everyone.filter((other) => other.name !== name).map((other) => [other.name, 0]));
        for (let count = nexts.size * rounds; count > 0; count -= 1) {
          const [where, sender, ...rest] = await client.next("room");
          const round = nexts.get(sender);
          assert.equal(where, room);
          stage.equal([sender, ...rest], contents(sender, round), `${name} hears ${sender}`);
          nexts.set(sender, round + 1);
        }
        // Nothing sent before this answer can still be under way.
        await client.call("whoami");
        assert.equal(await client.waiting("room"), 0, `${name} heard something twice`);
      }),
    );
    await Promise.all(agents.map((agent) => agent.run("close", "", [])));
  });

  test("each reaches each by its id, and hears of an end", { timeout: 60_000 }, async () => {
    const everyone = await gather("pairs");
    for (const other of everyone) [other.id] = await other.client.call("whoami");
    for (const [at, { name, client }] of everyone.entries()) {
      const other = everyone[(at + 1) % everyone.length];
      await client.emit("to", other.id, "psst", bytes(5));
      const [from, ...rest] = await other.client.next("private");
      assert.equal(from, everyone[at].id);
      other.stage.equal(rest, ["psst", bytes(5)], `${other.name} hears ${name}`);
      await client.call("watch", other.id);
    }
    const [leaving] = everyone;
    await leaving.client.disconnect();
    const observer = everyone.at(-1);
    assert.equal((await observer.client.next("left"))[0], leaving.id);
    await Promise.all(agents.map((agent) => agent.run("close", "", [])));
  });
});
