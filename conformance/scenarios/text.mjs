const everywhere = ["é", "ÿ", "✓", "日本語", "😀", "👩‍👩‍👧‍👦", "\u2028\u2029", "\ufeff", "a\u0301", "\uffff"];

/** The last one looks like UTF-8 that was encoded twice, as 1.x does it: a server that makes up for that mistakes it. */
function samplesFor(stage) {
  return stage.kind.legacy && stage.mode !== "websocket" ? everywhere : [...everywhere, "Ã©"];
}

export const text = [
  {
    name: "non-ASCII text in arguments",
    needs: ["non-ASCII"],
    async run(stage) {
      const samples = samplesFor(stage);
      const client = await stage.connect();
      await client.emit("echo", ...samples, samples.join(""));
      stage.equal(await client.next("echo"), [...samples, samples.join("")]);
      for (const sample of samples) stage.equal(await client.call("echo", sample, { [sample]: sample }), [sample, { [sample]: sample }]);
    },
  },
  {
    name: "non-ASCII text in event names",
    needs: ["non-ASCII"],
    async run(stage) {
      const samples = samplesFor(stage);
      const client = await stage.connect("/", { replies: Object.fromEntries(samples.map((name) => [name, "echo"])) });
      for (const name of samples) {
        stage.equal(await client.call("ask me", name, name), [[name]]);
        stage.equal(await client.next(name), [name]);
      }
    },
  },
  {
    name: "non-ASCII text in room names",
    needs: ["non-ASCII"],
    async run(stage) {
      const client = await stage.connect();
      for (const name of samplesFor(stage)) {
        const room = stage.unique(name);
        await client.call("join", room);
        await client.emit("room", room, "in");
        stage.equal(await client.next("room"), [room, "in"]);
      }
    },
  },
  {
    name: "a namespace with a non-ASCII name",
    needs: ["non-ASCII namespaces"],
    async run(stage) {
      const client = await stage.connect("/custom-ü");
      stage.equal(await client.call("echo", "ü", 1), ["ü", 1]);
      await client.emit("echo", "ü", Uint8Array.of(1));
      stage.equal(await client.next("echo"), ["ü", Uint8Array.of(1)]);
    },
  },
  {
    name: "long non-ASCII text, where characters fall across every boundary",
    needs: ["non-ASCII"],
    async run(stage) {
      const client = await stage.connect();
      // A form of JSONP takes up to three times the bytes, and must stay below the limit too.
      const count = stage.mode === "jsonp" || !stage.can("long polls") ? 200 : 3_000;
      const long = samplesFor(stage).join("").repeat(count);
      stage.equal(await client.call("echo", long, "x", long), [long, "x", long]);
    },
  },
];
