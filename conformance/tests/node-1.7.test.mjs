import { node17 } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(node17);
