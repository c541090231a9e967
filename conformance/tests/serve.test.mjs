// `patera serve`: its demo's events over Socket.IO and plain WebSockets side by side, what it serves beside them, its
// command line and its end. The page itself is tested in page/.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { after, afterEach, before, describe, test } from "node:test";
import { ask, check, Polling } from "../harness/http.mjs";
import { Peers, transportsOf } from "../harness/peers.mjs";
import { isMissing, Program } from "../harness/program.mjs";
import { RawWebSocket } from "../harness/server.mjs";
import { WebSocket } from "ws";

const limit = { timeout: 30_000 };
const modes = Object.keys(transportsOf);
const peers = new Peers();
const serve = (...args) => Program.serve("patera", ["serve", "--port", "0", ...args]);

/** Runs the program to its end: what it said and its exit code. */
async function run(...args) {
  const program = new Program("patera", args);
  try {
    const { code } = await program.exited;
    return { code, stdout: program.output("stdout"), stderr: program.output("stderr") };
  } finally {
    await program.stop();
  }
}

describe("patera serve: the demo's events", { skip: isMissing }, () => {
  let server;
  let fences = 0;
  before(async () => {
    server = await serve();
  });
  afterEach(() => peers.closeAll());
  after(() => server?.stop());

  /** A Socket.IO client, a plain WebSocket, and one more of each that stands by. */
  async function everyone(mode) {
    const client = await peers.socketIo(server.url, { mode });
    const plain = await peers.native(server.url);
    const bystander = await peers.socketIo(server.url, { mode });
    const plainBystander = await peers.native(server.url);
    return { client, plain, bystander, plainBystander, all: [client, plain, bystander, plainBystander] };
  }

  /** After this, whatever `sender` has caused before has arrived everywhere. */
  async function settle(sender, all) {
    fences += 1;
    sender.emit("sendMessageToServer", { fence: fences });
    for (const peer of all) await until(peer, "sendMessageToAllClient", (data) => data?.fence === fences);
  }

  /** Skips to the next event of this name whose first argument `accept` takes. */
  async function until(peer, event, accept) {
    let data;
    do [data] = await peer.next(event);
    while (!accept(data));
  }

  for (const mode of modes) {
    test(`${mode}: a public message reaches everyone`, limit, async () => {
      const { client, plain, all } = await everyone(mode);
      for (const sender of [client, plain]) {
        for (const data of [{ name: "Loki", text: "naïve 🌋", deep: [1, [null, true]] }, "a string", 7, 0.1, -1e300, 2 ** 53, null, [], ["a", "b"]]) {
          sender.emit("sendMessageToServer", data);
          for (const peer of all) assert.deepEqual(await peer.next("sendMessageToAllClient"), [data]);
        }
      }
    });

    test(`${mode}: a message to one id reaches that one`, limit, async () => {
      const { client, plain, bystander, plainBystander, all } = await everyone(mode);
      for (const [sender, target] of [[client, plain], [plain, client], [client, bystander], [plain, plainBystander], [client, client]]) {
        const data = { toId: target.id, from: sender.id, text: "psst" };
        sender.emit("sendMessageToOne", data);
        assert.deepEqual(await target.next("getMessage"), [data]);
      }
      client.emit("sendMessageToOne", { toId: "nobody-has-this-id00" });
      client.emit("sendMessageToOne", { text: "to whom?" });
      plain.emit("sendMessageToOne", "no object");
      await settle(client, all);
      await settle(plain, all);
      for (const peer of all) assert.equal(peer.waiting("getMessage"), 0);
    });

    test(`${mode}: a private message is acknowledged with whether its receiver was there`, limit, async () => {
      const { client, plain, all } = await everyone(mode);
      for (const [sender, target] of [[client, plain], [plain, client]]) {
        const message = { text: `from ${sender.id}` };
        assert.deepEqual(await sender.ask("private message", sender.id, target.id, message), [true]);
        assert.deepEqual(await target.next("private message"), [sender.id, target.id, message]);
        assert.deepEqual(await sender.ask("private message", sender.id, "nobody-has-this-id00", message), [false]);
      }
      client.emit("private message", "anybody", plain.id, "not acknowledged");
      assert.deepEqual(await plain.next("private message"), ["anybody", plain.id, "not acknowledged"]);
      await settle(client, all);
      for (const peer of all) assert.equal(peer.waiting("private message"), 0);
    });

    test(`${mode}: a room's messages reach those who joined it`, limit, async () => {
      const { client, plain, bystander, plainBystander, all } = await everyone(mode);
      const room = `tea ☕ ${mode}`;
      for (const peer of [client, plain]) assert.deepEqual(await peer.ask("join", room), []);
      for (const sender of [client, plain, bystander, plainBystander]) {
        const data = { from: sender.id, text: "in here" };
        sender.emit("sendMessageToRoom", room, data);
        for (const peer of [client, plain]) assert.deepEqual(await peer.next("roomMessage"), [room, data]);
      }
      for (const peer of [client, plain]) {
        assert.deepEqual(await peer.ask("leave", room), []);
        assert.deepEqual(await bystander.ask("sendMessageToRoom", room, "too late"), []);
      }
      assert.deepEqual(await plain.next("roomMessage"), [room, "too late"]);
      await settle(client, all);
      for (const peer of all) assert.equal(peer.waiting("roomMessage"), 0);
    });

    test(`${mode}: what is sent comes back to its sender: message, and echo as an acknowledgement`, limit, async () => {
      const { client, plain, all } = await everyone(mode);
      for (const peer of [client, plain]) {
        for (const data of ["hello", ["a", "b"], { n: 1 }]) {
          peer.emit("message", data);
          assert.deepEqual(await peer.next("message"), [data]);
          assert.deepEqual(await peer.ask("echo", data), [data]);
        }
        assert.deepEqual(await peer.ask("sendMessageToServer", "acknowledged"), []);
      }
      await settle(client, all);
      for (const peer of all) assert.equal(peer.waiting("message"), 0);
    });

    test(`${mode}: a client that lost its connection gets what it missed, and the others are told`, limit, async () => {
      const { client, plain, all } = await everyone(mode);
      await client.ask("join", "lobby");
      await settle(client, all);
      client.socket.io.reconnection(true).reconnectionDelay(10);
      client.socket.io.engine.close();
      assert.equal(await client.closed, "forced close");
      await until(plain, "pub", (text) => text.startsWith(`${client.id} left`));
      await plain.ask("sendMessageToServer", "to all");
      await plain.ask("sendMessageToRoom", "lobby", "to the room");
      assert.deepEqual(await client.next("sendMessageToAllClient"), ["to all"]);
      assert.deepEqual(await client.next("roomMessage"), ["lobby", "to the room"]);
      await until(plain, "pub", (text) => text === `${client.id} is back`);
      assert.deepEqual([client.socket.id, client.socket.recovered], [client.id, true]);
      assert.equal(client.waiting("news"), 1, "it was told once");
    });

    test(`${mode}: news comes at connect, and what answers it is logged`, limit, async () => {
      const { client, plain } = await everyone(mode);
      for (const peer of [client, plain]) {
        assert.deepEqual(await peer.next("news"), [{ hello: "world" }]);
        peer.emit("my other event", { my: "data", of: peer.id });
        const [line] = await server.said("stderr", new RegExp(`^.*my other event.*"of":"${peer.id}".*$`));
        assert.match(line, /INFO/);
        assert.match(line, new RegExp(`socket="?${peer.id}`));
      }
    });

    test(`${mode}: the others are told who joins and who leaves`, limit, async () => {
      const watchers = [await peers.socketIo(server.url, { mode }), await peers.native(server.url)];
      const told = async (pattern) => {
        for (const watcher of watchers) await until(watcher, "pub", (text) => pattern.test(text));
      };
      for (const connect of [() => peers.socketIo(server.url, { mode }), () => peers.native(server.url)]) {
        const guest = await connect();
        await told(new RegExp(`^${guest.id} joined$`));
        assert.deepEqual(await guest.next("pub"), [`${guest.id} joined`]);
        guest.close();
        await told(new RegExp(`^${guest.id} left: \\S`));
        await server.said("stderr", new RegExp(`left.*${guest.id}`));
      }
    });
  }

  test("the server counts once a second, the same for everyone", limit, async () => {
    const all = [await peers.native(server.url)];
    for (const mode of modes) all.push(await peers.socketIo(server.url, { mode }));
    // Who came first was told more: all are compared from what the last one was told first.
    const last = all.pop();
    const [first] = await last.next("getServerMessage");
    const start = performance.now();
    assert.ok(Number.isSafeInteger(first));
    for (const peer of all) await until(peer, "getServerMessage", (number) => number === first);
    for (const peer of [last, ...all]) {
      assert.deepEqual(await peer.next("getServerMessage"), [first + 1]);
      assert.deepEqual(await peer.next("getServerMessage"), [first + 2]);
    }
    assert.ok(performance.now() - start > 1_000, "two numbers take two seconds");
  });

  test("a plain WebSocket without the subprotocol gets the same events as JSON", limit, async () => {
    const raw = await peers.raw(server.url);
    const client = await peers.socketIo(server.url);
    client.emit("sendMessageToServer", "to all");
    let message;
    do message = JSON.parse(await raw.next("message"));
    while (message.event !== "sendMessageToAllClient");
    assert.deepEqual(message, { event: "sendMessageToAllClient", args: ["to all"] });
  });

  test("bytes go from one kind of client to the other", limit, async () => {
    const [client, plain] = [await peers.socketIo(server.url), await peers.native(server.url)];
    client.emit("sendMessageToServer", { image: Buffer.from([1, 2]) });
    assert.deepEqual(await plain.next("sendMessageToAllClient"), [{ image: { base64: "AQI=" } }]);
    plain.emit("sendMessageToServer", { image: { base64: "AQI=" } });
    for (let n = 0; n < 2; n += 1) {
      assert.deepEqual(await client.next("sendMessageToAllClient"), [{ image: Buffer.from([1, 2]) }]);
    }
  });

  test("wrong arguments end no connection", limit, async () => {
    const { client, plain, all } = await everyone("upgrade");
    const rooms = [[], [7], [{}], ["x".repeat(2_000)]];
    for (const peer of [client, plain]) {
      for (const args of rooms) {
        const [answer] = await peer.ask("join", ...args);
        assert.equal(typeof answer.error, "string", JSON.stringify(args).slice(0, 40));
        if (typeof args[0] !== "string") assert.equal(typeof (await peer.ask("leave", ...args))[0].error, "string");
      }
      for (const event of ["sendMessageToServer", "sendMessageToOne", "private message", "sendMessageToRoom", "no such event"]) peer.emit(event);
      await settle(peer, all);
    }
  });
});

describe("patera serve: HTTP", { skip: isMissing }, () => {
  let server;
  before(async () => {
    server = await serve();
  });
  after(() => server?.stop());

  const types = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" };
  const fileOf = (name) => readFileSync(new URL(`../../crates/patera-cli/page/${name}`, import.meta.url), "utf8");
  const names = ["index.html", "style.css", "app.js", "chat.js", "connection.js", "dom.js", "log.js", "pictures.js", "logo.svg"];

  for (const name of names) {
    const path = name === "index.html" ? "/" : `/${name}`;
    test(`${path} is served`, limit, async () => {
      check(await ask(server, { path }), {
        status: 200,
        body: fileOf(name),
        headers: {
          "content-type": types[name.split(".").at(-1)],
          "content-security-policy": /^default-src 'none'; script-src 'self'; .*img-src 'self' blob:; connect-src 'self'; .*frame-ancestors 'none'$/,
          "x-content-type-options": "nosniff",
          "cache-control": "no-cache",
        },
      });
    });
  }

  test("whatever the page and its scripts name is served", limit, async () => {
    const found = new Set();
    for (const name of names) {
      for (const [, linked, imported] of fileOf(name).matchAll(/(?:href|src)="(?!#)([^"]+)"|from "\.\/([^"]+)"/g)) found.add(linked ?? imported);
    }
    assert.ok(found.size >= 6, [...found].join());
    for (const path of [...found, "favicon.ico"]) check(await ask(server, { path: `/${path}` }), { status: 200 });
  });

  test("the page loads the client that the server serves", limit, async () => {
    const answer = await ask(server, { path: "/client.js" });
    check(answer, { status: 200, headers: { "content-type": types.js, "cache-control": "no-cache" } });
    const [, script] = /^export \* from "\.(\/socket\.io\/socket\.io\.esm\.min\.js)";\n/.exec(answer.body);
    check(await ask(server, { path: script }), { status: 200, body: /export\{.* as io,/, headers: { "content-type": /javascript/ } });
    assert.match(answer.body, /\nexport const path = new URL\("\.\/socket\.io\/", import\.meta\.url\)\.pathname;\n$/);
  });

  test("/healthz says ok", limit, async () => {
    check(await ask(server, { path: "/healthz" }), { status: 200, body: "ok", headers: { "content-type": /^text\/plain/ } });
    check(await ask(server, { method: "HEAD", path: "/healthz" }), { status: 200, body: "" });
  });

  test("what is not there is 404, and other methods are 405", limit, async () => {
    for (const path of ["/nowhere", "/socket.io", "/page/index.html", "/../Cargo.toml", "/ws/deeper"]) check(await ask(server, { path }), { status: 404 });
    check(await ask(server, { method: "POST", path: "/", body: "x" }), { status: 405 });
    check(await ask(server, { path: "/ws" }), { status: 426 });
  });
});

describe("patera serve: options", { skip: isMissing }, () => {
  afterEach(() => peers.closeAll());

  async function withServer(args, body) {
    const server = await serve(...args);
    try {
      await body(server);
    } finally {
      await server.stop();
    }
  }

  const handshake = (server, origin, more = {}) => ask(server, { path: "/socket.io/?EIO=4&transport=polling", headers: { Origin: origin }, ...more });

  test("without --cors-origin no other origin may read", limit, () => withServer([], async (server) => {
    check(await handshake(server, "https://a.example"), { status: 200, headers: { "access-control-allow-origin": null } });
  }));

  test("--cors-origin '*' lets every origin read", limit, () => withServer(["--cors-origin", "*"], async (server) => {
    const headers = { "access-control-allow-origin": "*", "access-control-allow-credentials": null };
    check(await handshake(server, "https://a.example"), { status: 200, headers });
    check(await handshake(server, "https://a.example", { method: "OPTIONS" }), { status: 204, headers });
  }));

  test("--cors-origin names origins", limit, () => withServer(["--cors-origin", "https://a.example", "--cors-origin", "http://b.example:8080"], async (server) => {
    for (const origin of ["https://a.example", "http://b.example:8080"]) {
      const headers = { "access-control-allow-origin": origin, "access-control-allow-credentials": "true", vary: /origin/i };
      check(await handshake(server, origin), { status: 200, headers });
      check(await handshake(server, origin, { method: "OPTIONS" }), { status: 204, headers });
    }
    for (const origin of ["http://a.example", "https://b.example", "https://a.example.evil.example"]) {
      check(await handshake(server, origin), { status: 200, headers: { "access-control-allow-origin": null } });
    }
  }));

  test("--path moves the Socket.IO endpoint, and is told", limit, () => withServer(["--path", "/real/time"], async (server) => {
    await server.said("stdout", new RegExp(`${server.url}/real/time/`));
    for (const mode of modes) {
      const client = await peers.socketIo(server.url, { mode, path: "/real/time" });
      assert.deepEqual(await client.next("news"), [{ hello: "world" }]);
    }
    const plain = await peers.native(server.url);
    assert.deepEqual(await plain.next("news"), [{ hello: "world" }]);
    check(await ask(server, { path: "/socket.io/?EIO=4&transport=polling" }), { status: 404 });
    const { body } = await ask(server, { path: "/client.js" });
    assert.match(body, /^export \* from "\.\/real\/time\/socket\.io\.esm\.min\.js";\n.*"\.\/real\/time\/"/);
    check(await ask(server, { path: "/real/time/socket.io.esm.min.js" }), { status: 200 });
  }));

  test("--max-http-buffer-size is told to clients, and holds", limit, () => withServer(["--max-http-buffer-size", "5000"], async (server) => {
    const { body } = await ask(server, { path: "/socket.io/?EIO=4&transport=polling" });
    assert.equal(JSON.parse(body.slice(1)).maxPayload, 5000);
    const client = await peers.socketIo(server.url);
    assert.deepEqual(await client.ask("echo", "x".repeat(4_900)), ["x".repeat(4_900)]);
    client.emit("echo", "x".repeat(5_000));
    assert.match(await client.closed, /^transport (close|error)$/);
  }));

  test("--no-recovery gives who comes back a new socket, and events no offset", limit, () => withServer(["--no-recovery"], async (server) => {
    const client = await peers.socketIo(server.url, { reconnection: true, reconnectionDelay: 10 });
    assert.deepEqual(await client.next("news"), [{ hello: "world" }]);
    assert.equal(client.socket._pid, undefined);
    client.socket.io.engine.close();
    assert.deepEqual(await client.next("news"), [{ hello: "world" }]);
    assert.ok(!client.socket.recovered);
    assert.notEqual(client.socket.id, client.id);
  }));

  test("without a subcommand it serves too, and the environment sets what the command line does not", limit, async () => {
    const server = await Program.serve("patera", [], { PATERA_PORT: "0", PATERA_PATH: "/elsewhere" });
    try {
      const client = await peers.socketIo(server.url, { path: "/elsewhere" });
      assert.deepEqual(await client.next("news"), [{ hello: "world" }]);
    } finally {
      await server.stop();
    }
  });

  test("RUST_LOG chooses the log lines", limit, async () => {
    const server = await Program.serve("patera", ["--port", "0"], { RUST_LOG: "off" });
    try {
      const client = await peers.socketIo(server.url);
      // Answered behind the lines that would have been written.
      await client.ask("private message", "", "nobody", "");
      server.signal("SIGTERM");
      await server.exited;
      assert.equal(server.output("stderr"), "");
    } finally {
      await server.stop();
    }
  });
});

describe("patera: command line", { skip: isMissing }, () => {
  test("--help is worth reading", limit, async () => {
    for (const args of [["--help"], ["serve", "--help"]]) {
      const { code, stdout } = await run(...args);
      assert.equal(code, 0);
      const words = ["--host", "--port", "--path", "--cors-origin", "--max-http-buffer-size", "--no-recovery", "/healthz", "/ws", "patera.json", "RUST_LOG", "SIGTERM", "Examples:", "[default: 3000]"];
      for (const word of words) assert.ok(stdout.includes(word), `${args.join(" ")} tells nothing of ${word}`);
    }
  });

  test("--version is a version", limit, async () => {
    const { code, stdout } = await run("--version");
    assert.deepEqual([code, /^patera \d+\.\d+\.\d+/.test(stdout)], [0, true], stdout);
  });

  test("a port that is taken is told, with what to do", limit, async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address();
    try {
      const { code, stdout, stderr } = await run("serve", "--port", `${port}`);
      assert.equal(code, 1);
      assert.equal(stdout, "", "nothing is served");
      assert.match(stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken.*--port`));
    } finally {
      other.close();
    }
  });

  test("an address of another machine is told, with what to do", limit, async () => {
    const { code, stderr } = await run("--host", "192.0.2.1", "--port", "0");
    assert.equal(code, 1);
    assert.match(stderr, /192\.0\.2\.1 is no address of this machine.*--host/);
  });

  const wrong = [
    ["--path", "socket.io", /'socket\.io' for '--path.*slash/],
    ["--path", "", /'--path.*slash|value is required for '--path/],
    ["--path", "//", /'\/\/' for '--path.*slash/],
    ["--path", "/a?b", /'\/a\?b' for '--path/],
    ["--path", "/é", /'\/é' for '--path.*%C3%A9/],
    ["--cors-origin", "example.com", /'example\.com' for '--cors-origin.*https:\/\//],
    ["--cors-origin", "https://example.com/", /'--cors-origin/],
    ["--port", "65536", /'65536' for '--port/],
    ["--max-http-buffer-size", "999", /'999' for '--max-http-buffer-size <BYTES>': it must be a number of bytes from 1000 to 100000000/],
    ["--host", "nowhere", /'nowhere' for '--host/],
  ];
  for (const [option, value, expected] of wrong) {
    test(`${option} ${JSON.stringify(value)} is refused in so many words`, limit, async () => {
      const { code, stdout, stderr } = await run(option, value);
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, expected);
      assert.match(stderr, /--help/);
    });
  }

  test("an unknown option is refused", limit, async () => {
    const { code, stderr } = await run("--no-such-option");
    assert.equal(code, 2);
    assert.match(stderr, /--no-such-option/);
  });
});

describe("patera serve: its end", { skip: isMissing }, () => {
  afterEach(() => peers.closeAll());

  for (const signal of ["SIGTERM", "SIGINT"]) {
    test(`${signal} says goodbye to every client and ends with 0`, limit, async () => {
      const server = await serve();
      try {
        const clients = [];
        for (const mode of modes) clients.push(await peers.socketIo(server.url, { mode }));
        const plain = [await peers.native(server.url), await peers.raw(server.url)];
        const engine = new RawWebSocket(new WebSocket(`ws://127.0.0.1:${server.port}/socket.io/?EIO=4&transport=websocket`));
        await engine.next();
        engine.send("40");
        await engine.until((text) => text.includes("news"));

        const start = performance.now();
        server.signal(signal);
        for (const client of clients) assert.equal(await client.closed, "transport close");
        for (const each of plain) assert.equal(await each.closed, 1001);
        assert.equal((await engine.closed).code, 1001);
        assert.deepEqual(await server.exited, { code: 0, signal: null });
        const seconds = (performance.now() - start) / 1000;
        assert.ok(seconds < 5, `it took ${seconds} s`);
        assert.match(server.output("stderr"), /closing.*sessions=6/);
        assert.match(server.output("stderr"), /closed/);
      } finally {
        await server.stop();
      }
    });
  }

  test("without clients it ends at once", limit, async () => {
    const server = await serve();
    try {
      const start = performance.now();
      server.signal("SIGTERM");
      assert.deepEqual(await server.exited, { code: 0, signal: null });
      assert.ok(performance.now() - start < 2_000);
    } finally {
      await server.stop();
    }
  });

  test("a second signal ends it at once", limit, async () => {
    const server = await serve();
    try {
      // A polling session that nobody polls is waited for.
      await Polling.open(server);
      server.signal("SIGTERM");
      await server.said("stderr", /closing/);
      server.signal("SIGTERM");
      assert.deepEqual(await server.exited, { code: 130, signal: null });
    } finally {
      await server.stop();
    }
  });

  test("clients come back to the next server on the port", limit, async () => {
    const first = await serve();
    let second;
    try {
      const client = await peers.socketIo(first.url, { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
      await client.next("news");
      first.signal("SIGTERM");
      assert.equal(await client.closed, "transport close");
      await first.exited;
      second = await Program.serve("patera", ["--port", `${first.port}`]);
      assert.deepEqual(await client.next("news"), [{ hello: "world" }]);
    } finally {
      await first.stop();
      await second?.stop();
    }
  });
});
