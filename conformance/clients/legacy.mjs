// The JavaScript agent for the generations before 3.0 (socket.io-client 1.x and 2.x), in Node or in a page.
//
// They have neither `onAny` nor an auth payload, and a namespace that refuses is the event `error` with whatever the server gave.

import { asBytes } from "../harness/values.mjs";
import { Agent, Client } from "./agent.mjs";

class LegacyClient extends Client {
  get refusal() {
    return "error";
  }

  refused(error) {
    return error;
  }

  /** Every event goes through `onevent`, which packages of that time replaced for the same purpose. */
  hear(heard) {
    this.socket.onevent = ({ id, data }) => heard(...data, ...(id === undefined || id === null ? [] : [this.socket.ack(id)]));
  }
}

/** These clients take a `Buffer` or an `ArrayBuffer` for bytes, and a `Uint8Array` for an object full of numbers. */
function toLibrary(value) {
  const bytes = asBytes(value);
  if (bytes) return globalThis.Buffer ? globalThis.Buffer.from(bytes) : bytes.buffer;
  if (Array.isArray(value)) return value.map(toLibrary);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toLibrary(inner)]));
}

export class LegacyAgent extends Agent {
  /** What later generations send as `auth` is the namespace's query here. */
  client(manager, namespace, options) {
    const query = options.auth && String(new URLSearchParams(options.auth));
    const replies = Object.entries(options.replies ?? {}).map(([event, reply]) => [event, toLibrary(reply)]);
    return new LegacyClient(manager.socket(namespace, query && { query }), Object.fromEntries(replies));
  }

  toLibrary(args) {
    return toLibrary(args);
  }
}
