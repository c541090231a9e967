// The client's entry for browsers, workers and bundlers: `io()` and what is behind it.

import type { EngineOptions } from "./engineio/config.js";
import { Polling } from "./engineio/polling.js";
import { Transport, TransportError } from "./engineio/transport.js";
import { WebSocketTransport } from "./engineio/websocket.js";
import { Manager, type ManagerOptions, type ManagerReservedEvents } from "./socketio/manager.js";
import { protocol } from "./socketio/packet.js";
import {
  Socket,
  type DisconnectDescription,
  type ExtendedError,
  type SocketOptions,
  type SocketReservedEvents,
} from "./socketio/socket.js";
import { originOf, parseAddress } from "./url.js";

/** Connections by server and path, for namespaces to share. */
const managers = new Map<string, Manager>();

/**
 * A socket for the namespace that the URL names behind the host; without a URL, the page's own server and `/`. Sockets of
 * one server share a connection, unless `forceNew` or `multiplex: false` says no or the namespace is in use there already.
 */
export function io(opts?: Partial<ManagerOptions & SocketOptions>): Socket;
export function io(url?: string, opts?: Partial<ManagerOptions & SocketOptions>): Socket;
export function io(url?: string | Partial<ManagerOptions & SocketOptions>, opts?: Partial<ManagerOptions & SocketOptions>): Socket {
  if (typeof url === "object") [url, opts] = [undefined, url];
  opts = { path: "/socket.io", ...opts };
  const address = parseAddress(url);
  const nsp = address.path || "/";
  const origin = originOf(address, "http");
  opts.query ??= address.query as any;
  const key = origin + opts.path;
  const alone = opts.forceNew || opts["force new connection"] || opts.multiplex === false || managers.get(key)?._has(nsp);
  let manager = alone ? undefined : managers.get(key);
  if (!manager) {
    manager = new Manager(origin, opts);
    if (!alone) managers.set(key, manager);
  }
  return manager.socket(nsp, opts);
}

Object.assign(io, { Manager, Socket, io, connect: io, protocol });

export { io as connect, io as default, Manager, protocol, Socket, Transport, TransportError };
export { Polling, Polling as Fetch, Polling as XHR, Polling as NodeXHR, WebSocketTransport as WebSocket, WebSocketTransport as NodeWebSocket };
export type {
  DisconnectDescription,
  EngineOptions,
  ExtendedError,
  ManagerOptions,
  ManagerReservedEvents,
  SocketOptions,
  SocketReservedEvents,
};
export type { Engine } from "./engineio/session.js";
