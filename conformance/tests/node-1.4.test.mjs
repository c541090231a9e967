import { node14 } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(node14);
