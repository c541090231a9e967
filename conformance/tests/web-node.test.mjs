import { nodeWeb } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(nodeWeb);
