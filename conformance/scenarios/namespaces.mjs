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
  {
    name: "namespaces come for the names that a pattern takes, each with its own clients",
    needs: ["shared"],
    async run(stage) {
      const names = [1, 2].map(() => `/dynamic-${stage.unique("").trim()}`);
      const [first, second, refused] = await stage.openAll([...names, "/dynamic-x"]);
      await Promise.all([first.life("connect"), second.life("connect")]);
      assert.equal((await refused.life("connect_error")).message, "Invalid namespace");
      const nonce = stage.unique("dynamic");
      await first.emit("all", nonce);
      stage.equal(await first.next("all"), [nonce]);
      await second.call("whoami");
      assert.equal(await second.waiting("all"), 0);
      // Again, when it may have gone with its last client.
      await first.disconnect();
      const again = await stage.connect(names[0]);
      stage.equal(await again.call("echo", "again"), ["again"]);
    },
  },
  {
    name: "a function decides by the auth which namespaces come",
    needs: ["namespace auth"],
    async run(stage) {
      const name = `/asked-${stage.unique("").trim()}`;
      const refused = await stage.open(name, { auth: { token: "wrong" } });
      await refused.life("connect_error");
      const client = await stage.connect(name, { auth: { token: "let me in" } });
      stage.equal(await client.call("echo", 1), [1]);
    },
  },
  {
    name: "an event that a middleware refuses reaches no handler, those around it do",
    needs: ["namespaces"],
    async run(stage) {
      const client = await stage.connect("/guarded");
      await client.emit("echo", 1);
      await client.emit("echo", "forbidden");
      await client.emit("echo", 2);
      stage.equal(await client.collect("echo", 2), [1, 2]);
      await client.call("whoami");
      assert.equal(await client.waiting("echo"), 0);
    },
  },
];
