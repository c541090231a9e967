import assert from "node:assert/strict";

export const reconnecting = [
  {
    name: "the client comes back after the server was killed and started again on its port",
    needs: ["reconnect"],
    server: {},
    async run(stage) {
      const client = await stage.connect("/", { reconnection: true });
      if (stage.mode === "upgrade") await client.upgraded();
      const first = await client.id();
      await stage.server.kill();
      stage.ended(await client.life("disconnect"), "lost");
      await stage.server.startAgain();
      await client.life("connect");
      assert.notEqual(await client.id(), first);
      stage.equal(await client.call("echo", "back", Uint8Array.of(1)), ["back", Uint8Array.of(1)]);
      if (stage.mode === "upgrade") await client.upgraded();
    },
  },
  {
    name: "two namespaces come back after the server was killed",
    needs: ["reconnect", "shared"],
    server: {},
    async run(stage) {
      const second = stage.can("namespace auth") ? "/admin" : "/";
      const clients = await stage.openAll(["/chat", second], { reconnection: true, auth: { token: "let me in" } });
      await Promise.all(clients.map((client) => client.life("connect")));
      await stage.server.kill();
      await Promise.all(clients.map((client) => client.life("disconnect")));
      await stage.server.startAgain();
      await Promise.all(clients.map((client) => client.life("connect")));
      stage.equal(await Promise.all(clients.map((client) => client.call("echo", "back"))), [["back"], ["back"]]);
    },
  },
];
