// The benchmark's server on the official socket.io: the five handlers of bench/README.md, registered as its guide does.

import { createServer } from "node:http";

import { Server } from "socket.io";

const options = {};
if (process.env.PING_INTERVAL) options.pingInterval = Number(process.env.PING_INTERVAL);

const http = createServer();
const io = new Server(http, options);

io.on("connection", (socket) => {
  socket.on("echo", (x) => socket.emit("echo", x));
  socket.on("ack", (x, done) => done(x));
  socket.on("pub", (x) => io.emit("pub", x));
  socket.on("join", (room, done) => {
    socket.join(room);
    done?.();
  });
  socket.on("room", (room, x) => io.to(room).emit("room", x));
});

http.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
