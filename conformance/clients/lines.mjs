// Agents that are programs of their own: a command is a line of JSON on their standard input, its answer one on their standard output.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const home = fileURLToPath(new URL("..", import.meta.url));

/** Starts one; it dies with the tests. */
export async function startProgram(name, program, args = [], environment = {}) {
  const child = spawn(program, args, {
    cwd: home,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  const pending = new Map();
  let number = 0;
  let ended;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { number: of, result, error } = JSON.parse(line);
    const { resolve, reject } = pending.get(of);
    pending.delete(of);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  const end = (why) => {
    ended = new Error(`${name} ended: ${why}`);
    for (const { reject } of pending.values()) reject(ended);
  };
  child.once("error", end);
  child.once("exit", end);
  return {
    run: (operation, handle, args) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        number += 1;
        pending.set(number, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ number, operation, handle, args })}\n`);
      }),
    stop: async () => {
      process.off("exit", kill);
      kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}
