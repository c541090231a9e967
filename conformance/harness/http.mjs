// Raw HTTP requests: what a table of expectations asks, and how an answer is compared with it.

import assert from "node:assert/strict";
import { request } from "node:http";
import { isReference } from "./server.mjs";

/** Sends one request on a connection of its own; `upgrade: true` asks for a WebSocket. A 101 ends at once. */
export function ask(server, { method = "GET", path, headers = {}, body, upgrade = false }) {
  const upgradeHeaders = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  return new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port: server.port,
      agent: false,
      method,
      path,
      headers: { ...(upgrade ? upgradeHeaders : {}), ...headers },
    });
    sent.on("error", reject);
    sent.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode, headers: response.headers, body: "" });
    });
    sent.on("response", (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, body: String(Buffer.concat(chunks)) }),
      );
    });
    sent.end(body);
  });
}

/** A request whose body stays unfinished until `finish` is called. */
export function askSlowly(server, { path, headers = {}, first }) {
  const sent = request({
    host: "127.0.0.1",
    port: server.port,
    agent: false,
    method: "POST",
    path,
    headers: { "Content-Type": "text/plain", ...headers },
  });
  const answer = new Promise((resolve) => {
    sent.on("error", () => resolve(undefined));
    sent.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
      response.on("error", () => resolve(undefined));
    });
  });
  sent.flushHeaders();
  sent.write(first);
  return { answer, finish: (rest) => sent.end(rest), abort: () => sent.destroy() };
}

/** The expectation for the server under test: `reference` overrides it where the Node server is one of differences.md. */
export function expectationOf(entry) {
  return isReference && entry.reference ? { ...entry.expect, ...entry.reference } : entry.expect;
}

/** Checks status, body (text, or an expression) and headers (text, an expression, or null for absent). */
export function check(answer, expected) {
  assert.equal(answer.status, expected.status, `status; the body is ${JSON.stringify(answer.body)}`);
  if (expected.body instanceof RegExp) assert.match(answer.body, expected.body);
  else if (expected.body !== undefined) assert.equal(answer.body, expected.body);
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    const got = answer.headers[name];
    if (value === null) assert.equal(got, undefined, `there must be no ${name}`);
    else if (value instanceof RegExp) assert.match(String(got), value, name);
    else assert.equal(String(got), value, name);
  }
}

/** A polling session, driven by hand. */
export class Polling {
  static async open(server, query = "") {
    const { body } = await ask(server, { path: `/socket.io/?EIO=4&transport=polling${query}` });
    const session = new Polling();
    session.server = server;
    session.handshake = JSON.parse(body.slice(1));
    session.sid = session.handshake.sid;
    session.path = `/socket.io/?EIO=4&transport=polling&sid=${session.sid}`;
    return session;
  }

  poll() {
    return ask(this.server, { path: this.path });
  }

  post(body, headers = { "Content-Type": "text/plain;charset=UTF-8" }) {
    return ask(this.server, { method: "POST", path: this.path, headers, body });
  }

  /** Joins the namespace `/` and fetches what that brings. */
  async join() {
    await this.post("40");
    let body = "";
    while (!body.includes("welcome")) body += (await this.poll()).body;
  }

  /** Whether the server still knows the session: a heartbeat answer that nobody asked for does no harm. */
  async isOpen() {
    const { status } = await this.post("3");
    return status === 200;
  }
}
