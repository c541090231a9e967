import assert from "node:assert/strict";

export const acknowledgements = [
  {
    name: "the server acknowledges with no argument, one, and several",
    async run(stage) {
      const client = await stage.connect();
      for (const args of [[], ["one"], ["one", 2, { three: [3] }], [[]]]) {
        stage.equal(await client.call("echo", ...args), args);
      }
    },
  },
  {
    name: "the client acknowledges with what it was asked",
    async run(stage) {
      const client = await stage.connect("/", { replies: { question: "echo" } });
      stage.equal(await client.call("ask me", "question", "why", 42, { deep: [] }), [["why", 42, { deep: [] }]]);
      stage.equal(await client.next("question"), ["why", 42, { deep: [] }]);
    },
  },
  {
    name: "the client acknowledges with no argument",
    async run(stage) {
      const client = await stage.connect("/", { replies: { question: [] } });
      stage.equal(await client.call("ask me", "question"), [[]]);
    },
  },
  {
    name: "the server's wait for an acknowledgement ends",
    async run(stage) {
      const client = await stage.connect("/", { replies: {} });
      // python-socketio acknowledges whatever its handler returns, also nothing.
      const [timedOut] = await client.call("ask in vain");
      assert.equal(timedOut, !stage.kind.alwaysAnswers);
    },
  },
  {
    name: "a hundred acknowledgements under way find their callers",
    async run(stage) {
      const client = await stage.connect();
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => client.call("echo", n, `${n}`)));
      stage.equal(answers, Array.from({ length: 100 }, (_, n) => [n, `${n}`]));
    },
  },
];
