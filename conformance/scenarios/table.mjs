// The scenario table. An entry:
//   name    what is shown
//   needs   abilities of the client kind (clients/*.mjs, `can`); without them the entry is left out
//   modes   the transport modes where it makes sense; all by default
//   server  options of a server of its own; without it the client kind's shared server is used
//   reference  false where only Patera is expected to pass (differences.md)
//   run     the scenario, given a Stage of harness/scenario.mjs

import { acknowledgements } from "./acknowledgements.mjs";
import { binary } from "./binary.mjs";
import { connecting } from "./connecting.mjs";
import { ending } from "./ending.mjs";
import { events } from "./events.mjs";
import { flood } from "./flood.mjs";
import { many } from "./many.mjs";
import { namespaces } from "./namespaces.mjs";
import { native } from "./native.mjs";
import { recovering } from "./recovering.mjs";
import { reconnecting } from "./reconnecting.mjs";
import { rooms } from "./rooms.mjs";
import { text } from "./text.mjs";

export const scenarios = [
  ...connecting,
  ...events,
  ...acknowledgements,
  ...binary,
  ...text,
  ...namespaces,
  ...rooms,
  ...many,
  ...flood,
  ...ending,
  ...native,
  ...reconnecting,
  ...recovering,
];
