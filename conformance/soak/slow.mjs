// A room that is told more than a slow reader takes: who trickles gets all of it in order, who stops is cut, and nobody else is.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Peers } from "../harness/peers.mjs";
import { Part } from "./part.mjs";

const room = "firehose";
/** How many messages the trickler may be behind: more would fill its outbox too, on a machine that has much else to do. */
const behindMax = 10;
/** It cannot be compressed. */
const message = randomBytes(48 * 1024).toString("base64");

export class Slow extends Part {
  /** By the trickler. */
  #heard = 0;

  constructor(name, soak, server) {
    super(name, soak);
    this.server = server;
  }

  async run() {
    const peers = new Peers();
    try {
      const [feeder, trickler] = [await peers.socketIo(this.server.url), await peers.native(this.server.url)];
      await trickler.ask("join", room);
      const trickling = this.#trickle(trickler);
      trickling.catch(() => {});
      const cut = trickler.closed.then((code) => {
        throw new Error(`slow readers: the trickler was cut with ${code}`);
      });
      cut.catch(() => {});
      const failed = Promise.race([cut, trickling.then(() => new Promise(() => {}))]);
      failed.catch(() => {});
      let sent = 0;
      while (!this.stopping) {
        const stopped = await this.#stop(peers, feeder);
        // Fed until it is cut: some megabytes fill what the kernel keeps for it, one more its outbox.
        let gone = false;
        const left = feeder.next("left").then(([id, reason]) => {
          assert.equal(id, stopped.id);
          this.count(reason);
          gone = true;
        });
        const feed = async () => {
          while (!gone && !this.stopping) {
            if (sent - this.#heard < behindMax) {
              feeder.emit("others", room, sent, message);
              sent += 1;
            }
            await this.pause(40 / this.soak.rate);
          }
        };
        await Promise.race([failed, this.within(120, "a reader that has stopped to be cut", feed())]);
        if (gone) await left;
        stopped.socket.terminate();
      }
      feeder.emit("others", room, -1, sent);
      await this.within(60, "the trickler to have all", Promise.race([cut, trickling]));
    } finally {
      peers.closeAll();
    }
  }

  /** Somebody in the room who reads no more. */
  async #stop(peers, feeder) {
    const stopped = await peers.native(this.server.url);
    await stopped.ask("join", room);
    await feeder.ask("watch", stopped.id);
    stopped.socket.pause();
    return stopped;
  }

  /** Reads a little at a time. */
  async #trickle(trickler) {
    for (let expected = 0; ; expected += 1) {
      const [, n, total] = await trickler.next("room");
      if (n === -1) return assert.equal(total, expected, "the trickler has all");
      assert.equal(n, expected, "the trickler hears in order");
      this.#heard = expected + 1;
      this.count("deliveries");
      if (expected % 20 !== 19) continue;
      trickler.socket.pause();
      await this.pause(100);
      trickler.socket.resume();
    }
  }
}
