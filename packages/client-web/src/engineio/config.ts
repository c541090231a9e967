// The options of a connection: those of engine.io-client, with its names and defaults.

import type { TimerOptions } from "../timers.js";
import type { Version } from "./packet.js";
import type { TransportConstructor } from "./transport.js";

export type TransportName = "polling" | "websocket" | (string & {});

export interface EngineOptions extends TimerOptions {
  /** Host, where no URL is given. */
  host: string;
  hostname: string;
  /** TLS. Default: as the URL or the page says. */
  secure: boolean;
  port: string | number;
  /** Sent with every request. */
  query: { [name: string]: any };
  /** Where the server listens. Default `/engine.io`; `io()` makes it `/socket.io`. */
  path: string;
  /** Whether a `/` comes behind `path`. Default true. */
  addTrailingSlash: boolean;
  /** What may be used, the first one first. Default `["polling", "websocket"]`. A class is a transport of your own. */
  transports: (TransportName | TransportConstructor)[];
  /** Whether polling may be upgraded. Default true. */
  upgrade: boolean;
  /** Whether to begin with WebSocket where that worked the time before. Default false. */
  rememberUpgrade: boolean;
  /** Whether to try the next transport when the first one cannot connect. Default false. */
  tryAllTransports: boolean;
  /** The query parameter that keeps answers out of caches. Default `t`. */
  timestampParam: string;
  /** Whether it is sent. Default: with polling only. */
  timestampRequests: boolean;
  /** Ask for bytes as base64 on every transport. Default false. */
  forceBase64: boolean;
  /** Milliseconds that one polling request may take. Default 0: for ever. */
  requestTimeout: number;
  /** Whether cookies go to other origins. Default false. In Node it turns a cookie jar on. */
  withCredentials: boolean;
  /** Request headers. Browsers send them with polling only. */
  extraHeaders: { [name: string]: string };
  /** Options for one transport alone, by its name. */
  transportOptions: { [transport: string]: Partial<EngineOptions> };
  /** Whether to close, silently, when the page is left. Default false. */
  closeOnBeforeunload: boolean;
  /** WebSocket subprotocols. */
  protocols: string | string[];
  /** The revision of Engine.IO: 4 by default, 3 for servers of Socket.IO 1 and 2. */
  eio: Version;
  /** Node: an `http.Agent`, and what `https.request` takes. */
  agent: any;
  [node: string]: any;
}
