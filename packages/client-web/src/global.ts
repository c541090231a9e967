// The entry of the builds for script tags: `io` is global, `io.Manager` and the like hang on it. Around it the build puts
// what makes it a module of CommonJS or AMD, where there is one of these.

import { io } from "./index.js";

declare const umd: { io: typeof io };

umd.io = io;
