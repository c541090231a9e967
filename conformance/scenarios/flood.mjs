// Floods of numbered events: none lost, doubled or overtaken, also across the upgrade.

import assert from "node:assert/strict";
import { slowWebSockets } from "../harness/proxy.mjs";

const count = 2_000;
const numbers = Array.from({ length: count }, (_, n) => n);

/** Floods both ways at once, as soon as the client is connected; gives the transports before and after. */
async function floodBothWays(stage, client) {
  await client.emit("flood me", count, 10);
  const [flooded, heard] = await Promise.all([client.flood("numbered", count, 10), client.collect("flood", count)]);
  assert.deepEqual(heard, numbers);
  stage.equal(await client.call("numbered total"), [{ count, wrong: null }]);
  assert.equal(await client.waiting("flood"), 0);
  return flooded;
}

export const flood = [
  {
    name: "a flood of numbered events both ways arrives once and in order",
    async run(stage) {
      await floodBothWays(stage, await stage.connect());
    },
  },
  {
    name: "a flood both ways during the upgrade arrives once and in order",
    needs: ["slow upgrade"],
    modes: ["upgrade"],
    async run(stage) {
      const proxy = await slowWebSockets(stage.server.port, 20);
      try {
        for (let round = 0; round < 3; round += 1) {
          const client = await stage.connect("/", { url: proxy.url });
          const { from, to } = await floodBothWays(stage, client);
          assert.equal(from, "polling", "the flood began before the upgrade");
          assert.equal(to, "websocket", "the flood ended after the upgrade");
          await client.disconnect();
        }
      } finally {
        proxy.close();
      }
    },
  },
  {
    name: "acknowledgements under way during the upgrade find their callers",
    needs: ["slow upgrade"],
    modes: ["upgrade"],
    async run(stage) {
      const proxy = await slowWebSockets(stage.server.port, 20);
      try {
        const client = await stage.connect("/", { url: proxy.url });
        assert.equal(await client.transport(), "polling");
        const calls = [];
        while (calls.length < 1_000 && (await client.transport()) !== "websocket") {
          calls.push(client.call("echo", calls.length));
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        calls.push(client.call("echo", calls.length));
        stage.equal(await Promise.all(calls), calls.map((_, n) => [n]));
        assert.equal(await client.transport(), "websocket");
      } finally {
        proxy.close();
      }
    },
  },
];
