// The client's entry for Node: the same, with HTTP and WebSockets by Node's own means, and bytes as a `Buffer`.

import { NodeWebSocket } from "./node/websocket.js";
import { request } from "./node/request.js";
import { platform } from "./platform.js";

platform.request = request;
platform.bytes = (bytes) => Buffer.from(bytes);
platform.webSocket = (url, options) => new NodeWebSocket(url, options);

export * from "./index.js";
export { io as default } from "./index.js";
