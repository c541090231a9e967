// What a server has at each moment: memory while it works, and that nothing is left when everyone has gone.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const living = ["sessions", "sockets", "rooms", "recoverable", "handlers_pending", "acks_pending"];

export class Watch {
  /** Under load: when in seconds, and bytes: in use, and of the process's own memory (what an allocator keeps for later is in that, too). */
  samples = [];
  /** The same when everyone had gone. */
  rests = [];
  #tasks;

  constructor(name, server) {
    this.name = name;
    this.server = server;
  }

  /** Before anyone came. */
  async begin() {
    this.#tasks = (await this.server.stat()).tasks;
    this.started = process.uptime();
  }

  async sample() {
    this.samples.push(this.#measured(await this.server.stat()));
    const panic = this.server.output.find((line) => line.includes("panicked"));
    assert.equal(panic, undefined, `${this.name} panicked`);
  }

  /** Nobody is there: everything that lives for somebody is gone, soon. Connections that were kept alive for a next request end by themselves. */
  async rest(seconds) {
    const before = process.uptime();
    for (;;) {
      const stat = await this.server.stat();
      const left = living.filter((what) => stat[what] !== 0).map((what) => `${stat[what]} ${what}`);
      if (stat.tasks > this.#tasks + 1) left.push(`${stat.tasks} tasks instead of ${this.#tasks}`);
      if (left.length === 0) return this.rests.push(this.#measured(stat));
      if (process.uptime() - before > seconds) throw new Error(`${this.name}: left when everyone had gone: ${left.join(", ")}`);
      await sleep(200);
    }
  }

  #measured({ heap, anonymous }) {
    return { at: process.uptime() - this.started, heap, anonymous };
  }

  /** Seconds of processor time that the process has taken. proc(5), "stat": fields 14 and 15, in hundredths. */
  async processorSeconds() {
    const text = await readFile(`/proc/${this.server.pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** How `what` grew in `measured`, in bytes a minute: the median of the slopes of all pairs (Theil and Sen), the first quarter left out. */
  slope(measured, what) {
    const settled = measured.slice(Math.floor(measured.length / 4));
    const slopes = [];
    for (const [at, one] of settled.entries()) {
      for (const other of settled.slice(at + 1)) slopes.push(((other[what] - one[what]) / (other.at - one.at)) * 60);
    }
    return median(slopes);
  }

  /** Under load. */
  median(what) {
    return median(this.samples.map((sample) => sample[what]));
  }
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[Math.floor(sorted.length / 2)];
}
