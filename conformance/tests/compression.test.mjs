// Compression, seen from the bytes on the wire: permessage-deflate by the package `ws` and by browsers, HTTP's own by hand.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { gunzipSync, inflateSync } from "node:zlib";
import { chromium4, nativeChromium } from "../clients/chromium.mjs";
import { nativeNode, node14, node17, node2, node3, node4 } from "../clients/node.mjs";
import { Polling } from "../harness/http.mjs";
import { Peers } from "../harness/peers.mjs";
import { play, Stage } from "../harness/scenario.mjs";
import { isReference, Server } from "../harness/server.mjs";

const limit = { timeout: 20_000 };
const path = "/socket.io/?EIO=4&transport=websocket";
const long = "to and fro ".repeat(10_000);
/** Half the threshold of 1,024 bytes: long enough to see on the wire whether it was compressed. */
const short = "x".repeat(500);
const bytes = (count) => Uint8Array.from({ length: count }, (_, n) => n % 256);

/** A Socket.IO client by hand, in the namespace `/`; `options` are those of `ws`. */
async function join(server, options) {
  const socket = server.rawWebSocket(path, [], options);
  await socket.opened;
  await socket.until((text) => text.startsWith("0"));
  socket.send("40");
  await socket.until((text) => text.includes("welcome"));
  return socket;
}

/** How many bytes the connection carries, each way, while `what` runs. */
async function carried({ socket }, what) {
  // The TCP connection is of no interest to the users of `ws`, so it is a private field there.
  const { bytesRead, bytesWritten } = socket._socket;
  await what();
  return { read: socket._socket.bytesRead - bytesRead, written: socket._socket.bytesWritten - bytesWritten };
}

async function echo(socket, text) {
  socket.send(`42${JSON.stringify(["echo", text])}`);
  assert.equal(await socket.until((message) => message.startsWith("42")), `42${JSON.stringify(["echo", text])}`);
}

/** What `ws` offers, and what must stand in the agreement. */
const offers = [
  { name: "no parameter", offer: true, agreed: [] },
  { name: "no context of the server", offer: { serverNoContextTakeover: true }, agreed: ["server_no_context_takeover"] },
  { name: "no context of the client", offer: { clientNoContextTakeover: true }, agreed: ["client_no_context_takeover"] },
  { name: "a small window of the server", offer: { serverMaxWindowBits: 9 }, agreed: ["server_max_window_bits=9"] },
  { name: "a small window of the client", offer: { clientMaxWindowBits: 10 }, agreed: [] },
  {
    name: "all four",
    offer: { serverNoContextTakeover: true, clientNoContextTakeover: true, serverMaxWindowBits: 11, clientMaxWindowBits: 12 },
    agreed: ["server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=11"],
  },
];

describe("permessage-deflate", () => {
  let server;
  let plain;
  before(async () => {
    [server, plain] = await Promise.all([Server.start({ per_message_deflate: true, cors: { origin: "*" } }), Server.start()]);
  });
  after(() => Promise.all([server?.stop(), plain?.stop()]));

  for (const { name, offer, agreed } of offers) {
    test(`ws offers ${name}: agreed on, and messages go both ways compressed`, limit, async () => {
      const socket = await join(server, { perMessageDeflate: offer });
      assert.equal(socket.socket.extensions, "permessage-deflate");
      const { params } = socket.socket._extensions["permessage-deflate"];
      for (const each of agreed) {
        const [parameter, value] = each.split("=");
        assert.equal(String(params[parameter]), value ?? "true", each);
      }
      // The second time, each side may look back at the first.
      for (let round = 0; round < 2; round += 1) {
        const { read, written } = await carried(socket, () => echo(socket, long));
        assert.ok(read < long.length / 10, `${read} bytes read`);
        assert.ok(written < long.length / 10, `${written} bytes written`);
      }
      socket.close();
    });
  }

  test("ws: what is below the threshold goes as it is", limit, async () => {
    // Where a side may look back at what came before, `ws` compresses whatever it is.
    const offer = { serverNoContextTakeover: true, clientNoContextTakeover: true };
    const socket = await join(server, { perMessageDeflate: offer });
    const { read, written } = await carried(socket, () => echo(socket, short));
    assert.ok(read > short.length && written > short.length, `${read} bytes read, ${written} written`);
    socket.close();
  });

  test("ws: each length around the threshold, and bytes, come back whole", limit, async () => {
    const socket = await join(server, { perMessageDeflate: { threshold: 0 } });
    for (const length of [0, 1, 1_000, 1_023, 1_024, 1_025, 65_535, 65_536, 300_000]) await echo(socket, "é".repeat(length));
    for (const length of [0, 1, 1_024, 70_000]) {
      socket.send('451-["echo",{"_placeholder":true,"num":0}]');
      socket.send(bytes(length));
      await socket.until((message) => String(message).startsWith("451-"));
      assert.deepEqual(await socket.next(), Buffer.from(bytes(length)));
    }
    socket.close();
  });

  test("ws: who sends uncompressed is answered compressed", limit, async () => {
    const socket = await join(server, { perMessageDeflate: true });
    const { read, written } = await carried(socket, async () => {
      socket.socket.send(`42${JSON.stringify(["echo", long])}`, { compress: false });
      await socket.until((message) => message.startsWith("42"));
    });
    assert.ok(read < long.length / 10 && written > long.length, `${read} bytes read, ${written} written`);
    socket.close();
  });

  test("ws: without an offer there is none", limit, async () => {
    const socket = await join(server, { perMessageDeflate: false });
    assert.equal(socket.socket.extensions, "");
    const { read } = await carried(socket, () => echo(socket, long));
    assert.ok(read > long.length, `${read} bytes read`);
    socket.close();
  });

  test("ws: a server with the option off takes no offer", limit, async () => {
    const socket = await join(plain, { perMessageDeflate: true });
    assert.equal(socket.socket.extensions, "");
    await echo(socket, long);
    socket.close();
  });

  test("a broadcast reaches those who compress, in windows of several sizes, and those who do not", limit, async () => {
    const offers = [true, { serverMaxWindowBits: 9 }, { serverMaxWindowBits: 12, serverNoContextTakeover: true }, false];
    const sockets = await Promise.all(offers.map((perMessageDeflate) => join(server, { perMessageDeflate })));
    const polling = await Polling.open(server);
    await polling.join();
    for (const socket of sockets) {
      socket.send('420["join","mixed"]');
      await socket.until((message) => message === "430[]");
    }
    await polling.post('420["join","mixed"]');
    assert.equal((await polling.poll()).body, "430[]");

    const rounds = Array.from({ length: 5 }, (_, n) => `42${JSON.stringify(["room", "mixed", n, long])}`);
    for (const round of rounds) sockets[0].send(round);
    await Promise.all(
      sockets.map(async (socket, at) => {
        const { read } = await carried(socket, async () => {
          for (const round of rounds) assert.equal(await socket.next(), round);
        });
        assert.ok(read < long.length === (offers[at] !== false), `${read} bytes read by offer ${JSON.stringify(offers[at])}`);
        socket.close();
      }),
    );
    let polled = [];
    while (polled.length < rounds.length) polled = polled.concat((await polling.poll()).body.split("\u001e"));
    assert.deepEqual(polled, rounds);
  });
});

describe("permessage-deflate in clients", () => {
  let server;
  let page;
  const agents = [];
  const peers = new Peers();
  before(async () => {
    page = await chromium4.start();
    agents.push(page);
    server = await Server.start({ per_message_deflate: true, cors: { origin: "*" } });
  });
  after(async () => {
    peers.closeAll();
    for (const agent of agents) await agent.run("close", "", []);
    for (const agent of agents) await agent.stop();
    await server?.stop();
  });

  for (const mode of ["websocket", "upgrade"]) {
    test(`socket.io-client 4.8.4 agrees on it by its option, ${mode}`, limit, async () => {
      const peer = await peers.socketIo(server.url, { mode, perMessageDeflate: { threshold: 1024 } });
      const socket = peer.socket.io.engine.transport.ws;
      assert.equal(socket.extensions, "permessage-deflate");
      const { read, written } = await carried({ socket }, async () => assert.deepEqual(await peer.ask("echo", long), [long]));
      assert.ok(read < long.length / 10 && written < long.length / 10, `${read} bytes read, ${written} written`);
      const plainly = await carried({ socket }, () => {
        peer.socket.compress(false).emit("echo", long);
        return peer.next("echo");
      });
      assert.ok(plainly.written > long.length, `${plainly.written} bytes written`);
    });
  }

  test("Chromium's WebSocket agrees on it, and echoes come back whole", limit, async () => {
    const seen = await page.page.evaluate(
      async ([url, text]) => {
        const socket = new WebSocket(url);
        const messages = [];
        let wake = () => {};
        socket.onmessage = ({ data }) => {
          messages.push(data);
          wake();
        };
        const until = async (accept) => {
          while (!messages.some(accept)) await new Promise((resolve) => (wake = resolve));
          return messages.find(accept);
        };
        await until((message) => message.startsWith("0"));
        socket.send("40");
        await until((message) => message.includes("welcome"));
        socket.send(`420${JSON.stringify(["echo", text])}`);
        const answer = await until((message) => message.startsWith("430"));
        socket.close();
        return { extensions: socket.extensions, answer };
      },
      [server.url.replace("http", "ws") + path, long],
    );
    assert.match(seen.extensions, /^permessage-deflate/);
    assert.equal(seen.answer, `430${JSON.stringify([long])}`);
  });

  test("a broadcast reaches every generation of clients, whether it compresses or not", limit, async () => {
    const kinds = [node14, node17, node2, node3, node4, chromium4, ...(isReference ? [] : [nativeNode, nativeChromium])];
    const places = [];
    for (const kind of kinds) {
      const agent = await kind.start();
      agents.push(agent);
      places.push(new Stage(kind, "websocket", agent, server));
    }
    const clients = await Promise.all(places.map((stage) => stage.connect("/", { perMessageDeflate: {} })));
    const data = [long, { file: bytes(50_000) }, "end"];
    for (const [at, client] of clients.entries()) {
      await client.emit("all", at, ...data);
      for (const [to, each] of clients.entries()) {
        places[to].equal(await each.next("all"), [at, ...data], `${kinds[to].name} hears ${kinds[at].name}`);
      }
    }
  });
});

// The whole table again, with every message compressed that may be.
const compressing = {
  ...node4,
  name: "socket.io-client 4.8.4 with permessage-deflate",
  modes: ["websocket", "upgrade"],
  client: { perMessageDeflate: { threshold: 0 } },
};
play(compressing, { per_message_deflate: true });

/** A GET whose body stays as it came. */
function get(server, target, headers) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, agent: false, path: target, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

const decoders = { gzip: gunzipSync, deflate: inflateSync, identity: (body) => body };

/** What a request accepts, and the coding of the answer. Brotli is off where nobody has asked for it. */
const codings = [
  { accept: "gzip", expect: "gzip" },
  { accept: "deflate", expect: "deflate" },
  { accept: "gzip, deflate", expect: "gzip" },
  { accept: "gzip;q=0.1, deflate;q=0.9", expect: "deflate" },
  { accept: "gzip;q=0, deflate", expect: "deflate" },
  { accept: "identity", expect: "identity" },
  { accept: "gzip;q=0", expect: "identity" },
  { accept: undefined, expect: "identity" },
  { accept: "br", expect: "identity" },
  { accept: "br, gzip;q=0.5", expect: "gzip" },
];

describe("compression of polling answers", () => {
  let server;
  let plain;
  before(async () => {
    [server, plain] = await Promise.all([Server.start({ http_compression: true }), Server.start()]);
  });
  after(() => Promise.all([server?.stop(), plain?.stop()]));

  async function answerTo(from, text, accept) {
    const polling = await Polling.open(from);
    await polling.join();
    await polling.post(`42${JSON.stringify(["echo", text])}`);
    const answer = await get(from, polling.path, accept ? { "Accept-Encoding": accept } : {});
    const coding = answer.headers["content-encoding"] ?? "identity";
    assert.equal(String(decoders[coding](answer.body)), `42${JSON.stringify(["echo", text])}`);
    return { coding, size: answer.body.length, vary: answer.headers.vary };
  }

  for (const { accept, expect } of codings) {
    test(`${accept ? `accept-encoding: ${accept}` : "no accept-encoding"} → ${expect}`, limit, async () => {
      const { coding, size } = await answerTo(server, long, accept);
      assert.equal(coding, expect);
      assert.equal(size < long.length / 10, coding !== "identity", `${size} bytes`);
    });
  }

  test("an answer below the threshold goes as it is", limit, async () => {
    assert.equal((await answerTo(server, short, "gzip")).coding, "identity");
  });

  test("a server with the option off compresses nothing", limit, async () => {
    assert.equal((await answerTo(plain, long, "gzip, deflate, br")).coding, "identity");
  });

  test("caches are told that the answer depends on the header", limit, async () => {
    const { vary = "" } = await answerTo(server, long, "gzip");
    assert.equal(/accept-encoding/i.test(vary), !isReference);
  });
});

describe("compression of polling answers in Chromium", () => {
  let server;
  let page;
  before(async () => {
    page = await chromium4.start();
    server = await Server.start({ http_compression: true, cors: { origin: "*" } });
  });
  after(async () => {
    await page?.stop();
    await server?.stop();
  });

  test("a client that polls gets compressed answers, and reads them", limit, async () => {
    const codings = [];
    page.page.on("response", (response) => codings.push(response.headers()["content-encoding"]));
    const client = await new Stage(chromium4, "polling", page, server).connect();
    assert.deepEqual(await client.call("echo", long, "é".repeat(1_000)), [long, "é".repeat(1_000)]);
    assert.ok(codings.includes("gzip") || codings.includes("br"), `${codings}`);
  });
});
