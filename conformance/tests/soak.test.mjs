// A few seconds of the soak: it runs, and nothing goes wrong at once. The whole of it is `cargo xtask soak`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const { SERVER } = process.env;

test("a short soak loses nothing and leaves nothing behind", { skip: SERVER === "node" && "it asks the server for what lives" }, async () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["soak.mjs", "--server", SERVER, "--minutes", "0.8", "--rate", "2"], { cwd });
  assert.match(stdout, /nothing lost, doubled or out of order; nothing left behind/);
  for (const part of ["company", "churn", "hostile bytes"]) {
    assert.match(stdout, new RegExp(`^ {2}${part}: [1-9]`, "m"), part);
  }
});
