import assert from "node:assert/strict";

/** An asker, and two members of a room who answer `question` with `a` and with what `second` says. */
async function asked(stage, second) {
  const asker = await stage.connect();
  const members = [
    await stage.connect("/", { replies: { question: ["a"] } }),
    await stage.connect("/", { replies: second }),
  ];
  const room = stage.unique("room");
  for (const member of members) await member.call("join", room);
  return { asker, members, room };
}

/** What is asked of many sockets at once. */
export const many = [
  {
    name: "a broadcast gathers the answers of a room",
    async run(stage) {
      const { asker, members, room } = await asked(stage, { question: ["b", "only the first argument counts"] });
      const [{ answers, failed }] = await asker.call("ask room", room, 10_000, "question", { n: 1 });
      assert.equal(failed, false);
      stage.equal([...answers].sort(), ["a", "b"]);
      for (const member of members) stage.equal(await member.next("question"), [{ n: 1 }]);
      assert.equal(await asker.waiting("question"), 0);
    },
  },
  {
    name: "a broadcast's wait for answers ends, and those that came are kept",
    async run(stage) {
      const { asker, members, room } = await asked(stage, {});
      const [{ answers, failed }] = await asker.call("ask room", room, 1000, "question");
      // python-socketio acknowledges whatever its handler returns, also nothing.
      assert.equal(failed, !stage.kind.alwaysAnswers);
      assert.ok(answers.includes("a"));
      assert.equal(answers.length, stage.kind.alwaysAnswers ? 2 : 1);
      // Nothing of it is in the way of the next one.
      await members[1].call("leave", room);
      const [next] = await asker.call("ask room", room, 10_000, "question");
      stage.equal(next, { answers: ["a"], failed: false });
    },
  },
  {
    name: "an empty room has answered at once",
    async run(stage) {
      const asker = await stage.connect();
      stage.equal(await asker.call("ask room", stage.unique("empty"), 10_000, "question"), [{ answers: [], failed: false }]);
    },
  },
  {
    name: "the members of a room are found and moved to another one",
    async run(stage) {
      const { asker, members, room } = await asked(stage, {});
      const other = stage.unique("other");
      const ids = [];
      for (const member of members) ids.push((await member.call("whoami"))[0]);
      const find = async (where) => [...(await asker.call("members", where))[0]].sort();
      stage.equal(await find(room), ids.sort());
      await asker.call("move", room, other);
      stage.equal(await find(room), []);
      stage.equal(await find(other), ids.sort());
      await asker.emit("room", other, "news");
      for (const member of members) stage.equal(await member.next("room"), [other, "news"]);
    },
  },
  {
    name: "the members of a room are disconnected, and nobody else is",
    async run(stage) {
      const { asker, members, room } = await asked(stage, {});
      await asker.emit("kick", room);
      for (const member of members) stage.ended(await member.life("disconnect"), "byServer");
      stage.equal(await asker.call("members", room), [[]]);
    },
  },
];
