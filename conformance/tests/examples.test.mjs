// Each program of examples/ does what its first lines promise.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Peers, transportsOf } from "../harness/peers.mjs";
import { isMissing, Program } from "../harness/program.mjs";
import { typeFaults } from "../harness/types.mjs";

const limit = { timeout: 30_000 };
const peers = new Peers();

/** The tests of one example, with the program running; `server()` is it. */
function example(name, body) {
  describe(`examples/${name}.rs`, { skip: isMissing }, () => {
    let server;
    before(async () => {
      server = await Program.serve(name, [], { PORT: "0" });
    });
    afterEach(() => peers.closeAll());
    after(() => server?.stop());
    body(() => server);
  });
}

const texts = async (url, options) => {
  const response = await fetch(url, options);
  return [response.status, await response.text()];
};

example("chat", (server) => {
  test("two users join, talk, type and leave", limit, async () => {
    const [ada, bob] = [await peers.socketIo(server().url), await peers.socketIo(server().url)];
    ada.emit("add user", "ada");
    assert.deepEqual(await ada.next("login"), [{ username: "ada", numUsers: 1 }]);
    assert.deepEqual(await bob.next("user joined"), [{ username: "ada", numUsers: 1 }]);
    bob.emit("add user", "bób");
    assert.deepEqual(await bob.next("login"), [{ username: "bób", numUsers: 2 }]);
    assert.deepEqual(await ada.next("user joined"), [{ username: "bób", numUsers: 2 }]);

    ada.emit("typing");
    assert.deepEqual(await bob.next("typing"), ["ada"]);
    ada.emit("new message", "hello");
    assert.deepEqual(await bob.next("new message"), [{ username: "ada", message: "hello" }]);
    bob.emit("new message", "and you");
    assert.deepEqual(await ada.next("new message"), [{ username: "bób", message: "and you" }]);
    // To the others only: what ada said would have come back before bob's answer.
    assert.equal(ada.waiting("new message"), 0);

    bob.close();
    assert.deepEqual(await ada.next("user left"), [{ username: "bób", numUsers: 1 }]);
  });

  test("who has told no name is not heard, and a second name does not count", limit, async () => {
    const [ada, guest] = [await peers.socketIo(server().url), await peers.socketIo(server().url)];
    guest.emit("typing");
    guest.emit("new message", "from nobody");
    guest.emit("add user", "guest");
    const [{ numUsers }] = await guest.next("login");
    guest.emit("add user", "somebody else");
    guest.emit("new message", "from guest");
    assert.deepEqual(await ada.next("new message"), [{ username: "guest", message: "from guest" }]);
    assert.equal(ada.waiting("typing"), 0);
    assert.deepEqual(await ada.next("user joined"), [{ username: "guest", numUsers }]);
    assert.equal(ada.waiting("user joined"), 0);
  });
});

example("axum", (server) => {
  test("HTTP routes stand beside Socket.IO", limit, async () => {
    assert.deepEqual(await texts(`${server().url}/`), [200, "an HTTP route; Socket.IO is at /socket.io/"]);
    assert.equal((await texts(`${server().url}/nowhere`))[0], 404);
    assert.deepEqual(await texts(`${server().url}/online`), [200, "0"]);
    const client = await peers.socketIo(server().url);
    assert.deepEqual(await client.next("welcome"), [client.id]);
    assert.deepEqual(await texts(`${server().url}/online`), [200, "1"]);
    client.emit("hello", "ada");
    assert.deepEqual(await client.next("hello"), ["hello, ada"]);
  });

  test("what is posted to /news reaches every client", limit, async () => {
    const clients = [];
    for (const mode of Object.keys(transportsOf)) clients.push(await peers.socketIo(server().url, { mode }));
    assert.equal((await texts(`${server().url}/news`, { method: "POST", body: "hello everyone ☕" }))[0], 200);
    for (const client of clients) assert.deepEqual(await client.next("news"), ["hello everyone ☕"]);
  });

  test("Ctrl-C says goodbye to the clients and ends the program", limit, async () => {
    const own = await Program.serve("axum", [], { PORT: "0" });
    try {
      const clients = [];
      for (const mode of Object.keys(transportsOf)) clients.push(await peers.socketIo(own.url, { mode }));
      // What has answered a request waits for Ctrl-C.
      assert.equal((await texts(`${own.url}/`))[0], 200);
      own.signal("SIGINT");
      for (const client of clients) assert.equal(await client.closed, "transport close");
      assert.deepEqual(await own.exited, { code: 0, signal: null });
    } finally {
      await own.stop();
    }
  });
});

example("acks", (server) => {
  for (const mode of Object.keys(transportsOf)) {
    test(`${mode}: the return value of a handler answers`, limit, async () => {
      const client = await peers.socketIo(server().url, { mode });
      assert.equal(await client.socket.emitWithAck("add", 1, 2), 3);
      assert.deepEqual(await client.socket.emitWithAck("load", 0), { error: "no such id" });
      assert.equal(await client.socket.emitWithAck("load", 7), "document 7");
    });
  }

  test("an answer comes later, and others in the meantime", limit, async () => {
    const client = await peers.socketIo(server().url);
    const order = [];
    const slow = client.ask("slow", "query").then((answer) => {
      order.push("slow");
      return answer;
    });
    assert.deepEqual(await client.ask("add", 20, 22), [42]);
    order.push("add");
    assert.deepEqual(await slow, [["query"]]);
    assert.deepEqual(order, ["add", "slow"]);
  });

  test("wrong arguments are answered with an error", limit, async () => {
    const client = await peers.socketIo(server().url);
    const [answer] = await client.ask("add", "one", 2);
    assert.equal(typeof answer.error, "string");
    assert.deepEqual(await client.ask("add", -5, 2), [-3]);
  });

  test("the server asks and takes the client's answer", limit, async () => {
    const client = await peers.socketIo(server().url);
    const [answer] = await client.next("what is your name?");
    answer("Ada ✓");
    await server().said("stdout", new RegExp(`^${client.id} is Ada ✓$`));
  });

  test("the server is told when a client never answers", limit, async () => {
    const client = await peers.socketIo(server().url);
    await client.next("what is your name?");
    await server().said("stdout", new RegExp(`^${client.id} does not say: `));
  });
});

example("contracts", (server) => {
  const picture = Buffer.from([1, 2, 255]);

  for (const mode of Object.keys(transportsOf)) {
    test(`${mode}: events of the contract are handled and acknowledged`, limit, async () => {
      const [ada, bob] = [await peers.socketIo(server().url, { mode }), await peers.socketIo(server().url, { mode })];
      const [first] = await ada.ask("private message", bob.id, "hello", picture);
      assert.deepEqual(await bob.next("message"), [{ from: ada.id, text: "hello", picture }, true]);
      assert.deepEqual(await ada.ask("private message", bob.id, "again", null), [first + 1]);
      assert.deepEqual(await bob.next("message"), [{ from: ada.id, text: "again", picture: null }, true]);
    });
  }

  test("a handler that fails tells why, and so do wrong arguments", limit, async () => {
    const client = await peers.socketIo(server().url);
    assert.deepEqual(await client.ask("private message", "nobody", "", null), [{ error: "nothing to say" }]);
    assert.deepEqual(await client.ask("history", 1000), [{ error: "there are not so many messages" }]);
    const [answer] = await client.ask("private message", 1, 2, null);
    assert.equal(typeof answer.error, "string");
  });

  test("the server asks by its own contract", limit, async () => {
    const [ada, bob] = [await peers.socketIo(server().url), await peers.socketIo(server().url)];
    const [before] = await ada.ask("history", 0);
    for (const isWanted of [true, false]) {
      ada.emit("say", `wanted: ${isWanted}`);
      const [topic, tags, answer] = await ada.next("wants?");
      assert.deepEqual([topic, tags], ["an echo", ["test"]]);
      answer(isWanted);
      const message = { from: ada.id, text: `wanted: ${isWanted}`, picture: null };
      assert.deepEqual(await bob.next("message"), [message, false]);
      if (isWanted) assert.deepEqual(await ada.next("message"), [message, false]);
    }
    const [messages] = await ada.ask("history", before.length);
    assert.deepEqual(messages.map(({ text }) => text), ["wanted: true", "wanted: false"]);
    assert.equal(ada.waiting("message"), 0);
  });

  test("TypeScript checks both clients by it", { timeout: 120_000 }, async () => {
    const program = new Program("contracts", ["--typescript"]);
    assert.deepEqual(await program.exited, { code: 0, signal: null });
    const types = program.output("stdout");
    assert.deepEqual(typeFaults(types), []);
  });
});

example("auth", (server) => {
  test("without a token a client is refused, with a reason and details", limit, async () => {
    for (const options of [{}, { auth: {} }, { auth: { token: null } }, { auth: { other: "ada" } }]) {
      const error = await peers.refused(server().url, options);
      assert.equal(error.message, "missing token", JSON.stringify(options));
      assert.deepEqual(error.data, { code: 401 });
    }
  });

  test("with a token a client is let in and known by it", limit, async () => {
    const ada = await peers.socketIo(server().url, { auth: { token: "ada" } });
    assert.deepEqual(await ada.ask("whoami"), ["ada"]);
  });

  test("what is told to a user reaches all her tabs and nobody else", limit, async () => {
    const connect = async (token) => {
      const client = await peers.socketIo(server().url, { auth: { token } });
      // Answered behind the connection handler, which joins the user's room.
      assert.deepEqual(await client.ask("whoami"), [token]);
      return client;
    };
    const [first, second, bob] = [await connect("ada"), await connect("ada"), await connect("bob")];
    bob.emit("tell", "ada", "hello");
    for (const tab of [first, second]) assert.deepEqual(await tab.next("told"), ["hello"]);
    first.emit("tell", "bob", "hello yourself");
    assert.deepEqual(await bob.next("told"), ["hello yourself"]);
  });
});

example("binary", (server) => {
  const content = Buffer.from([0, 1, 2, 255]);

  for (const mode of Object.keys(transportsOf)) {
    test(`${mode}: an upload is acknowledged and reaches the others`, limit, async () => {
      const [sender, other] = [await peers.socketIo(server().url, { mode }), await peers.socketIo(server().url, { mode })];
      assert.deepEqual(await sender.ask("upload", { name: "a.bin", content }), [4]);
      assert.deepEqual(await other.next("file"), [{ name: "a.bin", content }]);
      assert.deepEqual(await other.ask("upload", { name: "empty", content: Buffer.alloc(0) }), [0]);
      assert.deepEqual(await sender.next("file"), [{ name: "empty", content: Buffer.alloc(0) }]);
      assert.equal(other.waiting("file"), 0);
    });
  }

  test("bytes anywhere come back where they were", limit, async () => {
    const client = await peers.socketIo(server().url);
    const value = { deep: [{ content }, "text", [content]], big: Buffer.alloc(300_000, 7) };
    assert.deepEqual(await client.ask("echo", value), [value]);
    const [bytes] = await client.ask("echo", new Uint8Array([1, 2, 3]));
    assert.deepEqual(bytes, Buffer.from([1, 2, 3]));
  });

  test("what is no file is answered with an error", limit, async () => {
    const client = await peers.socketIo(server().url);
    const [answer] = await client.ask("upload", { name: "a.bin" });
    assert.equal(typeof answer.error, "string");
  });
});

example("rooms", (server) => {
  const connect = () => peers.socketIo(server().url, { namespace: "/docs" });

  test("who opens a document sees its edits until it is closed", limit, async () => {
    const [ada, bob, eve] = [await connect(), await connect(), await connect()];
    assert.deepEqual(await ada.ask("open", "doc-1"), [["doc-1"]]);
    await bob.ask("open", "doc-1");
    assert.deepEqual(await ada.next("opened"), ["doc-1", bob.id]);
    await eve.ask("open", "doc-2");

    ada.emit("edit", "doc-1", "a change");
    assert.deepEqual(await bob.next("edited"), ["doc-1", "a change"]);
    bob.emit("edit", "doc-1", "another");
    assert.deepEqual(await ada.next("edited"), ["doc-1", "another"]);
    assert.equal(ada.waiting("edited"), 0);

    bob.emit("close", "doc-1");
    assert.deepEqual(await ada.next("closed"), ["doc-1", bob.id]);
    ada.emit("edit", "doc-1", "unseen");
    ada.emit("edit", "doc-2", "seen by who has doc-2 open");
    // Sent behind what bob must not see.
    assert.deepEqual(await eve.next("edited"), ["doc-2", "seen by who has doc-2 open"]);
    await bob.ask("open", "doc-3");
    assert.equal(bob.waiting("edited"), 0);
    assert.equal(eve.waiting("opened"), 0);
  });

  test("the events are those of the namespace alone", limit, async () => {
    const [ada, outside] = [await connect(), await peers.socketIo(server().url)];
    await ada.ask("open", "doc-1");
    outside.emit("open", "doc-1");
    const bob = await connect();
    await bob.ask("open", "doc-1");
    assert.deepEqual(await ada.next("opened"), ["doc-1", bob.id]);
  });
});

example("native_websocket", (server) => {
  test("a plain WebSocket and a Socket.IO client talk in one room", limit, async () => {
    const plain = await peers.native(server().url, "/ws?name=ada");
    await server().said("stdout", new RegExp(`^${plain.id} is ada$`));
    const other = await peers.socketIo(server().url, { auth: { name: "bob" } });
    await server().said("stdout", new RegExp(`^${other.id} is bob$`));
    assert.deepEqual(await plain.ask("chat", "hello"), ["sent"]);
    for (const peer of [plain, other]) assert.deepEqual(await peer.next("chat"), [plain.id, "hello"]);
    assert.deepEqual(await other.ask("chat", "hello, naïve 🌋"), ["sent"]);
    for (const peer of [plain, other]) assert.deepEqual(await peer.next("chat"), [other.id, "hello, naïve 🌋"]);
  });

  test("without the subprotocol every message is the event `message`", limit, async () => {
    const plain = await peers.raw(server().url);
    plain.send("anything");
    assert.deepEqual(await plain.next("message"), "anything");
    const other = await peers.socketIo(server().url);
    await server().said("stdout", new RegExp(`^${other.id} is somebody$`));
    other.emit("message", { n: 1 });
    assert.deepEqual(await other.next("message"), [{ n: 1 }]);
    other.emit("chat", "to the lobby");
    assert.deepEqual(JSON.parse(await plain.next("message")), { event: "chat", args: [other.id, "to the lobby"] });
  });
});

example("engine_echo", (server) => {
  for (const mode of Object.keys(transportsOf)) {
    test(`${mode}: messages come back in order`, limit, async () => {
      const client = await peers.engine(server().url, mode);
      const messages = ["hello", "é😀", Buffer.from([0, 1, 255]), "last"];
      for (const message of messages) client.send(message);
      for (const message of messages) assert.deepEqual(await client.next("message"), message);
      const { id } = client.socket;
      client.socket.close();
      await server().said("stdout", new RegExp(`^${id} has left: `));
    });
  }
});
