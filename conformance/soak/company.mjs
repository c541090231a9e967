// Clients of every kind and transport in one room, who stay: each sends numbered text and bytes to all others and to its neighbour, asks
// and is asked. Everything arrives once and in order.

import assert from "node:assert/strict";
import { Stage } from "../harness/scenario.mjs";
import { Part } from "./part.mjs";

const bytes = (count) => Uint8Array.from({ length: count }, (_, n) => n % 256);

function contents(round) {
  return round % 2 === 0 ? "text ".repeat(round % 40) : { file: bytes(round % 500) };
}

export class Company extends Part {
  /** `members`: pairs of a kind and its agent. */
  constructor(name, soak, server, members) {
    super(name, soak);
    this.server = server;
    this.members = members;
  }

  async run() {
    const room = "company";
    const everyone = await this.within(120, "everyone to come", this.#gather(room));
    this.count("clients", everyone.length);
    const reading = everyone.flatMap((member) => [this.#hearRoom(member, everyone), this.#hearNeighbour(member)]);
    // A failure is told where it is awaited, below.
    for (const each of reading) each.catch(() => {});
    let round = 0;
    const failed = Promise.race(reading.map((each) => each.then(() => new Promise(() => {}))));
    while (!this.stopping) {
      await Promise.race([failed, this.#talk(everyone, room, round)]);
      round += 1;
      await this.pause(1000 / this.soak.rate);
    }
    for (const member of everyone) {
      await member.client.emit("others", room, member.name, -1, round);
      await member.client.emit("to", member.neighbour.id, -1, round);
    }
    const silent = () => everyone.filter((member) => !member.done).map((member) => `${member.name} (${[...member.heard].filter(([, n]) => n < round).map(([name, n]) => `${name}: ${n} of ${round}`).join(", ")})`);
    await this.within(60, `the last of ${round} rounds to reach all`, Promise.all(reading)).catch((error) => {
      throw new Error(`${error.message}; not yet: ${silent().join("; ")}`);
    });
    for (const { name, client } of everyone) {
      await client.call("whoami");
      for (const event of ["room", "private"]) assert.equal(await client.waiting(event), 0, `${name} heard something twice`);
    }
    this.count("rounds", round);
  }

  async #gather(room) {
    const places = this.members.flatMap(([kind, agent, modes]) => modes.map((mode) => new Stage(kind, mode, agent, this.server)));
    const everyone = await Promise.all(
      places.map(async (stage) => {
        const client = await stage.connect("/", { replies: { question: "echo" } });
        if (stage.mode === "upgrade") await client.upgraded();
        await client.call("join", room);
        const [id] = await client.call("whoami");
        return { name: `${stage.kind.name}, ${stage.mode}`, client, stage, id, heard: new Map() };
      }),
    );
    for (const [at, member] of everyone.entries()) {
      member.neighbour = everyone[(at + 1) % everyone.length];
      member.neighbour.before = member;
    }
    return everyone;
  }

  async #talk(everyone, room, round) {
    await Promise.all(
      everyone.map(async (member, at) => {
        await member.client.emit("others", room, member.name, round, contents(round));
        await member.client.emit("to", member.neighbour.id, round, 0);
        if ((round + at) % 5 !== 0) return;
        const sent = [round, contents(round)];
        member.stage.equal(await member.client.call("echo", ...sent), sent, `${member.name} echoes`);
        const [answer] = await member.client.call("ask me", "question", round);
        // Some say what they answer, some only that they do.
        member.stage.equal(Array.isArray(answer) ? answer[0] : answer, round, `${member.name} is asked`);
        this.count("acknowledgements", 2);
      }),
    );
  }

  /** What the others send, each in its own order, until each has said that it was the last. */
  async #hearRoom(member, everyone) {
    for (const other of everyone) if (other !== member) member.heard.set(other.name, 0);
    let missing = member.heard.size;
    while (missing > 0) {
      const [, sender, round, what] = await member.client.next("room");
      const expected = member.heard.get(sender);
      if (round === -1) {
        assert.equal(what, expected, `${member.name} has all of ${sender}`);
        missing -= 1;
        continue;
      }
      assert.equal(round, expected, `${member.name} hears ${sender} in order`);
      member.stage.equal(what, contents(round), `${member.name} hears ${sender} as it was said`);
      member.heard.set(sender, round + 1);
      this.count("deliveries");
    }
    member.done = true;
  }

  async #hearNeighbour(member) {
    for (let expected = 0; ; expected += 1) {
      const [from, round, total] = await member.client.next("private");
      assert.equal(from, member.before.id, `${member.name} hears ${member.before.name} alone`);
      if (round === -1) return assert.equal(total, expected, `${member.name} has all of ${member.before.name}`);
      assert.equal(round, expected, `${member.name} hears ${member.before.name} in order`);
      this.count("deliveries");
    }
  }
}
