// HTTP long polling, as a server sees it.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { text } from "node:stream/consumers";
import { io } from "../src/node.js";

test("a goodbye waits for the POST that is under way", async () => {
  const bodies: string[] = [];
  let underWay = 0;
  let most = 0;
  let polls = 0;
  let answerEvent = () => {};
  const came = new EventEmitter();
  const eventCame = once(came, "event");
  const goodbyeCame = once(came, "goodbye");
  const server = createServer(async (request, response) => {
    if (request.url === "/") return response.end();
    if (request.method === "GET") {
      polls += 1;
      if (polls === 1) response.end('0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}');
      else if (polls === 2) response.end('40{"sid":"b"}');
      return;
    }
    underWay += 1;
    most = Math.max(most, underWay);
    const body = await text(request);
    bodies.push(body);
    const answer = () => {
      underWay -= 1;
      response.end("ok");
    };
    if (body === "1") came.emit("goodbye");
    if (body !== '42["event"]') return answer();
    answerEvent = answer;
    came.emit("event");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = io(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { transports: ["polling"], reconnection: false });
  try {
    await new Promise<void>((resolve) => socket.on("connect", resolve));
    socket.emit("event");
    await eventCame;
    (socket.io.engine as any).transport.close();
    // Whatever it sends at once has come when this has been answered.
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    assert.deepEqual(bodies, ["40", '42["event"]']);
    answerEvent();
    await goodbyeCame;
    assert.deepEqual([bodies, most], [["40", '42["event"]', "1"], 1]);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
