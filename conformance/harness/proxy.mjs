// TCP proxies on 127.0.0.1: one holds back what WebSocket connections carry, so that an upgrade takes its time while
// polling goes on at full speed; the other breaks its links when it is told to.

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

function beginsSession(request) {
  return /^GET (?!.*sid=)/.test(request);
}

/** A TCP proxy on 127.0.0.1 whose links break when they are told to. */
export async function breakableLink(port) {
  const links = new Set();
  let accepts = true;
  let stalls = false;
  /** How many bytes more may pass in a direction before the link is cut; undefined for any. */
  const left = { down: undefined, up: undefined };

  function pass(link, from, to, direction) {
    from.on("data", (bytes) => {
      if (link.stalls) {
        // A browser may ask for its next session on a connection that it has kept; it takes another when that one ends.
        if (from === link.near && beginsSession(bytes)) link.cut();
        return;
      }
      if (left[direction] !== undefined && left[direction] < bytes.length) {
        to.write(bytes.subarray(0, left[direction]), () => link.cut());
        left[direction] = undefined;
        link.stalls = true;
        return;
      }
      if (left[direction] !== undefined) left[direction] -= bytes.length;
      to.write(bytes);
    });
    from.on("end", () => link.stalls || to.end());
    from.on("error", () => link.stalls || to.destroy());
  }

  const server = createServer((near) => {
    if (!accepts) return near.destroy();
    const far = connect(port, "127.0.0.1");
    const link = { near, far, stalls: false };
    near.once("data", (first) => {
      // A session that begins goes by a sound way; the requests of one that has stalled do not.
      if (beginsSession(first)) stalls = false;
      link.stalls ||= stalls;
    });
    link.cut = () => {
      near.destroy();
      far.destroy();
      links.delete(link);
    };
    links.add(link);
    pass(link, near, far, "up");
    pass(link, far, near, "down");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const each = (what) => [...links].forEach(what);
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** New connections are closed at once, until `accept`. */
    refuse: () => (accepts = false),
    accept: () => (accepts = true),
    /** Ends all links, for both sides. */
    cut: () => each((link) => link.cut()),
    /** Until a new session begins, the links swallow everything, and nobody is told. */
    stall: () => {
      stalls = true;
      each((link) => (link.stalls = true));
    },
    /** Ends them for the clients alone: the server takes them for sound. */
    cutClients: () =>
      each((link) => {
        link.stalls = true;
        link.near.destroy();
      }),
    /** Cuts a link in the middle of what passes, after so many bytes. */
    cutAfter: (bytes, direction) => (left[direction] = bytes),
    hold: () => (left.down = left.up = undefined),
    close: () => {
      server.close();
      each((link) => link.cut());
    },
  };
}
