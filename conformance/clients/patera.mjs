// The client kind of the crate patera-client, driven over JSON lines: see client/.
//
// PATERA_CLIENT names the program.

import { startProgram } from "./lines.mjs";

/** Why these tests are skipped, or false. */
export const isMissing = !process.env.PATERA_CLIENT && "PATERA_CLIENT names no program";

export const pateraClient = {
  name: "patera-client",
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
    "slow upgrade",
    "volatile",
  ]),
  reasons: { byServer: "io server disconnect", byClient: "io client disconnect", lost: /^transport (close|error)$/ },
  start: () => startProgram("the agent of patera-client", process.env.PATERA_CLIENT),
};

export const pateraClientMsgpack = {
  ...pateraClient,
  name: "patera-client with MessagePack",
  client: { parser: "msgpack" },
  server: { parser: "msgpack" },
};
