// Programs of ours that are not the server under test: `patera serve` and the examples, as child processes that die with the tests.
//
// PATERA names the binary `patera`; the others are beside it.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";

const children = new Set();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Why tests of these programs are skipped, or false. */
export const isMissing = !process.env.PATERA && "PATERA names no binary";

export function programNamed(name) {
  return name === "patera" ? process.env.PATERA : join(dirname(process.env.PATERA), name);
}

export class Program {
  #child;
  #lines = { stdout: [], stderr: [] };
  #changed = [];

  /** `{code, signal}` once it has ended and all it said was read. */
  exited;

  constructor(name, args = [], env = {}) {
    this.name = name;
    const child = spawn(programNamed(name), args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    children.add(child);
    for (const stream of ["stdout", "stderr"]) this.#read(stream);
    this.exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        children.delete(child);
        resolve({ code, signal });
        this.#wake();
      });
    });
    this.exited.catch(() => this.#wake());
  }

  /** Starts a server and waits for its address. It takes any free port if `--port 0` or PORT asks for it. */
  static async serve(name, args = [], env = {}) {
    const program = new Program(name, args, env);
    try {
      const [, port] = await program.said("stdout", /\/\/127\.0\.0\.1:(\d+)/);
      program.port = Number(port);
    } catch (error) {
      await program.stop();
      throw error;
    }
    return program;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  #read(stream) {
    let rest = "";
    this.#child[stream].setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      this.#lines[stream].push(...lines);
      this.#wake();
    });
  }

  #wake() {
    for (const resolve of this.#changed.splice(0)) resolve();
  }

  get #running() {
    return children.has(this.#child) && this.#child.pid !== undefined;
  }

  output(stream) {
    return this.#lines[stream].join("\n");
  }

  /** The first line that matches, said already or still to come. */
  async said(stream, pattern) {
    for (;;) {
      for (const line of this.#lines[stream]) {
        const found = pattern.exec(line);
        if (found) return found;
      }
      if (!this.#running) throw new Error(`${this.name} ended and never said ${pattern}: ${this.output("stderr")}`);
      await new Promise((resolve) => this.#changed.push(resolve));
    }
  }

  signal(name) {
    this.#child.kill(name);
  }

  /** Ends it at once, if it still runs. */
  async stop() {
    this.signal("SIGKILL");
    await this.exited.catch(() => {});
  }
}
