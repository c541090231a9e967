import { python4Async } from "../clients/python.mjs";
import { play } from "../harness/scenario.mjs";

play(python4Async);
