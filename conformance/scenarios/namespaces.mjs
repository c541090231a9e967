import assert from "node:assert/strict";

export const namespaces = [
  {
    name: "a namespace lets in who brings the right auth",
    needs: ["namespace auth"],
    async run(stage) {
      const client = await stage.connect("/admin", { auth: { token: "let me in" } });
      stage.equal(await client.next("hello"), ["admin"]);
      stage.equal(await client.call("echo", 1), [1]);
    },
  },
  {
    name: "a namespace refuses with a message and data",
    needs: ["namespaces", "non-ASCII"],
    async run(stage) {
      const data = { code: 4001, hint: "é✓" };
      for (const auth of [...(stage.can("namespace auth") ? [{ token: "wrong" }] : []), undefined]) {
        const client = await stage.open("/admin", { auth });
        const refusal = await client.life("connect_error");
        // Protocol 4 carries either the data or the message; its own clients give the data itself.
        if (stage.kind.legacy) stage.equal(refusal.data ?? refusal, data);
        else stage.equal(refusal, { message: "not authorised", data });
        assert.equal(await client.waiting("hello"), 0);
      }
    },
  },
  {
    name: "an unknown namespace is refused, and the connection lives on",
    needs: ["shared"],
    async run(stage) {
      const [known, unknown] = await stage.openAll(["/chat", "/unknown"]);
      const error = await unknown.life("connect_error");
      assert.equal(error.message, "Invalid namespace");
      await known.life("connect");
      stage.equal(await known.call("echo", "alive"), ["alive"]);
    },
  },
  {
    name: "two namespaces on one connection have their own ids and events",
    needs: ["shared"],
    async run(stage) {
      const [main, chat] = await stage.openAll(["/", "/chat"]);
      await Promise.all([main.life("connect"), chat.life("connect")]);
      if (stage.can("namespace ids")) assert.notEqual(await main.id(), await chat.id());
      assert.notEqual((await main.call("whoami"))[0], (await chat.call("whoami"))[0]);
      await chat.emit("echo", "chat");
      stage.equal(await chat.next("echo"), ["chat"]);
      await main.emit("echo", "main");
      stage.equal(await main.next("echo"), ["main"]);
      assert.equal(await main.waiting("echo"), 0);
      stage.equal(await Promise.all([main.call("echo", 1), chat.call("echo", 2)]), [[1], [2]]);
    },
  },
  {
    name: "a broadcast stays in its namespace",
    needs: ["shared"],
    async run(stage) {
      const [main, chat] = await stage.openAll(["/", "/chat"]);
      await Promise.all([main.life("connect"), chat.life("connect")]);
      const nonce = stage.unique("namespace");
      await chat.emit("all", nonce);
      stage.equal(await chat.next("all"), [nonce]);
      await main.call("whoami");
      assert.equal(await main.waiting("all"), 0);
    },
  },
  {
    name: "leaving one namespace leaves the other alone",
    needs: ["shared", "cut"],
    async run(stage) {
      const [main, chat] = await stage.openAll(["/", "/chat"]);
      await Promise.all([main.life("connect"), chat.life("connect")]);
      await chat.emit("disconnect me", false);
      stage.equal(await chat.life("disconnect"), { reason: stage.kind.reasons.byServer });
      stage.equal(await main.call("echo", "alive"), ["alive"]);
      await chat.connect();
      await chat.life("connect");
      stage.equal(await chat.call("echo", "again"), ["again"]);
    },
  },
  {
    name: "a client that leaves and comes back at once is let in",
    // The reference handles `41` one tick later than `40` and then takes the second CONNECT for a fault.
    reference: false,
    needs: ["shared", "cut"],
    async run(stage) {
      const [main, chat] = await stage.openAll(["/", "/chat"]);
      await Promise.all([main.life("connect"), chat.life("connect")]);
      await chat.disconnect();
      await chat.connect();
      await chat.life("connect");
      stage.equal(await chat.call("echo", "again"), ["again"]);
      stage.equal(await main.call("echo", "alive"), ["alive"]);
    },
  },
];
