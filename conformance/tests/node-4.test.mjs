import { node4 } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(node4);
