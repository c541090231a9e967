const samples = ["é", "ÿ", "✓", "日本語", "😀", "👩‍👩‍👧‍👦", "\u2028\u2029", "\ufeff", "a\u0301", "\uffff", "Ã©"];

export const text = [
  {
    name: "non-ASCII text in arguments",
    async run(stage) {
      const client = await stage.connect();
      await client.emit("echo", ...samples, samples.join(""));
      stage.equal(await client.next("echo"), [...samples, samples.join("")]);
      for (const sample of samples) stage.equal(await client.call("echo", sample, { [sample]: sample }), [sample, { [sample]: sample }]);
    },
  },
  {
    name: "non-ASCII text in event names",
    async run(stage) {
      const client = await stage.connect("/", { replies: Object.fromEntries(samples.map((name) => [name, "echo"])) });
      for (const name of samples) {
        stage.equal(await client.call("ask me", name, name), [[name]]);
        stage.equal(await client.next(name), [name]);
      }
    },
  },
  {
    name: "non-ASCII text in room names",
    async run(stage) {
      const client = await stage.connect();
      for (const name of samples) {
        const room = stage.unique(name);
        await client.call("join", room);
        await client.emit("room", room, "in");
        stage.equal(await client.next("room"), [room, "in"]);
      }
    },
  },
  {
    name: "a namespace with a non-ASCII name",
    needs: ["namespaces"],
    async run(stage) {
      const client = await stage.connect("/custom-ü");
      stage.equal(await client.call("echo", "ü", 1), ["ü", 1]);
      await client.emit("echo", "ü", Uint8Array.of(1));
      stage.equal(await client.next("echo"), ["ü", Uint8Array.of(1)]);
    },
  },
  {
    name: "long non-ASCII text, where characters fall across every boundary",
    async run(stage) {
      const client = await stage.connect();
      const long = samples.join("").repeat(3_000);
      stage.equal(await client.call("echo", long, "x", long), [long, "x", long]);
    },
  },
];
