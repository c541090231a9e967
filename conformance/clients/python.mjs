// The client kinds of python-socketio 5, driven over JSON lines: see agent.py.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const home = fileURLToPath(new URL("..", import.meta.url));

async function startAgent(kind) {
  const child = spawn(`${home}.venv/bin/python`, ["clients/agent.py", kind], {
    cwd: home,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, PYTHONUNBUFFERED: "1" },
  });
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  const pending = new Map();
  let number = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { number: of, result, error } = JSON.parse(line);
    const { resolve, reject } = pending.get(of);
    pending.delete(of);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  child.once("exit", (code) => {
    for (const { reject } of pending.values()) reject(new Error(`the Python agent ended with ${code}`));
  });
  return {
    run: (operation, handle, args) =>
      new Promise((resolve, reject) => {
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
  can: new Set(["namespaces", "shared", "reconnect", "headers", "order"]),
  alwaysAnswers: true,
  reasons: { byServer: "server disconnect", byClient: "client disconnect", lost: /^transport (close|error)$/ },
  start: () => startAgent("async"),
};

export const pythonSync = {
  ...pythonAsync,
  name: "python-socketio 5 (sync)",
  // It starts a thread for every message that arrives, so its own events may overtake one another.
  can: new Set([...pythonAsync.can].filter((ability) => ability !== "order")),
  start: () => startAgent("sync"),
};
