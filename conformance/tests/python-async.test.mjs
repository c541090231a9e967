import { pythonAsync } from "../clients/python.mjs";
import { play } from "../harness/scenario.mjs";

play(pythonAsync);
