// The browser client as the server serves it: `<path>/socket.io.js` and its kin.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { ask } from "../harness/http.mjs";
import { isReference, Server } from "../harness/server.mjs";

const names = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"];
const folder = isReference ? "../node_modules/socket.io/client-dist/" : "../../crates/patera/client-dist/";
const read = (name) => readFileSync(new URL(folder + name, import.meta.url));

/** The body as bytes, which `ask` makes text of. */
async function load(server, path, headers = {}) {
  const response = await fetch(`${server.url}${path}`, { headers });
  return { headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

describe("the served client", () => {
  let server;
  before(async () => {
    server = await Server.start({ cors: { origin: "*" } });
  });
  after(() => server.stop());

  test("each file, and its map, is what it is on disk", async () => {
    for (const name of names.flatMap((name) => [name, `${name}.map`])) {
      const { status, headers, body } = await ask(server, { path: `/socket.io/${name}` });
      assert.equal(status, 200, name);
      assert.equal(headers["content-type"], `application/${name.endsWith(".map") ? "json" : "javascript"}; charset=utf-8`);
      assert.equal(headers["cache-control"], "public, max-age=0");
      assert.equal(headers["access-control-allow-origin"], "*");
      assert.match(headers.etag, isReference ? /^"\d+\.\d+\.\d+"$/ : /^"\d+\.\d+\.\d+-[0-9a-f]{8}"$/);
      assert.ok(body === String(read(name)), name);
    }
  });

  test("a query does not matter, other names are the endpoint's", async () => {
    assert.equal((await ask(server, { path: "/socket.io/socket.io.js?v=1" })).status, 200);
    for (const name of ["socket.io.js/", "socket.io.esm.js", "x.js"]) {
      const { status, body } = await ask(server, { path: `/socket.io/${name}` });
      assert.deepEqual([status, body], [400, '{"code":0,"message":"Transport unknown"}'], name);
    }
    const { status, body } = await ask(server, { method: "POST", path: "/socket.io/socket.io.js" });
    assert.deepEqual([status, body.length > 1000], isReference ? [200, true] : [400, false]);
  });

  test("who has it gets 304", async () => {
    const { headers } = await ask(server, { path: "/socket.io/socket.io.min.js" });
    for (const [tag, expected] of [
      [headers.etag, 304],
      [`W/${headers.etag}`, 304],
      ['"0"', 200],
    ]) {
      const answer = await ask(server, { path: "/socket.io/socket.io.min.js", headers: { "If-None-Match": tag } });
      assert.equal(answer.status, expected, tag);
      assert.equal(answer.body === "", expected === 304);
      assert.equal(answer.headers["access-control-allow-origin"], "*");
    }
  });

  test("it is compressed as the browser likes", async () => {
    const plain = read("socket.io.min.js");
    // Ours knows brotli only with the cargo feature of that name.
    const { headers } = await ask(server, { path: "/socket.io/socket.io.min.js", headers: { "Accept-Encoding": "br" } });
    const best = isReference ? "br" : (headers["content-encoding"] ?? "gzip");
    for (const [accept, encoding] of [
      ["gzip", "gzip"],
      ["deflate", "deflate"],
      ["br, gzip", best],
      ["br;q=0, gzip", "gzip"],
      ["*", best],
      ["identity", undefined],
    ]) {
      const { headers, body } = await ask(server, { path: "/socket.io/socket.io.min.js", headers: { "Accept-Encoding": accept } });
      assert.equal(headers["content-encoding"], encoding, accept);
      assert.equal(headers["content-type"], "application/javascript; charset=utf-8");
      if (encoding === undefined) assert.equal(body, String(plain));
    }
    // `fetch` inflates whatever it is given.
    for (const accept of ["gzip", "deflate", "br"]) {
      const { body } = await load(server, "/socket.io/socket.io.min.js", { "Accept-Encoding": accept });
      assert.ok(body.equals(plain), accept);
    }
  });

  test("HEAD tells what GET would", async () => {
    const [get, head] = [await ask(server, { path: "/socket.io/socket.io.js" }), await ask(server, { method: "HEAD", path: "/socket.io/socket.io.js" })];
    assert.deepEqual([head.status, head.body], [200, ""]);
    for (const name of ["etag", "content-type", "cache-control"]) assert.equal(head.headers[name], get.headers[name]);
  });

  test("it can be turned off, and follows the path", async () => {
    const off = await Server.start({ serve_client: false });
    const moved = await Server.start({ path: "/chat" });
    try {
      assert.equal((await ask(off, { path: "/socket.io/socket.io.js" })).status, 400);
      assert.equal((await ask(moved, { path: "/chat/socket.io.js" })).status, 200);
      assert.equal((await ask(moved, { path: "/socket.io/socket.io.js" })).status, 404);
    } finally {
      await off.stop();
      await moved.stop();
    }
  });
});
