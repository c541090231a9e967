import { pythonSync } from "../clients/python.mjs";
import { play } from "../harness/scenario.mjs";

play(pythonSync);
