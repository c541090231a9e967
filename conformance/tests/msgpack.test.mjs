// Our own clients with a server that speaks MessagePack, the official parser in one of them being `node-4-msgpack`: once through the table, with
// every packet over both transports. And what nothing is negotiated means.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client-4";
import { nodeWebMsgpack } from "../clients/node.mjs";
import { isMissing, pateraClientMsgpack } from "../clients/patera.mjs";
import { play } from "../harness/scenario.mjs";
import { isReference, Server } from "../harness/server.mjs";

play({ ...nodeWebMsgpack, modes: ["upgrade"] });
if (isMissing) test("patera-client", { skip: isMissing }, () => {});
else play({ ...pateraClientMsgpack, modes: ["upgrade"] });

describe("a server that speaks MessagePack", () => {
  let server;
  before(async () => {
    server = await Server.start({ parser: "msgpack" });
  });
  after(() => server?.stop());

  test("disconnects a client that speaks JSON", { timeout: 10_000 }, async () => {
    const socket = io(server.url, { transports: ["websocket"], reconnection: false });
    try {
      const closed = new Promise((resolve) => socket.io.engine.once("close", resolve));
      socket.once("connect", () => assert.fail("it is let in"));
      await closed;
      assert.equal(socket.connected, false);
    } finally {
      socket.close();
    }
  });

  test("answers packets that are JSON texts in MessagePack", { skip: isReference && "its parser reads no text" }, async () => {
    const socket = server.rawWebSocket("/socket.io/?EIO=4&transport=websocket");
    await socket.opened;
    assert.match(await socket.next(), /^0/);
    socket.send('4{"type":0,"nsp":"/"}');
    const connected = await socket.next();
    assert.equal(connected.subarray(0, 13).toString("latin1"), "\x83\xa4type\x00\xa3nsp\xa1/");
    socket.close();
  });
});
