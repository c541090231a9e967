import { chromiumWeb } from "../clients/chromium.mjs";
import { play } from "../harness/scenario.mjs";

play(chromiumWeb);
