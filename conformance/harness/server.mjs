// Starts the server under test as a child process on 127.0.0.1 and makes sure that it dies with the tests.
//
// SERVER says which: "node" for the reference, else the path of a program that fulfils the contract of README.md.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

const home = fileURLToPath(new URL("..", import.meta.url));
const children = new Set();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** True while the tests run against the official Node server: a few expectations differ, see differences.md. */
export const isReference = (process.env.SERVER ?? "node") === "node";

function command() {
  if (isReference) return [process.execPath, ["reference.mjs"]];
  return [process.env.SERVER, []];
}

export class Server {
  #child;
  #environment;
  port = 0;
  output = [];

  /** `options`: those of README.md, "The server's options"; `allow_eio3` and the compressions go by the environment. */
  static async start({ allow_eio3 = true, per_message_deflate = false, http_compression = false, ...options } = {}) {
    const server = new Server();
    const flag = (on) => (on ? "1" : "0");
    server.#environment = {
      OPTIONS: JSON.stringify(options),
      ALLOW_EIO3: flag(allow_eio3),
      PER_MESSAGE_DEFLATE: flag(per_message_deflate),
      HTTP_COMPRESSION: flag(http_compression),
    };
    await server.#spawn();
    return server;
  }

  get pid() {
    return this.#child.pid;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async #spawn() {
    const [program, args] = command();
    const child = spawn(program, args, {
      cwd: home,
      env: { ...process.env, ...this.#environment, PORT: String(this.port), EXIT_WITH_STDIN: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    children.add(child);
    child.once("exit", () => children.delete(child));
    createInterface({ input: child.stderr }).on("line", (line) => {
      this.output.push(line);
      if (this.output.length > 200) this.output.shift();
    });
    const lines = createInterface({ input: child.stdout });
    const port = await new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        const over = /webtransport on (https:\S+) with ([0-9a-f]{64})/.exec(line);
        if (over) this.webtransport = { url: over[1], certificateHash: over[2] };
        const found = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
        if (found) resolve(Number(found[1]));
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${this.output.join("\n")}`)));
    });
    this.port = port;
  }

  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends the process without any farewell, as a crash would. */
  async kill() {
    if (!this.alive) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  /** Starts it again on the same port. */
  async startAgain() {
    await this.#spawn();
  }

  async stop() {
    await this.kill();
  }

  async stat() {
    const response = await fetch(`${this.url}/__stat`);
    return response.json();
  }

  /** A raw WebSocket to `path`, with every message kept from the first on. */
  rawWebSocket(path, protocols = [], options = {}) {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}${path}`, protocols, { perMessageDeflate: false, ...options });
    return new RawWebSocket(socket);
  }
}

/** What arrives is queued, so that nothing is missed between two awaits. */
export class RawWebSocket {
  #queue = [];
  #waiting = [];

  constructor(socket) {
    this.socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
      socket.once("unexpected-response", (_, response) => reject(new Error(`refused with ${response.statusCode}`)));
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })));
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      const message = isBinary ? data : String(data);
      const waiting = this.#waiting.shift();
      if (waiting) waiting(message);
      else this.#queue.push(message);
    });
    this.closed.then(() => {
      for (const waiting of this.#waiting) waiting(undefined);
    });
  }

  send(message) {
    this.socket.send(message);
  }

  /** The next message, or undefined once the connection is closed. */
  async next() {
    if (this.#queue.length > 0) return this.#queue.shift();
    if (this.socket.readyState === WebSocket.CLOSED) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Skips to the first message for which `accept` holds. */
  async until(accept) {
    for (;;) {
      const message = await this.next();
      if (message === undefined || accept(message)) return message;
    }
  }

  close() {
    this.socket.terminate();
  }
}
