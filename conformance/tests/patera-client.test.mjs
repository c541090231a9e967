import { test } from "node:test";
import { isMissing, pateraClient } from "../clients/patera.mjs";
import { play } from "../harness/scenario.mjs";

if (isMissing) test("patera-client", { skip: isMissing }, () => {});
else play(pateraClient);
