import { nodeWebEio3 } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(nodeWebEio3);
