// Runs the tests and closes with a line of totals.
//
// The page of `patera serve` is tested too where PATERA names its binary.
//
//   node run.mjs [--server node | --server PROGRAM] [--name PATTERN] [FILE…]

import { readdirSync } from "node:fs";
import { spec } from "node:test/reporters";
import { run } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { server: { type: "string", default: process.env.SERVER ?? "node" }, name: { type: "string" } },
});
process.env.SERVER = values.server;

const home = fileURLToPath(new URL(".", import.meta.url));
const folders = process.env.PATERA ? ["tests", "page"] : ["tests"];
const all = folders.flatMap((folder) => readdirSync(home + folder).map((name) => `${home}${folder}/${name}`));
const files = positionals.length > 0 ? positionals : all.filter((name) => name.endsWith(".test.mjs"));

let passed = 0;
let failed = 0;
let skipped = 0;
let suitesFailed = 0;
const stream = run({ files, concurrency: 2, timeout: 900_000, testNamePatterns: values.name });
stream.on("test:pass", (data) => {
  if (data.details.type === "suite") return;
  if (data.skip !== undefined || data.todo !== undefined) skipped += 1;
  else passed += 1;
});
stream.on("test:fail", (data) => {
  if (data.details.type === "suite") suitesFailed += 1;
  else failed += 1;
});
stream.compose(spec).pipe(process.stdout);
stream.on("end", () => {
  process.exitCode = failed + suitesFailed === 0 && passed > 0 ? 0 : 1;
});
process.on("exit", () => {
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
});
