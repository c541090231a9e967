// The client kinds that run in this Node process.

import io14 from "socket.io-client-1.4";
import io17 from "socket.io-client-1.7";
import io2 from "socket.io-client-2";
import { io as io3 } from "socket.io-client-3";
import { io as io4 } from "socket.io-client-4";
import { WebSocket } from "ws";
import msgpack from "socket.io-msgpack-parser";
import * as ourMsgpack from "../../packages/client-web/dist/msgpack.mjs";
import { io as ioWeb } from "../../packages/client-web/dist/node.mjs";
import { Agent } from "./agent.mjs";
import { LegacyAgent } from "./legacy.mjs";
import { NativeAgent } from "./native.mjs";

const everything = [
  "auth",
  "cut",
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
  "slow upgrade",
  "volatile",
];
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
  can: new Set([...everything, "recovery"]),
  name: "socket.io-client 4.8.4",
  start: async () => ({ run: agentOf(new Agent(io4)), stop: async () => {} }),
};

export const nodeWeb = {
  ...node3,
  name: "Patera's client",
  start: async () => ({ run: agentOf(new Agent(ioWeb)), stop: async () => {} }),
};

/** The same two, with a server that speaks MessagePack as they do. */
export const node4Msgpack = {
  ...node4,
  name: "socket.io-client 4.8.4 with socket.io-msgpack-parser",
  server: { parser: "msgpack" },
  /** notepack.io, its codec, writes integers modulo 2^64. */
  wrapsIntegers: true,
  start: async () => ({ run: agentOf(new Agent(io4, { parser: msgpack })), stop: async () => {} }),
};

export const nodeWebMsgpack = {
  ...nodeWeb,
  name: "Patera's client with msgpack",
  server: { parser: "msgpack" },
  start: async () => ({ run: agentOf(new Agent(ioWeb, { parser: ourMsgpack })), stop: async () => {} }),
};

/** What the generations before 3.0 cannot do, and why. */
const lacking2 = {
  auth: "protocol 4 has no auth payload",
  volatile: "clients had no volatile events before 3.0",
};
const lacking17 = { ...lacking2, "namespace ids": "every namespace tells the id of the connection" };
const lacking14 = { ...lacking17, "namespace auth": "it cannot give a namespace a query" };

/** Where the reference fails with these clients, or the client by itself: abilities by transport mode, and why. */
const pollingModes = ["polling", "upgrade", "jsonp"];
export const troubles2 = [
  {
    ability: "non-ASCII namespaces",
    modes: [...pollingModes, "websocket"],
    reference: true,
    why: "it takes the name for a URL and escapes it, then finds no such namespace",
  },
];
const troubles1 = [
  ...troubles2,
  { ability: "non-ASCII", modes: pollingModes, reference: true, why: "it expects polled text encoded as UTF-8 twice" },
  { ability: "non-ASCII namespaces", modes: pollingModes, why: "the same, and the name of a namespace cannot be escaped" },
];

function without(can, lacking) {
  return new Set([...can].filter((ability) => !(ability in lacking)));
}

/** Ours, made to speak the protocol of the generations before 3.0, which has no auth payload. */
export const nodeWebEio3 = {
  ...nodeWeb,
  name: "Patera's client on Engine.IO 3",
  can: new Set([...nodeWeb.can].filter((ability) => ability !== "auth")),
  client: { eio: 3 },
  legacy: true,
  troubles: troubles2,
};

export const node2 = {
  ...node3,
  name: "socket.io-client 2.5.0",
  can: without(node3.can, lacking2),
  legacy: true,
  troubles: troubles2,
  start: async () => ({ run: agentOf(new LegacyAgent(io2)), stop: async () => {} }),
};

export const node17 = {
  ...node2,
  name: "socket.io-client 1.7.4",
  can: without(node2.can, lacking17),
  troubles: troubles1,
  start: async () => ({ run: agentOf(new LegacyAgent(io17)), stop: async () => {} }),
};

export const node14 = {
  ...node17,
  name: "socket.io-client 1.4.4",
  can: without(node17.can, lacking14),
  start: async () => ({ run: agentOf(new LegacyAgent(io14)), stop: async () => {} }),
};

export const nativeNode = {
  name: "ws",
  modes: ["websocket"],
  can: new Set(["empty bytes", "long polls", "native", "non-ASCII", "notice a refused POST"]),
  native: true,
  reasons: { byServer: /^1000|^1005/, byClient: /^1000|^1005/, lost: /^1006/ },
  start: async () => ({ run: agentOf(new NativeAgent(WebSocket)), stop: async () => {} }),
};

function agentOf(agent) {
  return (operation, handle, args) => agent.run(operation, handle, args);
}
