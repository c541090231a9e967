// The client kinds that run in this Node process.

import { io as io3 } from "socket.io-client-3";
import { io as io4 } from "socket.io-client-4";
import { WebSocket } from "ws";
import { Agent } from "./agent.mjs";
import { NativeAgent } from "./native.mjs";

const everything = ["namespaces", "shared", "reconnect", "cut", "volatile", "headers", "order", "slow upgrade"];
const javascriptReasons = { byServer: "io server disconnect", byClient: "io client disconnect", lost: /^transport (close|error)$/ };

export const node3 = {
  name: "socket.io-client 3.1.3",
  modes: ["polling", "websocket", "upgrade"],
  can: new Set(everything),
  reasons: javascriptReasons,
  start: async () => ({ run: agentOf(new Agent(io3)), stop: async () => {} }),
};

export const node4 = {
  ...node3,
  name: "socket.io-client 4.8.4",
  start: async () => ({ run: agentOf(new Agent(io4)), stop: async () => {} }),
};

export const nativeNode = {
  name: "ws",
  modes: ["websocket"],
  can: new Set(["order", "native"]),
  native: true,
  reasons: { byServer: /^1000|^1005/, byClient: /^1000|^1005/, lost: /^1006/ },
  start: async () => ({ run: agentOf(new NativeAgent(WebSocket)), stop: async () => {} }),
};

function agentOf(agent) {
  return (operation, handle, args) => agent.run(operation, handle, args);
}
