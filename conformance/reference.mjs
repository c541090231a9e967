// The contract of README.md on the official Node server: what the scenarios themselves are checked against.

import { createServer } from "node:http";
import { attach } from "engine.io";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

function camelKeys(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [camel(name), camelKeys(inner)]));
}

const http = createServer((request, response) => {
  if (request.url === "/__stat") {
    const stat = { rss: process.memoryUsage().rss, sessions: io.engine.clientsCount, sockets: io.of("/").sockets.size };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(stat));
  } else if (request.url === "/hello") {
    response.end("hello");
  } else {
    response.statusCode = 404;
    response.end();
  }
});

/** Whether an environment variable of README.md turns something on; undefined if it says nothing. */
const isOn = (name) => (name in process.env ? process.env[name] === "1" : undefined);

/** `{option: value}` or `{option: false}` as the variable says, `{}` if it says nothing. */
function switched(name, option, value) {
  const on = isOn(name);
  return on === undefined ? {} : { [option]: on && value };
}

const { extraHeaders, parser, engine: engineOptions, allowEio3 = isOn("ALLOW_EIO3"), ...options } = camelKeys(JSON.parse(process.env.OPTIONS ?? "{}"));
const io = new Server(http, {
  allowEIO3: allowEio3,
  ...switched("PER_MESSAGE_DEFLATE", "perMessageDeflate", { threshold: 1024 }),
  ...switched("HTTP_COMPRESSION", "httpCompression", { threshold: 1024 }),
  allowRequest: (request, decide) => decide(request.headers["x-refuse"] ?? null, !("x-refuse" in request.headers)),
  ...(parser === "msgpack" && { parser: msgpack }),
  ...options,
});
if (extraHeaders) {
  io.engine.on("initial_headers", (headers) => {
    headers["x-initial"] = "yes";
  });
  io.engine.on("headers", (headers) => {
    headers["x-every"] = "yes";
  });
}

function withAck(args) {
  return typeof args.at(-1) === "function" ? [args.slice(0, -1), args.at(-1)] : [args, () => {}];
}

const pattern = (count) => Buffer.from(Array.from({ length: count }, (_, i) => i % 256));

/** The events that every namespace has. */
function common(namespace, socket) {
  socket.on("echo", (...all) => {
    if (typeof all.at(-1) === "function") {
      const [args, ack] = withAck(all);
      ack(...args);
    } else {
      socket.emit("echo", ...all);
    }
  });
  socket.on("bc", (...args) => socket.broadcast.emit("bc", ...args));
  socket.on("all", (...args) => namespace.emit("all", ...args));
  socket.on("whoami", (ack) => ack(socket.id));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on("leave", (room, ack) => {
    socket.leave(room);
    ack();
  });
  socket.on("room", (room, ...args) => namespace.to(room).emit("room", room, ...args));
  socket.on("others", (room, ...args) => socket.to(room).emit("room", room, ...args));
  socket.on("except", (room, excluded, ...args) => namespace.to(room).except(excluded).emit("room", room, ...args));
  socket.on("to", (id, ...args) => socket.to(id).emit("private", socket.id, ...args));
  socket.on("ask room", (room, limit, event, ...all) => {
    const [args, ack] = withAck(all);
    namespace.to(room).timeout(limit).emit(event, ...args, (error, answers) => ack({ answers, failed: error !== null }));
  });
  socket.on("members", async (room, ack) => ack((await namespace.in(room).fetchSockets()).map(({ id }) => id)));
  socket.on("move", (from, to, ack) => {
    namespace.in(from).socketsJoin(to);
    namespace.in(to).socketsLeave(from);
    ack();
  });
  socket.on("kick", (room) => namespace.in(room).disconnectSockets());
  socket.on("watch", (id, ack) => {
    socket.join(`watching ${id}`);
    ack();
  });
  socket.on("disconnect", (reason) => namespace.to(`watching ${socket.id}`).emit("left", socket.id, reason));
  socket.on("disconnect me", (close) => socket.disconnect(close));
}

/** The events that only the namespace `/` has. */
function main(socket) {
  socket.on("message", (value) => socket.emit("message", value));
  socket.on("ask me", (event, ...all) => {
    const [args, ack] = withAck(all);
    socket.timeout(5000).emit(event, ...args, (error, ...answers) => ack(error ? { error: error.message } : answers));
  });
  socket.on("ask in vain", (ack) => {
    socket.timeout(200).emit("nobody answers", (error) => ack(error !== null));
  });
  socket.on("binary", (count) => socket.emit("binary", pattern(count)));
  socket.on("nested", () => socket.emit("nested", { deep: [{ first: pattern(3) }, pattern(5)], text: "é" }, pattern(0)));
  socket.on("handshake", (ack) => {
    const { headers, query, url, auth, secure, xdomain, address } = socket.handshake;
    ack({ headers, query, url, auth, secure, xdomain, address });
  });
  socket.on("fire", (count) => {
    for (let n = 0; n < count; n += 1) socket.volatile.emit("fired", n);
    socket.emit("fired all", count);
  });
  socket.on("fail", () => {});
  socket.on("volatile me", (...args) => socket.volatile.emit("volatile", ...args));
  socket.on("recovered", (ack) => ack(socket.recovered));
  socket.on("remember", (value, ack) => {
    socket.data.value = value;
    ack();
  });
  socket.on("remembered", (ack) => ack(socket.data.value));

  let numbered = 0;
  let wrong = null;
  socket.on("numbered", (n) => {
    if (n !== numbered && wrong === null) wrong = { expected: numbered, got: n };
    numbered += 1;
  });
  socket.on("numbered total", (ack) => ack({ count: numbered, wrong }));
  socket.on("flood me", async (count, batch) => {
    for (let n = 0; n < count; n += 1) {
      socket.emit("flood", n);
      if (n % batch === batch - 1) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
}

io.on("connection", (socket) => {
  common(io.of("/"), socket);
  main(socket);
  socket.emit("welcome", { id: socket.id }, "two", 3);
});

let asked = 0;
io.of("/admin").use((socket, next) => {
  asked += 1;
  if (socket.handshake.auth?.token === "let me in") return next();
  const error = new Error("not authorised");
  error.data = { code: 4001, hint: "é✓" };
  next(error);
});
io.of("/admin").on("connection", (socket) => {
  common(io.of("/admin"), socket);
  socket.on("asked", (ack) => ack(asked));
  socket.emit("hello", "admin");
});
for (const name of ["/chat", "/custom-ü"]) {
  io.of(name).on("connection", (socket) => common(io.of(name), socket));
}

io.of(/^\/dynamic-\d+$/).on("connection", (socket) => common(socket.nsp, socket));
io.of((name, auth, next) => next(null, name.startsWith("/asked-") && auth.token === "let me in")).on("connection", (socket) =>
  common(socket.nsp, socket),
);
io.of("/guarded").on("connection", (socket) => {
  socket.use(([, first], next) => next(first === "forbidden" ? new Error("forbidden") : undefined));
  common(io.of("/guarded"), socket);
});

const engine = attach(http, { path: "/engine.io", allowEIO3: allowEio3, initialPacket: engineOptions?.initialPacket });
if (engineOptions?.ownIds) {
  engine.generateId = async (request) => {
    const id = new URL(request.url, "http://localhost").searchParams.get("id");
    if (id === null) throw new Error("no id");
    return id;
  };
}
engine.on("connection", (session) => {
  session.on("message", (message) => {
    if (message === "close me") session.close();
    else session.send(message);
  });
});

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
if (process.env.EXIT_WITH_STDIN) process.stdin.on("end", () => process.exit()).resume();
