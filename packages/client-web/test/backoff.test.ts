import assert from "node:assert/strict";
import { test } from "node:test";
import { delayOf } from "../src/socketio/backoff.js";

const defaults = { reconnectionDelay: 1000, reconnectionDelayMax: 5000, randomizationFactor: 0.5 };

test("delays double up to the limit", () => {
  const options = { ...defaults, randomizationFactor: 0 };
  assert.deepEqual([0, 1, 2, 3, 4, 5000].map((attempt) => delayOf(attempt, options)), [1000, 2000, 4000, 5000, 5000, 5000]);
});

test("chance makes them shorter or longer by the factor, never longer than the limit", () => {
  for (const [random, expected] of [
    [0, [500, 1000, 2500]],
    [0.5, [1000, 2000, 5000]],
    [0.75, [1250, 2500, 5000]],
    [1, [1500, 3000, 5000]],
  ] as const) {
    assert.deepEqual([0, 1, 9].map((attempt) => delayOf(attempt, defaults, random)), expected);
  }
  assert.equal(delayOf(3, { ...defaults, randomizationFactor: 1 }, 0), 0);
});
