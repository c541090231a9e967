import assert from "node:assert/strict";

export const connecting = [
  {
    name: "connects, and the server knows it by the same id",
    async run(stage) {
      const client = await stage.connect();
      const [id] = await client.call("whoami");
      assert.equal(id, await client.id());
      assert.match(id, /^[\w-]{20}$/);
    },
  },
  {
    name: "hears what the connection handler emits",
    async run(stage) {
      const client = await stage.connect();
      stage.equal(await client.next("welcome"), [{ id: await client.id() }, "two", 3]);
    },
  },
  {
    name: "uses the transport of its mode, with the upgrade where one is due",
    async run(stage) {
      const client = await stage.connect();
      if (stage.mode === "upgrade") await client.upgraded();
      const expected = stage.isPolling ? "polling" : stage.mode === "webtransport" ? "webtransport" : "websocket";
      assert.equal(await client.transport(), expected);
      stage.equal(await client.call("echo", "still here"), ["still here"]);
    },
  },
  {
    name: "hands query and auth to the handshake",
    needs: ["auth", "query"],
    async run(stage) {
      const client = await stage.connect("/", { query: { colour: "blue" }, auth: { token: "t", deep: { é: [1] } } });
      const [handshake] = await client.call("handshake");
      assert.equal(handshake.query.colour, "blue");
      assert.equal(handshake.query.EIO, "4");
      stage.equal(handshake.auth, { token: "t", deep: { é: [1] } });
      assert.equal(handshake.secure, false);
      assert.equal(handshake.address, "127.0.0.1");
      assert.match(handshake.url, /^\/socket\.io\/\?.*colour=blue/);
    },
  },
  {
    name: "hands its query to the handshake, with the protocol's number",
    needs: ["namespaces", "query"],
    async run(stage) {
      const client = await stage.connect("/", { query: { colour: "blue" } });
      const [handshake] = await client.call("handshake");
      assert.equal(handshake.query.colour, "blue");
      assert.equal(handshake.query.EIO, stage.kind.legacy ? "3" : "4");
      assert.equal(handshake.query.transport, stage.mode === "websocket" ? "websocket" : "polling");
    },
  },
  {
    name: "hands its headers to the handshake",
    needs: ["headers"],
    async run(stage) {
      const client = await stage.connect("/", { headers: { "X-Colour": "green" } });
      const [handshake] = await client.call("handshake");
      assert.equal(handshake.headers["x-colour"], "green");
      assert.equal(handshake.headers.host, `127.0.0.1:${stage.server.port}`);
    },
  },
  {
    name: "many connect, talk and leave; the server keeps none",
    server: {},
    async run(stage) {
      const before = await stage.server.stat();
      assert.equal(before.sessions, 0);
      const count = stage.kind.connectionsMax ?? 40;
      const clients = await Promise.all(Array.from({ length: count }, () => stage.connect()));
      const answers = await Promise.all(clients.map((client, n) => client.call("echo", n)));
      stage.equal(answers, clients.map((_, n) => [n]));
      const ids = new Set(await Promise.all(clients.map((client) => client.id())));
      assert.equal(ids.size, count);
      assert.equal((await stage.server.stat()).sockets, count);
      await Promise.all(clients.map((client) => client.disconnect()));
      for (;;) {
        const { sessions, sockets } = await stage.server.stat();
        if (sessions === 0 && sockets === 0) break;
      }
    },
  },
];
