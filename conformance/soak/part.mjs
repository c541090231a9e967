// What every part of a soak is: it runs until it is told to stop, counts what it has done, and fails by throwing.

import { setTimeout as sleep } from "node:timers/promises";

export class Part {
  /** What it has done, for the report. */
  counts = {};

  /** `soak`: servers, agents, seeded choices, and `stopping`, the signal of the end. */
  constructor(name, soak) {
    this.name = name;
    this.soak = soak;
    this.random = soak.random.fork();
  }

  get stopping() {
    return this.soak.stopping.aborted;
  }

  count(what, by = 1) {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  /** Waits, but not beyond the end. */
  async pause(milliseconds) {
    await sleep(milliseconds, undefined, { signal: this.soak.stopping }).catch(() => {});
  }

  /** `promise`, or an error that says what was waited for. */
  async within(seconds, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name}: waited ${seconds} s for ${what}`)), seconds * 1000);
    });
    // Whichever comes second may fail unheard.
    promise.catch(() => {});
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
