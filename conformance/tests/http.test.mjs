// What plain HTTP sees: handshakes, every refused request, CORS, cookie, headers, foreign routes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ask, askSlowly, check, expectationOf, Polling } from "../harness/http.mjs";
import { isReference, Server } from "../harness/server.mjs";

const limit = { timeout: 20_000 };
const error = (code, message) => ({
  status: code === 4 ? 403 : 400,
  body: JSON.stringify({ code, message }),
  headers: { "content-type": "application/json" },
});
/** A refused upgrade gets its message as text, and the connection ends. */
const refusedUpgrade = (status, message) => ({
  status,
  body: message,
  headers: { "content-type": /^text\/html/i, "content-length": String(message.length), connection: "close" },
});
const polling = "/socket.io/?EIO=4&transport=polling";
const websocket = "/socket.io/?EIO=4&transport=websocket";
const methods = ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];

/** Requests without a session. */
const refused = [
  { name: "no query", request: { path: "/socket.io/" }, expect: error(0, "Transport unknown") },
  { name: "no transport", request: { path: "/socket.io/?EIO=4" }, expect: error(0, "Transport unknown") },
  { name: "an unknown transport", request: { path: "/socket.io/?EIO=4&transport=flash" }, expect: error(0, "Transport unknown") },
  {
    name: "a transport in capitals",
    request: { path: "/socket.io/?EIO=4&transport=POLLING" },
    expect: error(0, "Transport unknown"),
  },
  {
    name: "a transport named as a property of every object",
    request: { path: "/socket.io/?EIO=4&transport=constructor" },
    expect: error(0, "Transport unknown"),
  },
  {
    name: "webtransport over HTTP",
    request: { path: "/socket.io/?EIO=4&transport=webtransport" },
    expect: error(0, "Transport unknown"),
  },
  { name: "a client of 0.9", request: { path: "/socket.io/1/?t=1" }, expect: error(0, "Transport unknown") },
  {
    name: "an unknown sid",
    request: { path: `${polling}&sid=aaaaaaaaaaaaaaaaaaaa` },
    expect: error(1, "Session ID unknown"),
  },
  {
    name: "an unknown sid in a POST",
    request: { path: `${polling}&sid=aaaaaaaaaaaaaaaaaaaa`, method: "POST", body: "40" },
    expect: error(1, "Session ID unknown"),
  },
  { name: "a POST without a sid", request: { path: polling, method: "POST", body: "40" }, expect: error(2, "Bad handshake method") },
  ...methods.map((method) => ({
    name: `${method} without a sid`,
    request: { path: polling, method },
    expect: { ...error(2, "Bad handshake method"), ...(method === "HEAD" ? { body: "" } : {}) },
  })),
  { name: "websocket without an upgrade", request: { path: websocket }, expect: error(3, "Bad request") },
  {
    name: "a refusal of allow_request",
    request: { path: polling, headers: { "X-Refuse": "not today" } },
    expect: error(4, "not today"),
  },
  {
    name: "EIO 3 where it is not allowed",
    request: { path: "/socket.io/?EIO=3&transport=polling" },
    expect: error(5, "Unsupported protocol version"),
  },
  { name: "no EIO", request: { path: "/socket.io/?transport=polling" }, expect: error(5, "Unsupported protocol version") },
  { name: "EIO 5", request: { path: "/socket.io/?EIO=5&transport=polling" }, expect: error(5, "Unsupported protocol version") },
];

/** Upgrades that are refused, before any 101. */
const refusedUpgrades = [
  {
    name: "an unknown transport",
    request: { path: "/socket.io/?EIO=4&transport=flash" },
    expect: refusedUpgrade(400, "Transport unknown"),
  },
  {
    name: "an unknown sid",
    request: { path: `${websocket}&sid=aaaaaaaaaaaaaaaaaaaa` },
    expect: refusedUpgrade(400, "Session ID unknown"),
  },
  {
    name: "the transport polling",
    request: { path: polling },
    expect: refusedUpgrade(400, "Bad request"),
    reference: { status: 101, body: "", headers: {} },
  },
  {
    name: "EIO 3 where it is not allowed",
    request: { path: "/socket.io/?EIO=3&transport=websocket" },
    expect: refusedUpgrade(400, "Unsupported protocol version"),
    reference: { status: 101, body: "", headers: {} },
  },
  {
    name: "a refusal of allow_request",
    request: { path: websocket, headers: { "X-Refuse": "not today" } },
    expect: refusedUpgrade(403, "not today"),
    reference: { status: 400 },
  },
  {
    name: "a key that is none",
    request: { path: websocket, headers: { "Sec-WebSocket-Key": "short" } },
    expect: { status: 400 },
  },
  {
    name: "WebSocket version 12",
    request: { path: websocket, headers: { "Sec-WebSocket-Version": "12" } },
    expect: { status: 426, headers: { "sec-websocket-version": /13/ } },
    reference: { status: 400 },
  },
];

describe("HTTP", () => {
  let server;
  before(async () => {
    server = await Server.start({ allow_eio3: false });
  });
  after(() => server?.stop());

  for (const entry of refused) {
    test(`refused: ${entry.name}`, limit, async () => check(await ask(server, entry.request), expectationOf(entry)));
  }

  for (const entry of refusedUpgrades) {
    test(`refused upgrade: ${entry.name}`, limit, async () => {
      check(await ask(server, { ...entry.request, upgrade: true }), expectationOf(entry));
    });
  }

  test("handshake: the open packet has its keys in order, and its headers", limit, async () => {
    const answer = await ask(server, { path: polling });
    check(answer, {
      status: 200,
      body: /^0\{"sid":"[\w-]{20}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/,
      headers: {
        "content-type": "text/plain; charset=UTF-8",
        "content-length": String(answer.body.length),
        "cache-control": "no-store",
        "set-cookie": null,
        "access-control-allow-origin": null,
        "x-xss-protection": null,
      },
    });
  });

  test("handshake: what is below the path is served as well", limit, async () => {
    check(await ask(server, { path: "/socket.io/deeper?EIO=4&transport=polling" }), { status: 200, body: /^0\{/ });
  });

  test("handshake: old Internet Explorers get their header", limit, async () => {
    const headers = { "User-Agent": "Mozilla/5.0 (Windows NT 6.1; Trident/7.0)" };
    check(await ask(server, { path: polling, headers }), { status: 200, headers: { "x-xss-protection": "0" } });
  });

  test("foreign routes are the application's", limit, async () => {
    check(await ask(server, { path: "/hello" }), { status: 200, body: "hello" });
    for (const path of ["/nothing", "/socket.iox", "/socket.io?EIO=4&transport=polling", "/"]) {
      check(await ask(server, { path }), { status: 404 });
    }
  });

  test("session: a POST is answered ok", limit, async () => {
    const session = await Polling.open(server);
    check(await session.post("40"), {
      status: 200,
      body: "ok",
      headers: { "content-type": "text/html", "content-length": "2", "cache-control": "no-store" },
    });
  });

  test("session: packets that wait come in one answer, parted by 0x1E", limit, async () => {
    const session = await Polling.open(server);
    await session.join();
    await session.post('42["echo",1]\u001e42["echo","é"]');
    let body = "";
    while (!body.includes("é")) body += `${body && "\u001e"}${(await session.poll()).body}`;
    assert.deepEqual(body.split("\u001e").slice(-2), ['42["echo",1]', '42["echo","é"]']);
  });

  test("session: bytes are base64 in a POST and in an answer", limit, async () => {
    const session = await Polling.open(server);
    await session.join();
    await session.post('451-["echo",{"_placeholder":true,"num":0}]\u001ebAQID');
    const { body } = await session.poll();
    assert.equal(body, '451-["echo",{"_placeholder":true,"num":0}]\u001ebAQID');
  });

  for (const method of methods) {
    test(`session: ${method} is not allowed and does it no harm`, limit, async () => {
      const session = await Polling.open(server);
      const answer = await ask(server, { method, path: session.path });
      check(answer, isReference ? { status: 500, body: "" } : { status: 405, body: "", headers: { allow: "GET, POST" } });
      assert.ok(await session.isOpen());
    });
  }

  test("session: octet-stream is refused and ends it", limit, async () => {
    const session = await Polling.open(server);
    check(await session.post("40", { "Content-Type": "application/octet-stream" }), { status: 400, body: "" });
    assert.ok(!(await session.isOpen()));
  });

  test("session: a POST at the limit is taken, over it 413 and the end", limit, async () => {
    const session = await Polling.open(server);
    await session.join();
    check(await session.post(`42["x","${"a".repeat(1_000_000 - 10)}"]`), { status: 200, body: "ok" });
    check(await session.post(`42["x","${"a".repeat(1_000_000 - 9)}"]`), { status: 413, body: "" });
    assert.equal(await session.isOpen(), isReference);
  });

  for (const [name, body] of [
    ["an unknown packet type", "9"],
    ["an empty packet", "3\u001e\u001e3"],
    ["text", "hello"],
  ]) {
    test(`session: a POST with ${name} is refused and ends it`, limit, async () => {
      const session = await Polling.open(server);
      check(await session.post(body), isReference ? { status: 200, body: "ok" } : error(3, "Bad request"));
      assert.ok(!(await session.isOpen()));
    });
  }

  test("session: two polls at once end it", limit, async () => {
    const session = await Polling.open(server);
    const first = session.poll();
    const second = await session.poll();
    const answers = [await first, second].sort((a, b) => a.status - b.status);
    check(answers[0], { status: 200, body: "1" });
    check(answers[1], { status: 400, body: "" });
    assert.ok(!(await session.isOpen()));
  });

  test("session: two POSTs at once end it", limit, async () => {
    const session = await Polling.open(server);
    const slow = askSlowly(server, { path: session.path, headers: { "Content-Length": "2" }, first: "4" });
    // The first is known to be under way when the second is refused; until then they do not meet.
    let second;
    do second = await session.post("3");
    while (second.status === 200);
    check(second, { status: 400, body: "" });
    slow.abort();
    assert.ok(!(await session.isOpen()));
  });

  test("session: a close packet ends it, and a waiting poll with it", limit, async () => {
    const session = await Polling.open(server);
    const poll = session.poll();
    check(await session.post("1"), { status: 200, body: "ok" });
    const { status, body } = await poll;
    assert.ok((status === 200 && ["6", "1", ""].includes(body)) || status === 400, `${status} ${body}`);
    assert.ok(!(await session.isOpen()));
  });

  test("session: websocket without an upgrade is refused and does it no harm", limit, async () => {
    const session = await Polling.open(server);
    check(await ask(server, { path: `${websocket}&sid=${session.sid}` }), error(3, "Bad request"));
    assert.ok(await session.isOpen());
  });

  test("session: an upgrade with another EIO is refused and does it no harm", limit, async () => {
    const session = await Polling.open(server);
    const path = `/socket.io/?EIO=3&transport=websocket&sid=${session.sid}`;
    check(await ask(server, { path, upgrade: true }), refusedUpgrade(400, "Bad request"));
    assert.ok(await session.isOpen());
  });

  test("session: polling after the upgrade is refused", limit, async () => {
    const session = await Polling.open(server);
    const socket = server.rawWebSocket(`${websocket}&sid=${session.sid}`);
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    socket.send("5");
    socket.send("40");
    assert.match(await socket.next(), /^40\{"sid":"[\w-]{20}"\}$/);
    check(await session.poll(), error(3, "Bad request"));
    check(await session.post("3"), error(3, "Bad request"));
    const second = await ask(server, { path: `${websocket}&sid=${session.sid}`, upgrade: true });
    check(second, isReference ? { status: 101 } : refusedUpgrade(400, "Bad request"));
    socket.send('42["echo","alive"]');
    assert.equal(await socket.until((text) => text.includes("echo")), '42["echo","alive"]');
    socket.close();
  });

  test("session: a poll that waits is released by the probe", limit, async () => {
    const session = await Polling.open(server);
    const poll = session.poll();
    const socket = server.rawWebSocket(`${websocket}&sid=${session.sid}`);
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    check(await poll, { status: 200, body: "6" });
    socket.close();
  });
});

describe("HTTP with options", () => {
  const preflight = { "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-token" };

  async function withServer(options, body) {
    const server = await Server.start(options);
    try {
      await body(server);
    } finally {
      await server.stop();
    }
  }

  test("cors: any origin", limit, () =>
    withServer({ cors: { origin: "*" } }, async (server) => {
      const headers = { Origin: "http://a.example" };
      const allowed = { "access-control-allow-origin": "*", "access-control-allow-credentials": null };
      check(await ask(server, { path: polling, headers }), { status: 200, headers: { ...allowed, vary: null } });
      check(await ask(server, { path: "/socket.io/", headers }), { status: 400, headers: allowed });
      check(await ask(server, { path: websocket, headers, upgrade: true }), { status: 101, headers: allowed });
      check(await ask(server, { method: "OPTIONS", path: polling, headers: { ...headers, ...preflight } }), {
        status: 204,
        body: "",
        headers: {
          ...allowed,
          "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
          "access-control-allow-headers": "content-type,x-token",
          vary: "Access-Control-Request-Headers",
          // RFC 9110 §8.6 forbids it in a 204; the reference sends it.
          "content-length": isReference ? "0" : null,
        },
      });
    }));

  test("cors: a list of origins, with credentials", limit, () =>
    withServer({ cors: { origin: ["http://a.example", "http://b.example"], credentials: true } }, async (server) => {
      const of = (origin) => ({ path: polling, headers: { Origin: origin } });
      for (const origin of ["http://a.example", "http://b.example"]) {
        check(await ask(server, of(origin)), {
          status: 200,
          headers: { "access-control-allow-origin": origin, "access-control-allow-credentials": "true", vary: "Origin" },
        });
      }
      const session = await Polling.open(server);
      check(await ask(server, { path: session.path, method: "POST", body: "40", headers: { Origin: "http://b.example" } }), {
        status: 200,
        headers: { "access-control-allow-origin": "http://b.example" },
      });
      check(await ask(server, of("http://c.example")), {
        status: 200,
        headers: { "access-control-allow-origin": null, vary: "Origin" },
      });
      check(await ask(server, { ...of("http://b.example"), method: "OPTIONS" }), {
        status: 204,
        headers: { "access-control-allow-origin": "http://b.example", vary: /^Origin, ?Access-Control-Request-Headers$/ },
      });
    }));

  test("origins: others are refused, on polling and on WebSocket", { ...limit, skip: isReference && "Patera's own option" }, () =>
    withServer({ origins: ["http://a.example"] }, async (server) => {
      for (const origin of [undefined, "http://a.example"]) {
        const headers = origin ? { Origin: origin } : {};
        check(await ask(server, { path: polling, headers }), { status: 200 });
        check(await ask(server, { path: websocket, headers, upgrade: true }), { status: 101 });
      }
      const headers = { Origin: "http://b.example" };
      check(await ask(server, { path: polling, headers }), { status: 403, body: /^\{"code":4,/ });
      check(await ask(server, { path: websocket, headers, upgrade: true }), { status: 403 });
      check(await ask(server, { path: "/ws", headers, upgrade: true }), { status: 403 });
    }));

  test("cookie: it comes with the first polling answer, and only there", limit, () =>
    withServer({ cookie: { name: "io", path: "/", http_only: true, same_site: "lax", max_age: 86400 } }, async (server) => {
      const answer = await ask(server, { path: polling });
      const { sid } = JSON.parse(answer.body.slice(1));
      const parts = answer.headers["set-cookie"][0].split("; ");
      assert.equal(parts[0], `io=${sid}`);
      assert.deepEqual(parts.slice(1).sort(), ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax"]);
      const path = `${polling}&sid=${sid}`;
      check(await ask(server, { path, method: "POST", body: "40" }), { status: 200, headers: { "set-cookie": null } });
      check(await ask(server, { path: websocket, upgrade: true }), { status: 101, headers: { "set-cookie": null } });
    }));

  test("hooks: initial headers on the first answer, headers on every one", limit, () =>
    withServer({ extra_headers: true }, async (server) => {
      const first = await ask(server, { path: polling });
      check(first, { status: 200, headers: { "x-initial": "yes", "x-every": "yes" } });
      const path = `${polling}&sid=${JSON.parse(first.body.slice(1)).sid}`;
      const later = { status: 200, headers: { "x-initial": null, "x-every": "yes" } };
      check(await ask(server, { path, method: "POST", body: "40" }), later);
      check(await ask(server, { path }), later);
      check(await ask(server, { path: websocket, upgrade: true }), {
        status: 101,
        headers: { "x-initial": "yes", "x-every": "yes" },
      });
    }));

  test("transports: one that is off is unknown", limit, () =>
    withServer({ transports: ["polling"] }, async (server) => {
      // The reference hangs up without an answer.
      const upgrade = ask(server, { path: websocket, upgrade: true });
      if (isReference) await assert.rejects(upgrade);
      else check(await upgrade, refusedUpgrade(400, "Transport unknown"));
      check(await ask(server, { path: polling }), { status: 200, body: /"upgrades":\[\]/ });
    }));

  test("allow_upgrades: off, none is offered and none is taken", limit, () =>
    withServer({ allow_upgrades: false }, async (server) => {
      check(await ask(server, { path: polling }), { status: 200, body: /"upgrades":\[\]/ });
      const session = await Polling.open(server);
      const answer = await ask(server, { path: `${websocket}&sid=${session.sid}`, upgrade: true });
      check(answer, isReference ? { status: 101 } : refusedUpgrade(400, "Bad request"));
      check(await ask(server, { path: websocket, upgrade: true }), { status: 101 });
    }));

  test("path: another one is served, and the usual one is not", limit, () =>
    withServer({ path: "/elsewhere" }, async (server) => {
      check(await ask(server, { path: "/elsewhere/?EIO=4&transport=polling" }), { status: 200, body: /^0\{/ });
      check(await ask(server, { path: polling }), { status: 404 });
    }));
});
