/*! Patera's Socket.IO client 0.1.0 | MIT OR Apache-2.0 */
(function(umd){
"use strict";
(() => {
  // src/timers.ts
  var native = setTimeout;
  function after(delay, options, run) {
    const timer = (options.useNativeTimers ? native : setTimeout)(run, delay);
    if (options.autoUnref) timer.unref?.();
    return timer;
  }

  // src/platform.ts
  var isBytes = (type) => /octet-stream/.test(type ?? "");
  var platform = {
    /** Resolves to whatever the server answers; rejects if it does not. */
    async request({ url, body, options, signal }) {
      const response = await fetch(url, {
        method: body === void 0 ? "GET" : "POST",
        body,
        headers: options.extraHeaders,
        credentials: options.withCredentials ? "include" : "same-origin",
        cache: "no-store",
        signal
      });
      return {
        status: response.status,
        body: await (isBytes(response.headers.get("content-type")) ? response.arrayBuffer() : response.text())
      };
    },
    /** Bytes as they are handed to the user. */
    bytes: (bytes) => bytes,
    webSocket(url, options) {
      return new WebSocket(url, options.protocols ?? []);
    }
  };

  // src/engineio/packet.ts
  var types = ["open", "close", "ping", "pong", "message", "upgrade", "noop"];
  var fault = { type: "error", data: "parser error" };
  function encodeText({ type, data = "" }, version) {
    if (typeof data === "string") return types.indexOf(type) + data;
    return (version < 4 ? "b4" : "b") + toBase64(data);
  }
  function decodeText(text, version) {
    const prefix = version < 4 ? "b4" : "b";
    if (text.startsWith(prefix)) return decodeBase64(text.slice(prefix.length));
    const type = types[text.charCodeAt(0) - 48];
    if (!type) return fault;
    return text.length > 1 ? { type, data: text.slice(1) } : { type };
  }
  function encodeBytes(data, version) {
    if (version > 3) return data;
    const frame = new Uint8Array(data.byteLength + 1);
    frame[0] = 4;
    frame.set(viewOf(data), 1);
    return frame;
  }
  function decodeBytes(data, version) {
    if (version > 3) return { type: "message", data };
    return new Uint8Array(data)[0] === 4 ? { type: "message", data: data.slice(1) } : fault;
  }
  function viewOf(data) {
    return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  }
  function sizeOf(data) {
    if (!data) return 2;
    if (typeof data === "string") return new TextEncoder().encode(data).length + 2;
    return Math.ceil((data.size ?? data.byteLength) / 3) * 4 + 2;
  }
  function toBase64(data) {
    const bytes = viewOf(data);
    let text = "";
    for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    return btoa(text);
  }
  function decodeBase64(text) {
    try {
      const bytes = atob(text);
      return btoa(bytes) === text ? { type: "message", data: Uint8Array.from(bytes, (char) => char.charCodeAt(0)).buffer } : fault;
    } catch {
      return fault;
    }
  }

  // src/engineio/payload.ts
  var separator = "";
  function encodePayload(packets, version) {
    const texts = packets.map((packet) => encodeText(packet, version));
    return version < 4 ? texts.map((text) => `${text.length}:${text}`).join("") : texts.join(separator);
  }
  function decodePayload(body, version) {
    const packets = [];
    for (const each of split(body, version)) {
      const packet = typeof each === "string" ? decodeText(each, version) : decodeBytes(each, version);
      packets.push(packet);
      if (packet.type === "error") break;
    }
    return packets;
  }
  function split(body, version) {
    if (typeof body !== "string") return splitBytes(new Uint8Array(body));
    return version < 4 ? splitByLength(body) : body.split(separator);
  }
  function isVersion3(body) {
    return typeof body !== "string" || /^\d+:0\{/.test(body);
  }
  function splitByLength(text) {
    const texts = [];
    const length = /(0|[1-9]\d{0,8}):/y;
    let at = 0;
    do {
      length.lastIndex = at;
      const digits = length.exec(text)?.[1];
      const from = length.lastIndex;
      at = from + Number(digits);
      if (!(at <= text.length)) return [...texts, ""];
      texts.push(text.slice(from, at));
    } while (at < text.length);
    return texts;
  }
  function splitBytes(bytes) {
    const packets = [];
    let at = 0;
    do {
      const end = bytes.indexOf(255, at);
      const from = end + 1;
      const digits = bytes.subarray(at + 1, end);
      const packet = bytes.slice(from, from + Number(digits.join("")));
      const kind = bytes[at];
      if (kind > 1 || end < at + 2 || digits[0] === 0 || digits.some((digit) => digit > 9)) return [...packets, ""];
      at = from + Number(digits.join(""));
      if (at > bytes.length) return [...packets, ""];
      packets.push(kind === 1 ? packet.buffer : new TextDecoder().decode(packet));
    } while (at < bytes.length);
    return packets;
  }

  // src/emitter.ts
  var Emitter = class {
    constructor() {
      this._listeners = /* @__PURE__ */ new Map();
    }
    on(event, listener) {
      const listeners = this._listeners.get(event);
      if (listeners) listeners.push(listener);
      else this._listeners.set(event, [listener]);
      return this;
    }
    /** As `on`, for the next such event alone. */
    once(event, listener) {
      let isOver = false;
      const once = (...args) => {
        if (isOver) return;
        isOver = true;
        this.off(event, once);
        listener.apply(this, args);
      };
      once.fn = listener;
      return this.on(event, once);
    }
    /** Removes a listener; without one all of this event; without an event all there are. */
    off(event, listener) {
      if (event === void 0) this._listeners.clear();
      else {
        const listeners = listener ? this.listeners(event) : [];
        const at = listeners.findIndex((each) => each === listener || each.fn === listener);
        if (at >= 0) listeners.splice(at, 1);
        this._listeners.set(event, listeners);
      }
      return this;
    }
    /** Raises an event here. Sockets send it instead. */
    emit(event, ...args) {
      return this._raise(event, args);
    }
    emitReserved(event, ...args) {
      return this._raise(event, args);
    }
    /** The listeners of this event, as a copy. */
    listeners(event) {
      return [...this._listeners.get(event) ?? []];
    }
    hasListeners(event) {
      return this.listeners(event).length > 0;
    }
    /** @internal */
    _raise(event, args) {
      callAll(this, this.listeners(event), args);
      return this;
    }
  };
  Emitter.prototype.removeListener = Emitter.prototype.removeAllListeners = Emitter.prototype.off;
  function callAll(on, listeners, args) {
    for (const listener of listeners) {
      try {
        listener.apply(on, args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  // src/url.ts
  var pattern = /^(?:([\w+.-]+):)?\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?([^?#]*)\??([^#]*)/;
  function parseAddress(url) {
    const page = globalThis.location;
    let text = url ?? "";
    if (page && /^(\/(?!\/)|$)/.test(text)) text = `//${page.host}${text}`;
    if (!/^[\w+.-]+:\/\/|^\/\//.test(text)) text = `//${text}`;
    const [, scheme = page?.protocol.slice(0, -1) ?? (url ? "https" : "http"), host, port = "", path = "", query = ""] = pattern.exec(text) ?? [];
    const secure = /^(https|wss)$/.test(scheme);
    return { secure, hostname: host?.replace(/[[\]]/g, "") || "localhost", port: port === (secure ? "443" : "80") ? "" : port, path, query };
  }
  function originOf({ secure, hostname, port }, scheme) {
    return `${scheme}${secure ? "s" : ""}://${hostname.includes(":") ? `[${hostname}]` : hostname}${port && `:${port}`}`;
  }

  // src/engineio/transport.ts
  var TransportError = class extends Error {
    constructor(message, description, context) {
      super(message);
      this.description = description;
      this.context = context;
      this.type = "TransportError";
    }
  };
  var Transport = class extends Emitter {
    constructor(opts) {
      super();
      this.opts = opts;
      this.readyState = "opening";
      /** Whether a packet may be written now. */
      this.writable = false;
      this.query = { ...opts.query };
    }
    /** Starts connecting. */
    open() {
      this.doOpen();
      return this;
    }
    close() {
      if (this.readyState !== "closed") {
        this.doClose();
        this.onClose();
      }
      return this;
    }
    /** Writes these packets; only while it is writable. Attachments that are files are read first, in order all the same. */
    send(packets) {
      this.writable = false;
      const files = packets.filter(({ data }) => data instanceof Blob);
      if (files.length === 0) return this.write(packets);
      const read = files.map(async (packet) => {
        packet.data = await packet.data.arrayBuffer();
      });
      Promise.all(read).then(
        () => this.readyState !== "closed" && this.write(packets),
        (error) => this.onError("blob read error", error)
      );
    }
    /** Stops without losing anything, then calls `then`. */
    pause(then) {
      then();
    }
    /** Goes on after a `pause` that came to nothing. */
    resume() {
    }
    get version() {
      return this.opts.eio;
    }
    uri(scheme) {
      const { opts, query } = this;
      if (opts.forceBase64) query.b64 = 1;
      if (opts.timestampRequests ?? this.name === "polling") {
        query[opts.timestampParam ?? "t"] = Date.now().toString(36) + Math.random().toString(36).slice(2, 6);
      }
      return `${originOf(opts, scheme)}${opts.path}?${new URLSearchParams(query)}`;
    }
    onOpen() {
      this.readyState = "open";
      this.writable = true;
      this.emitReserved("open");
    }
    onPacket(packet) {
      this.emitReserved("packet", packet);
    }
    onDrain() {
      this.writable = true;
      this.emitReserved("drain");
    }
    onError(message, description, context) {
      if (this.readyState !== "closed") this.emitReserved("error", new TransportError(message, description, context));
    }
    onClose(details) {
      this.readyState = "closed";
      this.emitReserved("close", details);
    }
  };

  // src/engineio/polling.ts
  var Polling = class extends Transport {
    get name() {
      return "polling";
    }
    doOpen() {
      this._get();
    }
    pause(then) {
      this.readyState = "pausing";
      this._resume = then;
      this._checkPaused();
    }
    /** What is under way is waited for: the answer to the GET may hold packets, and those of the POST must not be overtaken. */
    _checkPaused() {
      if (this.readyState !== "pausing" || this._poll || !this.writable) return;
      this.readyState = "paused";
      this._resume?.();
    }
    resume() {
      this.readyState = "open";
      if (!this._poll) this._get();
    }
    _get() {
      const poll = this._poll = new AbortController();
      this.emitReserved("poll");
      this._request(
        poll,
        void 0,
        (body) => {
          this._poll = void 0;
          this._onPayload(body);
          this.emitReserved("pollComplete");
          if (this.readyState === "open") this._get();
          else this._checkPaused();
        },
        "xhr poll error"
      );
    }
    _onPayload(body) {
      if (this.readyState === "opening" && isVersion3(body)) this.opts.eio = 3;
      for (const packet of decodePayload(body, this.version)) {
        if (this.readyState === "closed") return;
        if (this.readyState === "opening" && packet.type === "open") this.onOpen();
        if (packet.type === "close") return this.onClose({ description: "transport closed by the server" });
        this.onPacket(packet);
      }
    }
    write(packets) {
      this._post = this._request(
        new AbortController(),
        encodePayload(packets, this.version),
        () => {
          this._post = void 0;
          this.onDrain();
          this._checkPaused();
        },
        "xhr post error"
      );
    }
    doClose() {
      const abort = () => this._poll?.abort();
      const sayGoodbye = () => this._send(new AbortController(), encodePayload([{ type: "close" }], this.version)).then(abort, abort);
      if (this.readyState === "opening") abort();
      else if (this._post) this._post.then(sayGoodbye);
      else sayGoodbye();
    }
    _request(abort, body, then, failure) {
      return this._send(abort, body).then(
        ({ status, body: body2 }) => {
          if (this.readyState === "closed") return;
          if (status === 200) then(body2);
          else this.onError(failure, status, { status, responseText: body2 });
        },
        (error) => this.onError(failure, error)
      );
    }
    _send(abort, body) {
      const { opts } = this;
      const timer = opts.requestTimeout ? after(opts.requestTimeout, opts, () => abort.abort()) : void 0;
      const answer = platform.request({ url: this.uri("http"), body, options: opts, signal: abort.signal });
      return answer.finally(() => clearTimeout(timer));
    }
  };

  // src/engineio/websocket.ts
  var WebSocketTransport = class extends Transport {
    get name() {
      return "websocket";
    }
    doOpen() {
      try {
        this._socket = platform.webSocket(this.uri("ws"), this.opts);
      } catch (error) {
        queueMicrotask(() => this.onError("websocket error", error));
        return;
      }
      const socket = this._socket;
      socket.binaryType = "arraybuffer";
      socket.onopen = () => this.onOpen();
      socket.onmessage = ({ data }) => {
        if (this.readyState === "closed") return;
        this.onPacket(typeof data === "string" ? decodeText(data, this.version) : decodeBytes(data, this.version));
      };
      socket.onerror = (event) => this.onError("websocket error", event);
      socket.onclose = (context) => {
        if (this.readyState !== "closed") this.onClose({ description: "websocket connection closed", context });
      };
    }
    write(packets) {
      for (const packet of packets) {
        const isText = this.opts.forceBase64 || typeof (packet.data ?? "") === "string";
        try {
          this._socket?.send(isText ? encodeText(packet, this.version) : encodeBytes(packet.data, this.version));
        } catch {
        }
      }
      queueMicrotask(() => this.onDrain());
    }
    doClose() {
      this._socket?.close();
    }
  };

  // src/engineio/handshake.ts
  function parseHandshake(text) {
    try {
      const handshake = JSON.parse(text);
      return typeof handshake.sid === "string" ? handshake : void 0;
    } catch {
      return void 0;
    }
  }

  // src/engineio/heartbeat.ts
  var Heartbeat = class {
    constructor(_handshake, _version, _options, _ping, _expire) {
      this._handshake = _handshake;
      this._version = _version;
      this._options = _options;
      this._ping = _ping;
      this._expire = _expire;
      /** When the session has ended at the latest, by the wall clock: a timer may come late where a page sleeps. */
      this._deadline = Infinity;
      this.beat();
    }
    /** The other side has shown itself: a ping, or the answer to one. */
    beat() {
      const { pingInterval, pingTimeout } = this._handshake;
      this._deadline = Date.now() + pingInterval + pingTimeout;
      if (this._version > 3) return this._wait(pingInterval + pingTimeout, this._expire);
      this._wait(pingInterval, () => {
        this._ping();
        this._wait(pingTimeout, this._expire);
      });
    }
    _wait(delay, then) {
      clearTimeout(this._timer);
      this._timer = after(delay, this._options, then);
    }
    /** Whether the time is over, though the timer has not fired; then it ends soon. */
    hasExpired() {
      const expired = Date.now() > this._deadline;
      if (expired) {
        this._deadline = Infinity;
        queueMicrotask(this._expire);
      }
      return expired;
    }
    stop() {
      clearTimeout(this._timer);
    }
  };

  // src/engineio/upgrade.ts
  function probe(transport, session) {
    let isOver = false;
    const end = () => {
      isOver = true;
      transport.off();
    };
    const fail = (why) => {
      if (isOver) return;
      end();
      transport.close();
      const error = new Error(`probe error: ${why?.message ?? "closed"}`);
      error.transport = transport.name;
      session.onUpgradeError(error);
    };
    transport.on("open", () => transport.send([{ type: "ping", data: "probe" }]));
    transport.once("packet", ({ type, data }) => {
      if (type !== "pong" || data !== "probe") return fail(new Error("no answer"));
      session.onProbed(transport, () => {
        if (isOver) return;
        end();
        session.onUpgraded(transport);
      });
    });
    transport.on("error", fail);
    transport.on("close", fail);
    transport.open();
    return () => {
      if (isOver) return;
      end();
      transport.close();
    };
  }

  // src/engineio/session.ts
  var builtIn = { polling: Polling, websocket: WebSocketTransport };
  var _Engine = class _Engine extends Emitter {
    constructor(url, opts = {}) {
      super();
      this.readyState = "closed";
      /** Packets that the transport has not taken yet, or not finished with. */
      this.writeBuffer = [];
      /** How many packets in front of the buffer are with the transport. */
      this._sent = 0;
      this._upgrading = false;
      this._names = [];
      this._transports = { ...builtIn };
      this._onOffline = () => this._onClose("transport close", { description: "network connection lost" });
      this._onLeave = () => {
        if (!this.transport) return;
        this.transport.off();
        this.transport.close();
      };
      const address = parseAddress(url ?? opts.host);
      const query = opts.query ?? address.query;
      this.opts = {
        ...opts,
        secure: opts.secure ?? address.secure,
        hostname: opts.hostname ?? address.hostname,
        port: String(opts.port ?? address.port),
        path: (opts.path ?? "/engine.io").replace(/\/$/, "") + (opts.addTrailingSlash === false ? "" : "/"),
        query: typeof query === "string" ? Object.fromEntries(new URLSearchParams(query)) : query,
        eio: opts.eio ?? 4
      };
      for (const each of opts.transports ?? Object.keys(builtIn)) {
        const name = typeof each === "string" ? each : each.prototype.name;
        if (typeof each !== "string") this._transports[name] = each;
        if (this._transports[name]) this._names.push(name);
      }
      if (opts.closeOnBeforeunload) globalThis.addEventListener?.("beforeunload", this._onLeave);
      if (this.opts.hostname !== "localhost") globalThis.addEventListener?.("offline", this._onOffline);
      this._open();
    }
    _open() {
      const names = this._names;
      this.readyState = "opening";
      const remembered = this.opts.rememberUpgrade && _Engine.priorWebsocketSuccess && names.includes("websocket");
      const name = remembered ? "websocket" : names[0];
      if (name === void 0) {
        queueMicrotask(() => this._onError(new Error("No transports available")));
        return;
      }
      const transport = this._create(name);
      this._use(transport);
      transport.open();
    }
    _create(name) {
      const { opts } = this;
      const own = opts.transportOptions?.[name];
      const query = { ...opts.query, EIO: opts.eio, transport: name };
      if (this.id) query.sid = this.id;
      return new this._transports[name]({ ...opts, ...own, query, eio: opts.eio, socket: this });
    }
    _use(transport) {
      this.transport?.off();
      this.transport = transport;
      transport.on("drain", () => this._onDrain());
      transport.on("packet", (packet) => this._onPacket(packet, transport));
      transport.on("error", (error) => this._onError(error));
      transport.on("close", (details) => this._onClose("transport close", details));
    }
    _onPacket(packet, transport) {
      if (this.readyState === "closed") return;
      const { type, data } = packet;
      this.emitReserved("packet", packet);
      this.emitReserved("heartbeat");
      if (type === "open") this._onHandshake(data, transport);
      else if (type === "ping") {
        this._send("pong");
        this.emitReserved("ping");
        this.emitReserved("pong");
        this._heartbeat?.beat();
      } else if (type === "pong") {
        this._heartbeat?.beat();
        this.emitReserved("pong");
      } else if (type === "message") {
        const message = data instanceof ArrayBuffer ? platform.bytes(data) : data ?? "";
        this.emitReserved("data", message);
        this.emitReserved("message", message);
      } else if (type === "error") this._onError(Object.assign(new Error("server error"), { code: data }));
    }
    _onHandshake(text, transport) {
      const handshake = parseHandshake(text);
      if (!handshake || this.id) return this._onError(new Error("server error"));
      this.emitReserved("handshake", handshake);
      const { opts } = this;
      opts.eio = transport.opts.eio;
      this.id = transport.query.sid = handshake.sid;
      this._maxPayload = handshake.maxPayload;
      this.readyState = "open";
      _Engine.priorWebsocketSuccess = transport.name === "websocket";
      this._heartbeat = new Heartbeat(
        handshake,
        opts.eio,
        opts,
        () => this._send("ping"),
        () => this._onClose("ping timeout")
      );
      this.emitReserved("open");
      this._flush();
      const upgrade = this._names.find((name) => name !== transport.name && handshake.upgrades?.includes(name));
      if (upgrade && opts.upgrade !== false && this.readyState === "open") this._probe(upgrade);
    }
    _probe(name) {
      _Engine.priorWebsocketSuccess = false;
      this._giveUp = probe(this._create(name), {
        onProbed: (transport, takeOver) => {
          this._upgrading = true;
          this.emitReserved("upgrading", transport);
          this.transport.pause(takeOver);
        },
        onUpgraded: (transport) => {
          _Engine.priorWebsocketSuccess = transport.name === "websocket";
          this._use(transport);
          transport.send([{ type: "upgrade" }]);
          this.emitReserved("upgrade", transport);
          this._upgrading = false;
          this._flush();
        },
        onUpgradeError: (error) => {
          this.emitReserved("upgradeError", error);
          if (!this._upgrading) return;
          this._upgrading = false;
          this.transport.resume();
          this._flush();
        }
      });
    }
    _onDrain() {
      this.writeBuffer.splice(0, this._sent);
      this._sent = 0;
      if (this.writeBuffer.length > 0) this._flush();
      else this.emitReserved("drain");
    }
    _flush() {
      if (this.readyState === "closed" || this._upgrading || this._sent > 0) return;
      if (!this.transport.writable || this.writeBuffer.length === 0) return;
      const packets = this._writable();
      this._sent = packets.length;
      this.transport.send(packets);
      this.emitReserved("flush");
    }
    /** As many packets as one body may hold; a single one that is larger goes alone. */
    _writable() {
      const buffer = this.writeBuffer;
      let size = 0;
      const fits = ({ data }, at) => {
        size += sizeOf(data);
        return at === 0 || size - 1 <= this._maxPayload;
      };
      if (!this._maxPayload || this.transport.name !== "polling") return buffer.slice();
      const end = buffer.findIndex((packet, at) => !fits(packet, at));
      return end < 0 ? buffer.slice() : buffer.slice(0, end);
    }
    /** Whether the heartbeat is overdue, though its timer has not fired: a page that slept. @internal */
    _hasPingExpired() {
      return this._heartbeat?.hasExpired() ?? false;
    }
    /** Sends a message. `written` is called when the transport has taken it. */
    send(data, options, written) {
      if (typeof options === "function") return this.send(data, void 0, options);
      this._send("message", data, options, written);
      return this;
    }
    write(data, options, written) {
      return this.send(data, options, written);
    }
    _send(type, data, options, written) {
      if (this.readyState === "closing" || this.readyState === "closed") return;
      const packet = { type, data, options };
      this.emitReserved("packetCreate", packet);
      this.writeBuffer.push(packet);
      if (written) this.once("flush", written);
      this._flush();
    }
    /** Writes what waits, finishes an upgrade that is under way, then closes. */
    close() {
      if (this.readyState === "open" && (this.writeBuffer.length > 0 || this._upgrading)) {
        this.readyState = "closing";
        const finish = () => this._onClose("forced close");
        const whenUpgraded = () => {
          if (!this._upgrading) return finish();
          this.once("upgrade", () => this.writeBuffer.length > 0 ? this.once("drain", finish) : finish());
          this.once("upgradeError", finish);
        };
        if (this.writeBuffer.length > 0 && !this._upgrading) this.once("drain", whenUpgraded);
        else whenUpgraded();
      } else if (this.readyState !== "closing") this._onClose("forced close");
      return this;
    }
    _onError(error) {
      _Engine.priorWebsocketSuccess = false;
      if (this.opts.tryAllTransports && this._names.length > 1 && this.readyState === "opening") {
        this._names.shift();
        this._open();
        return;
      }
      this.emitReserved("error", error);
      this._onClose("transport error", error);
    }
    _onClose(reason, details) {
      if (this.readyState === "closed") return;
      this._heartbeat?.stop();
      this._giveUp?.();
      this.transport?.off();
      this.transport?.close();
      globalThis.removeEventListener?.("beforeunload", this._onLeave);
      globalThis.removeEventListener?.("offline", this._onOffline);
      this.readyState = "closed";
      this.id = void 0;
      this.emitReserved("close", reason, details);
      this.writeBuffer = [];
      this._sent = 0;
    }
  };
  _Engine.protocol = 4;
  /** Whether the last attempt at a WebSocket went well, for `rememberUpgrade`. */
  _Engine.priorWebsocketSuccess = false;
  var Engine = _Engine;

  // src/socketio/backoff.ts
  function delayOf(attempt, options, random = Math.random()) {
    const { reconnectionDelay, reconnectionDelayMax, randomizationFactor } = options;
    const delay = Math.min(reconnectionDelay * 2 ** Math.min(attempt, 30), reconnectionDelayMax);
    return Math.min(delay + (2 * random - 1) * randomizationFactor * delay, reconnectionDelayMax) | 0;
  }

  // src/socketio/packet.ts
  var protocol = 5;
  var reservedEvents = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener"
  ];
  function isDataValid(type, data) {
    const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
    switch (type) {
      case 0 /* CONNECT */:
        return data === void 0 || isObject;
      case 1 /* DISCONNECT */:
        return data === void 0;
      case 4 /* CONNECT_ERROR */:
        return data !== void 0;
      case 2 /* EVENT */:
      case 5 /* BINARY_EVENT */:
        return Array.isArray(data) && /^(string|number)$/.test(typeof data[0]) && !reservedEvents.includes(data[0]);
      case 3 /* ACK */:
      case 6 /* BINARY_ACK */:
        return Array.isArray(data);
    }
  }

  // src/socketio/placeholder.ts
  function isBinary(value) {
    return value instanceof ArrayBuffer || ArrayBuffer.isView(value) || typeof Blob === "function" && value instanceof Blob;
  }
  function toJson(data, attachments) {
    return JSON.stringify(data, function(key, value) {
      const bytes = isBinary(this[key]) ? this[key] : value;
      if (!isBinary(bytes)) return value;
      attachments.push(bytes);
      return { _placeholder: true, num: attachments.length - 1 };
    });
  }
  function fromJson(text, attachments) {
    if (attachments.length === 0) return JSON.parse(text);
    return JSON.parse(text, (_, value) => {
      if (value?._placeholder !== true) return value;
      if (typeof value.num !== "number" || !(value.num in attachments)) throw new Error("illegal attachments");
      return attachments[value.num];
    });
  }

  // src/socketio/encode.ts
  function encode({ type, nsp, id, data }) {
    const attachments = [];
    const json = data === void 0 ? "" : toJson(data, attachments);
    let text = nsp === "/" ? "" : `${nsp},`;
    if (attachments.length > 0) {
      type = type === 3 /* ACK */ || type === 6 /* BINARY_ACK */ ? 6 /* BINARY_ACK */ : 5 /* BINARY_EVENT */;
      text = `${attachments.length}-${text}`;
    }
    return [`${type}${text}${id ?? ""}${json}`, ...attachments];
  }

  // src/socketio/connection.ts
  var attachmentsMax = 10;
  var pattern2 = /^([0-6])(?:([1-9]\d*)-)?(?:(\/[^,]*),?)?(0|[1-9]\d*)?(?!\s)([^]*)$/;
  var Decoder = class extends Emitter {
    add(chunk) {
      if (typeof chunk === "string") {
        if (this._waiting) throw new Error("got plaintext data when reconstructing a packet");
        return this._start(chunk);
      }
      if (!this._waiting) throw new Error("got binary data when not reconstructing a packet");
      this._waiting.attachments.push(chunk);
      this._finish(this._waiting);
    }
    /** Forgets what has come of a packet. */
    destroy() {
      this._waiting = void 0;
    }
    _start(text) {
      const [, type, count, nsp = "/", id, json = ""] = pattern2.exec(text) ?? [];
      if (type === void 0) throw new Error(`unknown packet type ${text[0]}`);
      const packet = { type: Number(type), nsp };
      if (id !== void 0) packet.id = Number(id);
      const isAck = packet.type === 3 /* ACK */ || packet.type === 6 /* BINARY_ACK */;
      const mayHaveId = isAck || packet.type === 2 /* EVENT */ || packet.type === 5 /* BINARY_EVENT */;
      if (id === void 0 ? isAck : !mayHaveId || !Number.isSafeInteger(packet.id)) throw new Error("illegal id");
      const isBinary2 = packet.type === 5 /* BINARY_EVENT */ || packet.type === 6 /* BINARY_ACK */;
      if (isBinary2 !== (count !== void 0)) throw new Error("Illegal attachments");
      if (isBinary2) packet.attachments = Number(count);
      if (packet.attachments > attachmentsMax) throw new Error("too many attachments");
      this._finish({ packet, json, attachments: [] });
    }
    _finish(waiting) {
      const { packet, json, attachments } = waiting;
      const isWhole = attachments.length === (packet.attachments ?? 0);
      this._waiting = isWhole ? void 0 : waiting;
      if (!isWhole) return;
      if (json) packet.data = fromJson(json, attachments);
      if (!isDataValid(packet.type, packet.data)) throw new Error("invalid payload");
      delete packet.attachments;
      this.emitReserved("decoded", packet);
    }
  };

  // src/socketio/parser.ts
  var Encoder = class {
    /** The messages of a packet: its text, then its attachments. */
    encode(packet) {
      return encode(packet);
    }
  };

  // src/socketio/queue.ts
  var RetryQueue = class {
    constructor(_retries, _emit) {
      this._retries = _retries;
      this._emit = _emit;
      this._items = [];
    }
    /** Emits as soon as it is its turn. `ack` gets an error when all tries were in vain. */
    add(args, flags, ack) {
      const item = { args, flags: { ...flags, fromQueue: true }, tries: 0, pending: false };
      const settle = (error, ...answer) => {
        if (item !== this._items[0]) return;
        item.pending = false;
        if (error === null || item.tries > this._retries) {
          this._items.shift();
          ack?.(error, ...answer);
        }
        this.drain();
      };
      settle.withError = true;
      item.args = [...args, settle];
      this._items.push(item);
      this.drain();
    }
    /** Emits the first one, unless it is under way. */
    drain() {
      const item = this._items[0];
      if (!item || item.pending) return;
      item.pending = this._emit(item.args, item.flags);
      if (item.pending) item.tries += 1;
    }
    /** There is a new connection: what was under way is lost, or its answer is. */
    restart() {
      if (this._items[0]) this._items[0].pending = false;
      this.drain();
    }
  };

  // src/socketio/socket.ts
  var Socket = class extends Emitter {
    constructor(io2, nsp, _opts = {}) {
      super();
      this.io = io2;
      this.nsp = nsp;
      this._opts = _opts;
      this.connected = false;
      /** Whether the last connection went on where the one before had ended: same id and rooms, and nothing missed. */
      this.recovered = false;
      /** Events that came before the namespace was joined. */
      this.receiveBuffer = [];
      /** Packets that wait for the connection. */
      this.sendBuffer = [];
      this._nextId = 0;
      this._acks = /* @__PURE__ */ new Map();
      this._flags = {};
      this._any = [];
      this._anyOutgoing = [];
      if (_opts.auth) this.auth = _opts.auth;
      if (_opts.retries) {
        this._queue = new RetryQueue(_opts.retries, (args, flags) => {
          if (this.connected) this._emit(args, flags);
          return this.connected;
        });
      }
      if (io2._autoConnect) this.open();
    }
    get disconnected() {
      return !this.connected;
    }
    /** Whether it is connected, or will be without being asked. */
    get active() {
      return this._unsubscribe !== void 0;
    }
    connect() {
      if (this.connected) return this;
      this._subscribe();
      const { io: io2 } = this;
      if (!io2._reconnecting) io2.open();
      if (io2._readyState === "open") this._onOpen();
      queueMicrotask(() => this.active && !this.connected && this.emitReserved("connecting"));
      return this;
    }
    open() {
      return this.connect();
    }
    _subscribe() {
      if (this._unsubscribe) return;
      const { io: io2 } = this;
      const subscriptions = [
        ["open", () => this._onOpen()],
        ["packet", (packet) => this._onPacket(packet)],
        ["error", (error) => this.connected ? this.emitReserved("error", error) : this._refused(error)],
        ["close", (reason, description) => this._onClose(reason, description)],
        [
          "reconnect_attempt",
          (attempt) => {
            this.emitReserved("reconnect_attempt", attempt);
            this.emitReserved("reconnecting", attempt);
          }
        ],
        ...["reconnect", "reconnect_error", "reconnect_failed"].map((event) => [
          event,
          (...args) => this._raise(event, args)
        ])
      ];
      for (const [event, listener] of subscriptions) io2.on(event, listener);
      this._unsubscribe = () => {
        for (const [event, listener] of subscriptions) io2.off(event, listener);
      };
    }
    /** Leaves the namespace, and closes the connection if no other one is in use. It does not come back by itself. */
    disconnect() {
      if (this.connected) this._packet({ type: 1 /* DISCONNECT */ });
      this._pid = void 0;
      this._destroy();
      this._onClose("io client disconnect");
      return this;
    }
    close() {
      return this.disconnect();
    }
    _destroy() {
      this._unsubscribe?.();
      this._unsubscribe = void 0;
      this.io._destroy();
    }
    /** Emits `message`. */
    send(...args) {
      return this.emit("message", ...args);
    }
    /** Sends an event; not connected, when it will be. A function at the end is called with the acknowledgement. */
    emit(event, ...args) {
      if (reservedEvents.includes(event)) throw new Error(`"${String(event)}" is a reserved event name`);
      const flags = this._flags;
      this._flags = {};
      const all = [event, ...args];
      if (this._queue && !flags.volatile) this._queue.add(all, flags, takeAck(all));
      else this._emit(all, flags);
      return this;
    }
    _emit(args, flags) {
      const data = [...args];
      const packet = { type: 2 /* EVENT */, data, options: { compress: flags.compress !== false } };
      const { engine } = this.io;
      const ready = this.connected && !engine._hasPingExpired();
      const dropped = flags.volatile && !(ready && engine.transport.writable);
      const ack = takeAck(data);
      if (ack) packet.id = this._expect(ack, flags.timeout ?? this._opts.ackTimeout);
      if (dropped) return;
      if (ready) this._sendEvent(packet);
      else this.sendBuffer.push({ ...packet, nsp: this.nsp });
    }
    /** Keeps what is to be called with the acknowledgement of this id. */
    _expect(ack, timeout) {
      const id = this._nextId++;
      if (timeout === void 0) {
        this._acks.set(id, ack);
        return id;
      }
      const timer = after(timeout, this.io.opts, () => {
        this._acks.delete(id);
        this.sendBuffer = this.sendBuffer.filter((packet) => packet.id !== id);
        ack.call(this, new Error("operation has timed out"));
      });
      const inTime = (...args) => {
        clearTimeout(timer);
        ack.apply(this, args);
      };
      inTime.withError = true;
      this._acks.set(id, inTime);
      return id;
    }
    /** Emits and resolves to the acknowledgement's first argument. Rejects if the connection ends, or the time. */
    emitWithAck(event, ...args) {
      return new Promise((resolve, reject) => {
        const settle = (error, value) => error ? reject(error) : resolve(value);
        settle.withError = true;
        this.emit(event, ...[...args, settle]);
      });
    }
    /** The next `emit` waits so many milliseconds for its acknowledgement, which then gets an error first. */
    timeout(timeout) {
      this._flags.timeout = timeout;
      return this;
    }
    /** Whether the next `emit` may be compressed. */
    compress(compress) {
      this._flags.compress = compress;
      return this;
    }
    /** The next `emit` is dropped if it cannot be sent at once. */
    get volatile() {
      this._flags.volatile = true;
      return this;
    }
    _packet(packet) {
      this.io._packet({ ...packet, nsp: this.nsp });
    }
    _sendEvent(packet) {
      callAll(this, this.listenersAnyOutgoing(), packet.data);
      this._packet(packet);
    }
    /** Asks to be let in. */
    _onOpen() {
      const { auth, io: io2 } = this;
      const join = (data) => {
        if (io2.engine.opts.eio > 3) {
          if (this._pid) data = { pid: this._pid, offset: this._lastOffset, ...data };
          this._packet({ type: 0 /* CONNECT */, data });
        } else if (this.nsp !== "/") {
          const query = new URLSearchParams(data).toString();
          io2._packet({ type: 0 /* CONNECT */, nsp: query ? `${this.nsp}?${query}` : this.nsp });
        }
      };
      if (typeof auth === "function") auth(join);
      else join(auth);
    }
    _onPacket({ type, nsp, id, data }) {
      if (nsp !== this.nsp && (type !== 0 /* CONNECT */ || nsp.split("?")[0] !== this.nsp)) return;
      switch (type) {
        case 0 /* CONNECT */:
          return this._onConnect(data);
        case 2 /* EVENT */:
        case 5 /* BINARY_EVENT */:
          return this._onEvent(id === void 0 ? data : [...data, this._answer(id)]);
        case 3 /* ACK */:
        case 6 /* BINARY_ACK */:
          return this._onAck(id, data);
        case 1 /* DISCONNECT */:
          this._pid = void 0;
          this._destroy();
          return this._onClose("io server disconnect");
        case 4 /* CONNECT_ERROR */: {
          this._destroy();
          const error = new Error(data?.message ?? (typeof data === "string" ? data : "refused"));
          error.data = typeof data?.message === "string" ? data.data : data;
          this._refused(error);
        }
      }
    }
    _refused(error) {
      this.emitReserved("connect_error", error);
      this.emitReserved("connect_failed", error);
      this.emitReserved("error", error);
    }
    _onConnect(data) {
      const { engine } = this.io;
      let { sid, pid } = data ?? {};
      if (engine.opts.eio < 4) sid = (this.nsp === "/" ? "" : `${this.nsp}#`) + engine.id;
      if (!sid) {
        return this._refused(new Error("the server speaks an older protocol: it wants the option `eio: 3`"));
      }
      this.id = sid;
      this.recovered = pid !== void 0 && this._pid === pid;
      this._pid = pid;
      this.connected = true;
      for (const args of this.receiveBuffer.splice(0)) this._dispatch(args);
      for (const packet of this.sendBuffer.splice(0)) callAll(this, [this._sendEvent], [packet]);
      this._queue?.restart();
      this.emitReserved("connect");
    }
    _onEvent(args) {
      if (this.connected) this._dispatch(args);
      else this.receiveBuffer.push(args);
    }
    _dispatch(args) {
      callAll(this, this.listenersAny(), args);
      this._raise(args[0], args.slice(1));
      const last = args.at(-1);
      if (this._pid && typeof last === "string") this._lastOffset = last;
    }
    /** What a listener calls to acknowledge; once. */
    _answer(id) {
      let answered = false;
      return (...data) => {
        if (answered) return;
        answered = true;
        this._packet({ type: 3 /* ACK */, id, data });
      };
    }
    _onAck(id, args) {
      const ack = this._acks.get(id);
      this._acks.delete(id);
      if (ack) callAll(this, [ack], ack.withError ? [null, ...args] : args);
    }
    _onClose(reason, description) {
      if (this.connected) {
        this.connected = false;
        this.id = void 0;
        this.emitReserved("disconnect", reason, description);
      }
      for (const [id, ack] of [...this._acks]) {
        if (this.sendBuffer.some((packet) => packet.id === id)) continue;
        this._acks.delete(id);
        if (ack.withError) callAll(this, [ack], [new Error("socket has been disconnected")]);
      }
    }
    /** Calls `listener` with every event that arrives: its name, then its arguments. */
    onAny(listener) {
      this._any.push(listener);
      return this;
    }
    prependAny(listener) {
      this._any.unshift(listener);
      return this;
    }
    offAny(listener) {
      this._any = without(this._any, listener);
      return this;
    }
    listenersAny() {
      return [...this._any];
    }
    /** Calls `listener` with every event that is sent. */
    onAnyOutgoing(listener) {
      this._anyOutgoing.push(listener);
      return this;
    }
    prependAnyOutgoing(listener) {
      this._anyOutgoing.unshift(listener);
      return this;
    }
    offAnyOutgoing(listener) {
      this._anyOutgoing = without(this._anyOutgoing, listener);
      return this;
    }
    listenersAnyOutgoing() {
      return [...this._anyOutgoing];
    }
  };
  function takeAck(args) {
    return typeof args.at(-1) === "function" ? args.pop() : void 0;
  }
  function without(list, entry) {
    const at = entry ? list.indexOf(entry) : -1;
    return entry ? list.filter((_, index) => index !== at) : [];
  }

  // src/socketio/manager.ts
  var Manager = class extends Emitter {
    constructor(url, opts) {
      super();
      this._readyState = "closed";
      this._reconnecting = false;
      this._sockets = /* @__PURE__ */ new Map();
      this._attempts = 0;
      /** Whether somebody closed it on purpose. */
      this._stopped = false;
      /** What ends each subscription to the engine. */
      this._subscriptions = [];
      if (typeof url === "object") [url, opts] = [void 0, url];
      this._url = url;
      this.opts = opts = { path: "/socket.io", ...opts };
      this._settings = {
        reconnection: opts.reconnection !== false,
        reconnectionAttempts: opts.reconnectionAttempts || Infinity,
        reconnectionDelay: opts.reconnectionDelay || 1e3,
        reconnectionDelayMax: opts.reconnectionDelayMax || 5e3,
        randomizationFactor: opts.randomizationFactor ?? 0.5,
        timeout: opts.timeout ?? 2e4
      };
      const parser = opts.parser ?? { Encoder, Decoder };
      this._encoder = new parser.Encoder();
      this._decoder = new parser.Decoder();
      this._decoder.on("decoded", (packet) => this.emitReserved("packet", packet));
      this._autoConnect = opts.autoConnect !== false;
      if (this._autoConnect) this.open();
    }
    /** Connects; `done` is called once, with an error if that failed. Without `done` a failure starts the attempts to reconnect. */
    open(done) {
      if (this._readyState !== "closed") return this;
      const engine = this.engine = new Engine(this._url, this.opts);
      this._readyState = "opening";
      this._stopped = false;
      const fail = (error) => {
        this._release();
        this._readyState = "closed";
        this.emitReserved("error", error);
        if (done) done(error);
        else if (!this._reconnecting && this._settings.reconnection && this._attempts === 0) this._reconnect();
      };
      this._listen("open", () => {
        this._onOpen();
        done?.();
      });
      this._listen("error", fail);
      const { timeout } = this._settings;
      if (timeout !== false) {
        this._timer = after(timeout, this.opts, () => {
          fail(new Error("timeout"));
          engine.close();
        });
      }
      return this;
    }
    connect(done) {
      return this.open(done);
    }
    _onOpen() {
      this._release();
      this._readyState = "open";
      this._listen("ping", () => this.emitReserved("ping"));
      this._listen("data", (data) => this._onData(data));
      this._listen("error", (error) => this.emitReserved("error", error));
      this._listen("close", (reason, details) => this._onClose(reason, details));
      this.emitReserved("open");
    }
    _onData(data) {
      try {
        this._decoder.add(data);
      } catch (error) {
        this._onClose("parse error", error);
      }
    }
    _listen(event, listener) {
      const { engine } = this;
      engine.on(event, listener);
      this._subscriptions.push(() => engine.off(event, listener));
    }
    /** Lets go of the timer and of the engine's events, where others may listen too. */
    _release() {
      clearTimeout(this._timer);
      for (const end of this._subscriptions.splice(0)) end();
      this._decoder.destroy();
    }
    _onClose(reason, description) {
      this._release();
      this.engine?.close();
      this._attempts = 0;
      this._readyState = "closed";
      this.emitReserved("close", reason, description);
      if (this._settings.reconnection && !this._stopped) this._reconnect();
    }
    _reconnect() {
      if (this._reconnecting || this._stopped) return;
      if (this._attempts >= this._settings.reconnectionAttempts) {
        this._attempts = 0;
        this.emitReserved("reconnect_failed");
        return;
      }
      this._reconnecting = true;
      const delay = delayOf(this._attempts, this._settings);
      this._attempts += 1;
      this._timer = after(delay, this.opts, () => {
        if (!this._stopped) this.emitReserved("reconnect_attempt", this._attempts);
        if (this._stopped) return;
        this.open((error) => {
          const attempt = this._attempts;
          this._reconnecting = false;
          if (error) {
            this.emitReserved("reconnect_error", error);
            this._reconnect();
          } else {
            this._attempts = 0;
            this.emitReserved("reconnect", attempt);
          }
        });
      });
    }
    /** The socket of a namespace: the same one whoever asks. */
    socket(nsp, opts) {
      let socket = this._sockets.get(nsp);
      if (!socket) {
        socket = new Socket(this, nsp, opts);
        this._sockets.set(nsp, socket);
      } else if (this._autoConnect && !socket.active) socket.connect();
      return socket;
    }
    /** Whether the namespace has a socket already. @internal */
    _has(nsp) {
      return this._sockets.has(nsp);
    }
    /** Closes the connection when no socket wants it any more. @internal */
    _destroy() {
      for (const socket of this._sockets.values()) if (socket.active) return;
      this._close();
    }
    /** @internal */
    _packet(packet) {
      for (const part of this._encoder.encode(packet)) this.engine.write(part, packet.options);
    }
    /** Closes the connection for good. */
    _close() {
      this._stopped = true;
      this._reconnecting = false;
      this._onClose("forced close");
    }
  };
  for (const name of [
    "reconnection",
    "reconnectionAttempts",
    "reconnectionDelay",
    "reconnectionDelayMax",
    "randomizationFactor",
    "timeout"
  ]) {
    Manager.prototype[name] = function(...values) {
      if (values.length === 0) return this._settings[name];
      this._settings[name] = values[0];
      if (name === "reconnection") this._stopped = !(this._settings[name] = !!values[0]);
      return this;
    };
  }

  // src/index.ts
  var managers = /* @__PURE__ */ new Map();
  function io(url, opts) {
    if (typeof url === "object") [url, opts] = [void 0, url];
    opts = { path: "/socket.io", ...opts };
    const address = parseAddress(url);
    const nsp = address.path || "/";
    const origin = originOf(address, "http");
    opts.query ?? (opts.query = address.query);
    const key = origin + opts.path;
    const alone = opts.forceNew || opts["force new connection"] || opts.multiplex === false || managers.get(key)?._has(nsp);
    let manager = alone ? void 0 : managers.get(key);
    if (!manager) {
      manager = new Manager(origin, opts);
      if (!alone) managers.set(key, manager);
    }
    return manager.socket(nsp, opts);
  }
  Object.assign(io, { Manager, Socket, io, connect: io, protocol });

  // src/global.ts
  umd.io = io;
})();

typeof module=="object"&&module.exports?module.exports=umd.io:typeof define=="function"&&define.amd?define(function(){return umd.io}):(typeof globalThis=="object"?globalThis:self).io=umd.io})({});
//# sourceMappingURL=socket.io.js.map
