import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter } from "../src/emitter.js";

function recording() {
  const emitter = new Emitter<any, any>();
  const log: unknown[] = [];
  const listener = (name: string) => (...args: unknown[]) => void log.push([name, ...args]);
  return { emitter, log, listener };
}

test("listeners are called in order, with all arguments, and with the emitter as `this`", () => {
  const { emitter, log, listener } = recording();
  emitter.on("e", listener("first")).on("e", listener("second")).on("other", listener("other"));
  emitter.on("e", function (this: unknown) {
    log.push(this === emitter);
  });
  emitter.emit("e", 1, "two");
  assert.deepEqual(log, [["first", 1, "two"], ["second", 1, "two"], true]);
});

test("once is once, also where the listener emits again", () => {
  const { emitter, log, listener } = recording();
  emitter.once("e", () => void emitter.emit("e", "again")).once("e", listener("once"));
  emitter.emit("e", "first");
  assert.deepEqual(log, [["once", "again"]]);
});

test("off takes one listener, those of an event, or all", () => {
  const { emitter, listener } = recording();
  const [one, two] = [listener("one"), listener("two")];
  emitter.on("e", one).on("e", two).on("e", one).once("f", two);
  emitter.off("e", one);
  assert.deepEqual(emitter.listeners("e"), [two, one]);
  emitter.off("f", two);
  assert.equal(emitter.hasListeners("f"), false);
  emitter.off("e", listener("unknown"));
  assert.equal(emitter.listeners("e").length, 2);
  emitter.removeAllListeners("e");
  assert.equal(emitter.hasListeners("e"), false);
  emitter.on("e", one).on("f", two).removeListener("e", one);
  emitter.off();
  assert.deepEqual([emitter.listeners("e"), emitter.listeners("f")], [[], []]);
});

test("a listener added or removed while an event is raised takes effect at the next one", () => {
  const { emitter, log, listener } = recording();
  const second = listener("second");
  emitter.once("e", () => emitter.on("e", listener("added")).off("e", second));
  emitter.on("e", second);
  emitter.emit("e");
  emitter.emit("e");
  assert.deepEqual(log, [["second"], ["added"]]);
});

test("a listener that throws disturbs nobody, and its error is reported", (context) => {
  const { emitter, log, listener } = recording();
  const reported = context.mock.method(globalThis, "queueMicrotask", () => {});
  emitter.on("e", () => {
    throw new Error("mine");
  });
  emitter.on("e", listener("after"));
  emitter.emit("e");
  assert.deepEqual(log, [["after"]]);
  assert.equal(reported.mock.callCount(), 1);
  assert.throws(reported.mock.calls[0]!.arguments[0]!, /mine/);
});

test("names are names, whatever objects have by nature", () => {
  const { emitter, log, listener } = recording();
  assert.equal(emitter.hasListeners("constructor"), false);
  for (const name of ["__proto__", "toString", "constructor"]) emitter.on(name, listener(name)).emit(name);
  assert.deepEqual(log, [["__proto__"], ["toString"], ["constructor"]]);
});
