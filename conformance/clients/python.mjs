// The client kinds of python-socketio 5 and 4, driven over JSON lines: see agent.py.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { troubles2 } from "./node.mjs";

const home = fileURLToPath(new URL("..", import.meta.url));

async function startAgent(kind, environment = ".venv") {
  const child = spawn(`${home}${environment}/bin/python`, ["clients/agent.py", kind], {
    cwd: home,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
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
  child.once("exit", (code) => {
    ended = new Error(`the Python agent ended with ${code}`);
    for (const { reject } of pending.values()) reject(ended);
  });
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

export const pythonAsync = {
  name: "python-socketio 5 (async)",
  modes: ["polling", "websocket", "upgrade"],
  can: new Set([
    "auth",
    "empty bytes",
    "headers",
    "long polls",
    "namespace auth",
    "namespace ids",
    "namespaces",
    "non-ASCII",
    "non-ASCII namespaces",
    "notice a refused POST",
    "reconnect",
    "shared",
  ]),
  alwaysAnswers: true,
  reasons: { byServer: "server disconnect", byClient: "client disconnect", lost: /^transport (close|error)$/ },
  start: () => startAgent("async"),
};

export const pythonSync = {
  ...pythonAsync,
  name: "python-socketio 5 (sync)",
  start: () => startAgent("sync"),
};

/** What this generation cannot do, and why. */
const lacking4 = {
  auth: "protocol 4 has no auth payload",
  "empty bytes": "it takes an empty attachment for none",
  "namespace ids": "it tells only the id in the namespace /",
};

export const python4Async = {
  ...pythonAsync,
  name: "python-socketio 4 (async)",
  can: new Set([...pythonAsync.can].filter((ability) => !(ability in lacking4))),
  legacy: true,
  troubles: [
    ...troubles2,
    { ability: "notice a refused POST", modes: ["polling"], why: "it stops, and does not tell its user" },
  ],
  // It tells its user neither why a connection has ended, nor at all that it has ended it itself; and it cuts off its own poll.
  reasons: {},
  hearsOwnEnd: false,
  start: () => startAgent("async", ".venv-4"),
};

export const python4Sync = {
  ...python4Async,
  name: "python-socketio 4 (sync)",
  start: () => startAgent("sync", ".venv-4"),
};
