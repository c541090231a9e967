// A client behind a link that is cut in the middle of what passes, refuses, or stalls unnoticed. By connection state recovery it gets all that
// is emitted to it, once and in order, and stays who it is.

import assert from "node:assert/strict";
import { breakableLink } from "../harness/proxy.mjs";
import { Stage } from "../harness/scenario.mjs";
import { Part } from "./part.mjs";

export class Returning extends Part {
  constructor(name, soak, server, kind, agent, mode) {
    super(`${name}: ${kind.name}, ${mode}`, soak);
    this.server = server;
    this.stage = new Stage(kind, mode, agent, server);
  }

  async run() {
    const link = await breakableLink(this.server.port);
    try {
      const client = await this.within(60, "to connect", this.stage.connect("/", { url: link.url, reconnection: true }));
      const sender = await this.within(60, "the sender to connect", this.stage.connect());
      const id = await client.id();
      let sent = 0;
      const heard = this.#hear(client, () => sent);
      heard.catch(() => {});
      const failed = heard.then(() => new Promise(() => {}));
      while (!this.stopping) {
        await Promise.race([failed, this.#disturb(link)]);
        for (let n = 0; n < 20 && !this.stopping; n += 1) {
          await sender.emit("to", id, sent, "x".repeat(this.random.below(200)));
          sent += 1;
          await this.pause(this.random.below(400 / this.soak.rate));
        }
      }
      link.hold();
      link.accept();
      await sender.emit("to", id, -1, sent);
      await this.within(60, `the last of ${sent}`, heard);
      assert.equal(await client.id(), id, `${this.name}: the same client to the end`);
      assert.equal(await client.waiting("private"), 0, `${this.name}: heard something twice`);
      await client.disconnect();
      await sender.disconnect();
    } finally {
      link.close();
    }
  }

  /** The link breaks, in one of the ways that links have. */
  async #disturb(link) {
    link.hold();
    const way = this.random.of(["cut inside", "cut inside", "cut", "refuse", "stall"]);
    if (way === "cut inside") link.cutAfter(this.random.below(3000), this.random.of(["up", "down"]));
    else if (way === "stall") link.stall();
    else {
      if (way === "refuse") link.refuse();
      link.cut();
      await this.pause(300);
      link.accept();
    }
    this.count(way);
  }

  async #hear(client) {
    for (let expected = 0; ; expected += 1) {
      const [, n, total] = await client.next("private");
      if (n === -1) return assert.equal(total, expected, `${this.name}: has all`);
      assert.equal(n, expected, `${this.name}: in order`);
      this.count("deliveries");
    }
  }
}
