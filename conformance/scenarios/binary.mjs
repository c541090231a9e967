import assert from "node:assert/strict";

const bytes = (count) => Uint8Array.from({ length: count }, (_, n) => n % 256);

export const binary = [
  {
    name: "bytes go both ways",
    async run(stage) {
      const client = await stage.connect();
      for (const count of [1, ...(stage.can("empty bytes") ? [0] : []), 3, 256, 70_000]) {
        await client.emit("echo", bytes(count));
        stage.equal(await client.next("echo"), [bytes(count)]);
      }
    },
  },
  {
    name: "several attachments, nested anywhere, between other values",
    needs: ["non-ASCII"],
    async run(stage) {
      const client = await stage.connect();
      const args = ["a", { deep: [{ file: bytes(3) }, bytes(4)], é: "é" }, bytes(5), [[bytes(6)]], null];
      await client.emit("echo", ...args);
      stage.equal(await client.next("echo"), args);
    },
  },
  {
    name: "ten attachments, the most that is allowed",
    async run(stage) {
      const client = await stage.connect();
      const args = Array.from({ length: 10 }, (_, n) => bytes(n + 1));
      stage.equal(await client.call("echo", ...args), args);
    },
  },
  {
    name: "bytes in acknowledgements of the server",
    async run(stage) {
      const client = await stage.connect();
      const args = [bytes(3), { inner: bytes(2) }, "end"];
      stage.equal(await client.call("echo", ...args), args);
    },
  },
  {
    name: "bytes in acknowledgements of the client",
    async run(stage) {
      const client = await stage.connect("/", { replies: { question: "echo" } });
      stage.equal(await client.call("ask me", "question", bytes(3), { inner: bytes(2) }), [[bytes(3), { inner: bytes(2) }]]);
    },
  },
  {
    name: "bytes that the server makes",
    needs: ["non-ASCII"],
    async run(stage) {
      const client = await stage.connect();
      await client.emit("binary", 300);
      stage.equal(await client.next("binary"), [bytes(300)]);
      await client.emit("nested");
      const none = stage.can("empty bytes") ? bytes(0) : null;
      stage.equal(await client.next("nested"), [{ deep: [{ first: bytes(3) }, bytes(5)], text: "é" }, none]);
    },
  },
  {
    name: "bytes and texts in turn keep their order",
    async run(stage) {
      const client = await stage.connect();
      const count = stage.mode === "jsonp" ? 5 : 30;
      for (let n = 0; n < count; n += 1) {
        await client.emit("echo", n, bytes(n));
        await client.emit("echo", n, "text");
      }
      const came = await client.collect("echo", 2 * count);
      assert.deepEqual(came, Array.from({ length: 2 * count }, (_, n) => Math.floor(n / 2)));
    },
  },
  {
    name: "bytes reach everyone in a broadcast",
    async run(stage) {
      const [one, two] = [await stage.connect(), await stage.connect()];
      const nonce = stage.unique("bytes");
      await one.emit("all", nonce, bytes(9));
      stage.equal(await one.next("all"), [nonce, bytes(9)]);
      stage.equal(await two.next("all"), [nonce, bytes(9)]);
    },
  },
];
