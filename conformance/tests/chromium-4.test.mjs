import { chromium4 } from "../clients/chromium.mjs";
import { play } from "../harness/scenario.mjs";

play(chromium4);
