import { python4Sync } from "../clients/python.mjs";
import { play } from "../harness/scenario.mjs";

play(python4Sync);
