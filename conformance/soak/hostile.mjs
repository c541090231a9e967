// The hostile corpus, again and again: whatever is played, the server lives and answers. What each entry comes to is judged by
// `cargo xtask hostile`, on a server with default options and nothing else to do.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Part } from "./part.mjs";

const script = fileURLToPath(new URL("../hostile/run.py", import.meta.url));

export class Hostile extends Part {
  constructor(name, soak, server) {
    super(name, soak);
    this.server = server;
  }

  async run() {
    const folder = await mkdtemp(join(tmpdir(), "soak-"));
    try {
      for (let at = 0; !this.stopping; at += 1) await this.#play(["base", "eio3", "pmd"][at % 3], join(folder, "rows.jsonl"));
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  async #play(set, out) {
    const child = spawn("python3", [script, String(this.server.port), "--set", set, "--out", out, "--alone"], { stdio: ["ignore", "ignore", "inherit"] });
    const stop = () => child.kill();
    this.soak.stopping.addEventListener("abort", stop);
    const [code] = await once(child, "exit");
    this.soak.stopping.removeEventListener("abort", stop);
    if (!this.stopping) assert.equal(code, 0, "the player ends well");
    // The last line is cut where the player was stopped.
    const lines = (await readFile(out, "utf8").catch(() => "")).split("\n").slice(0, -1);
    const rows = lines.map((line) => JSON.parse(line));
    assert.ok(this.stopping || rows.length > 0, "something was played");
    const unanswered = rows.filter((row) => row.alive !== true).map((row) => row.id);
    assert.deepEqual(unanswered, [], "the server answers after each");
    this.count("inputs", rows.length);
  }
}
