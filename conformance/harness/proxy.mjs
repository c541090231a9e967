// A TCP proxy on 127.0.0.1 that holds back what WebSocket connections carry, so that an upgrade takes its time
// while polling goes on at full speed.

import { connect, createServer } from "node:net";

export async function slowWebSockets(port, delay) {
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let held = 0;
    near.once("data", (first) => {
      if (String(first).includes("transport=websocket")) held = delay;
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(from);
      const later = (what) => (held === 0 ? what() : setTimeout(what, held));
      from.on("data", (bytes) => later(() => to.write(bytes)));
      from.on("end", () => later(() => to.end()));
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
