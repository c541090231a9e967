import { chromium4WebTransport } from "../clients/chromium.mjs";
import { isReference } from "../harness/server.mjs";
import { play } from "../harness/scenario.mjs";

// The official server needs a program for it that is not on npm.
if (!isReference) play(chromium4WebTransport);
