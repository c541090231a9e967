import assert from "node:assert/strict";
import { test } from "node:test";
import { RetryQueue, type Ack } from "../src/socketio/queue.js";

/** A queue on a connection that can be cut; `answer` and `fail` settle what is under way. */
function stage(retries: number) {
  const log: unknown[] = [];
  let isConnected = true;
  let settle: Ack = () => assert.fail("nothing is under way");
  const queue = new RetryQueue(retries, (args) => {
    if (!isConnected) return false;
    settle = args.at(-1) as Ack;
    log.push(args[0]);
    return true;
  });
  return {
    queue,
    log,
    ack: (...args: unknown[]) => void log.push(args),
    answer: (...values: unknown[]) => settle(null, ...values),
    fail: () => settle(new Error("operation has timed out")),
    settled: () => settle,
    cut: () => (isConnected = false),
    connect() {
      isConnected = true;
      queue.restart();
    },
  };
}

test("events go one at a time, in order", () => {
  const { queue, log, ack, answer } = stage(3);
  queue.add(["one"], {}, ack);
  queue.add(["two"], {}, undefined);
  assert.deepEqual(log, ["one"]);
  answer("answer", 2);
  assert.deepEqual(log, ["one", [null, "answer", 2], "two"]);
  answer();
  queue.add(["three"], {}, undefined);
  assert.deepEqual(log.at(-1), "three");
});

test("an event is tried once and as often again as there are retries", () => {
  const { queue, log, ack, fail } = stage(2);
  queue.add(["one"], {}, ack);
  queue.add(["two"], {}, undefined);
  fail();
  fail();
  assert.deepEqual(log, ["one", "one", "one"]);
  fail();
  assert.equal((log[3] as unknown as [Error])[0].message, "operation has timed out");
  assert.equal(log[4], "two");
});

test("what was under way goes again after a reconnection", () => {
  const { queue, log, cut, fail, connect, answer } = stage(3);
  queue.add(["one"], {}, undefined);
  cut();
  fail();
  queue.add(["two"], {}, undefined);
  assert.deepEqual(log, ["one"]);
  connect();
  assert.deepEqual(log, ["one", "one"]);
  answer();
  assert.deepEqual(log, ["one", "one", "two"]);
});

test("an answer to an earlier try counts, a second one does not", () => {
  const { queue, log, ack, fail, settled } = stage(3);
  queue.add(["one"], {}, ack);
  const first = settled();
  fail();
  first(null, "late");
  settled()(null, "again");
  assert.deepEqual(log, ["one", "one", [null, "late"]]);
});

test("there is nothing to send without a connection, and no try is counted", () => {
  const { queue, log, cut, connect, fail } = stage(1);
  cut();
  queue.add(["one"], {}, undefined);
  queue.drain();
  assert.deepEqual(log, []);
  connect();
  fail();
  assert.deepEqual(log, ["one", "one"]);
});
