import { node4Msgpack } from "../clients/node.mjs";
import { play } from "../harness/scenario.mjs";

play(node4Msgpack);
