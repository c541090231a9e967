import { chromium1, jsonp1 } from "../clients/chromium.mjs";
import { play } from "../harness/scenario.mjs";

play(chromium1);
play(jsonp1);
