// The client kind of the crate patera-client, driven over JSON lines: see client/.
//
// PATERA_CLIENT names the program.

import { startProgram } from "./lines.mjs";
import { node4 } from "./node.mjs";

/** Why these tests are skipped, or false. */
export const isMissing = !process.env.PATERA_CLIENT && "PATERA_CLIENT names no program";

export const pateraClient = {
  name: "patera-client",
  modes: ["polling", "websocket", "upgrade"],
  // Its transport is its own business.
  can: new Set([...node4.can].filter((ability) => ability !== "cut")),
  reasons: node4.reasons,
  start: () => startProgram("the agent of patera-client", process.env.PATERA_CLIENT),
};

export const pateraClientMsgpack = {
  ...pateraClient,
  name: "patera-client with MessagePack",
  client: { parser: "msgpack" },
  server: { parser: "msgpack" },
};
