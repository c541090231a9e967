// Plain WebSockets by hand: what goes over the wire, and the two kinds of clients in one room.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, check } from "../harness/http.mjs";
import { isReference, Server } from "../harness/server.mjs";

const limit = { timeout: 20_000, skip: isReference && "plain WebSockets are Patera's own" };

describe("plain WebSockets", { skip: limit.skip }, () => {
  let server;
  before(async () => {
    server = await Server.start({ ping_interval: 200, ping_timeout: 200 });
  });
  after(() => server?.stop());

  async function connect(protocols = ["patera.json"]) {
    const socket = server.rawWebSocket("/ws", protocols);
    const first = JSON.parse(await socket.next());
    assert.equal(first.event, "connect");
    assert.deepEqual(JSON.parse(await socket.next()), { event: "welcome", args: [{ id: first.args[0].sid }, "two", 3] });
    return { socket, id: first.args[0].sid };
  }

  /** A Socket.IO client, by hand over its own endpoint. */
  async function connectSocketIo() {
    const socket = server.rawWebSocket("/socket.io/?EIO=4&transport=websocket");
    await socket.next();
    socket.send("40");
    const welcome = await socket.until((text) => text.includes("welcome"));
    const next = () => socket.until((text) => text !== "2");
    return { socket, next, id: JSON.parse(welcome.slice(2))[1].id };
  }

  test("events, acknowledgements and bytes look as documented", limit, async () => {
    const { socket } = await connect();
    socket.send('{"event":"echo","args":["a",{"base64":"AQI="}]}');
    assert.deepEqual(JSON.parse(await socket.next()), { event: "echo", args: ["a", { base64: "AQI=" }] });
    socket.send('{"event":"echo","args":["a",1],"ack":7}');
    assert.deepEqual(JSON.parse(await socket.next()), { args: ["a", 1], ack: 7 });
    socket.send('{"event":"echo"}');
    assert.deepEqual(JSON.parse(await socket.next()), { event: "echo", args: [] });
    socket.send('{"event":"ask me","args":["q",1],"ack":8}');
    const question = JSON.parse(await socket.next());
    assert.deepEqual([question.event, question.args, typeof question.ack], ["q", [1], "number"]);
    socket.send(JSON.stringify({ ack: question.ack, args: ["a", { base64: "AQI=" }] }));
    assert.deepEqual(JSON.parse(await socket.next()), { args: [["a", { base64: "AQI=" }]], ack: 8 });
    socket.close();
  });

  test("both kinds of clients share rooms, broadcasts and ids", limit, async () => {
    const [plain, other] = [await connect(), await connectSocketIo()];
    plain.socket.send('{"event":"join","args":["lounge"],"ack":1}');
    assert.deepEqual(JSON.parse(await plain.socket.next()), { args: [], ack: 1 });
    other.socket.send('421["join","lounge"]');
    assert.equal(await other.next(), "431[]");

    other.socket.send('42["room","lounge",{"n":1}]');
    assert.equal(await other.next(), '42["room","lounge",{"n":1}]');
    assert.deepEqual(JSON.parse(await plain.socket.next()), { event: "room", args: ["lounge", { n: 1 }] });

    plain.socket.send(JSON.stringify({ event: "to", args: [other.id, "psst"] }));
    assert.equal(await other.next(), JSON.stringify(["private", plain.id, "psst"]).replace(/^/, "42"));
    other.socket.send(`42${JSON.stringify(["to", plain.id, "psst"])}`);
    assert.deepEqual(JSON.parse(await plain.socket.next()), { event: "private", args: [other.id, "psst"] });

    plain.socket.send('{"event":"bc","args":[{"base64":"AQI="}]}');
    assert.equal(await other.next(), '451-["bc",{"_placeholder":true,"num":0}]');
    assert.deepEqual(await other.next(), Buffer.from([1, 2]));
    plain.socket.close();
    other.socket.close();
  });

  test("heartbeats are WebSocket pings; who answers none is closed", limit, async () => {
    const { socket } = await connect();
    for (let n = 0; n < 3; n += 1) await new Promise((resolve) => socket.socket.once("ping", resolve));
    assert.equal(socket.socket.readyState, socket.socket.OPEN);
    const deaf = server.rawWebSocket("/ws", ["patera.json"], { autoPong: false });
    await deaf.closed;
    socket.close();
  });

  test("what is no message of the subprotocol closes the connection", limit, async () => {
    const broken = ["{", "[]", "1", '{"event":1}', '{"event":"echo","args":{}}', '{"event":"connect"}', '{"ack":-1,"args":[]}'];
    for (const message of broken) {
      const { socket } = await connect();
      socket.send(message);
      await socket.closed;
    }
  });

  test("without an upgrade, and to other methods, the path says what it wants", limit, async () => {
    check(await ask(server, { path: "/ws" }), { status: 426, headers: { upgrade: "websocket" } });
    check(await ask(server, { path: "/ws", headers: { "Sec-WebSocket-Version": "8" }, upgrade: true }), {
      status: 426,
      headers: { "sec-websocket-version": "13" },
    });
    check(await ask(server, { path: "/ws/deeper", upgrade: true }), { status: 404 });
  });

  test("a refusal of allow_request holds here too", limit, async () => {
    check(await ask(server, { path: "/ws", headers: { "X-Refuse": "not today" }, upgrade: true }), { status: 403 });
  });
});
