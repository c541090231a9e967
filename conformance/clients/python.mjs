// The client kinds of python-socketio 5 and 4, driven over JSON lines: see agent.py.

import { fileURLToPath } from "node:url";
import { startProgram } from "./lines.mjs";
import { troubles2 } from "./node.mjs";

const home = fileURLToPath(new URL("..", import.meta.url));

function startAgent(kind, environment = ".venv") {
  const python = `${home}${environment}/bin/python`;
  return startProgram("the Python agent", python, ["clients/agent.py", kind], { PYTHONUNBUFFERED: "1" });
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
    "query",
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
