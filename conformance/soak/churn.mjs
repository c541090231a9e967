// Clients that come, say what they have to say, and go: by a goodbye, sent away, or by a cut.

import assert from "node:assert/strict";
import { Stage } from "../harness/scenario.mjs";
import { Part } from "./part.mjs";

const count = 60;
const numbers = Array.from({ length: count }, (_, n) => n);

export class Churn extends Part {
  constructor(name, soak, server, kinds) {
    super(name, soak);
    this.server = server;
    this.kinds = kinds;
  }

  async run() {
    while (!this.stopping) {
      const [kind, agent, modes] = this.random.of(this.kinds);
      const stage = new Stage(kind, this.random.of(modes), agent, this.server);
      const who = `${kind.name}, ${stage.mode}`;
      await this.within(60, `${who}: a visit (${[...stage.pending].join("; ")})`, this.#visit(stage, who)).catch((error) => {
        throw new Error(`${error.message}; pending: ${[...stage.pending].join("; ") || "nothing"}`);
      });
      this.count("visits");
      await this.pause(this.random.below(1000 / this.soak.rate));
    }
  }

  async #visit(stage, who) {
    const client = await stage.connect();
    await client.call("join", `churn ${this.random.below(5)}`);
    await client.emit("flood me", count, 10);
    const [, heard] = await Promise.all([client.flood("numbered", count, 10), client.collect("flood", count)]);
    assert.deepEqual(heard, numbers, `${who} hears a flood in order`);
    stage.equal(await client.call("numbered total"), [{ count, wrong: null }], `${who} is heard in order`);
    assert.equal(await client.waiting("flood"), 0, `${who} heard something twice`);
    const ways = ["disconnect", "sent away", ...(stage.can("cut") ? ["cut"] : [])];
    const way = this.random.of(ways);
    if (way === "disconnect") await client.disconnect();
    else if (way === "cut") await client.cut();
    else {
      await client.emit("disconnect me", true);
      await client.life("disconnect");
    }
    this.count(way);
  }
}
