import { chromium2, jsonp2 } from "../clients/chromium.mjs";
import { play } from "../harness/scenario.mjs";

play(chromium2);
play(jsonp2);
