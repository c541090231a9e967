// The demo page of `patera serve`: what the server's events mean here, and what the page's buttons do.

import { Chat } from "./chat.js";
import { byId, duration, elapsed, shortId } from "./dom.js";
import { Log } from "./log.js";
import { NativeSocket } from "./socket.js";

// Volcanoes of Io.
const NAMES = [
  "Amirani", "Culann", "Daedalus", "Isum", "Kanehekili", "Loki", "Marduk", "Masubi",
  "Maui", "Pele", "Prometheus", "Surt", "Thor", "Tupan", "Tvashtar", "Zamama",
];

const OPTIONS = ["reconnectionAttempts", "reconnectionDelay", "reconnectionDelayMax", "ackTimeout"];

const endpoint = new URL("ws", location.href);
endpoint.protocol = location.protocol === "https:" ? "wss:" : "ws:";
endpoint.search = endpoint.hash = "";

const socket = new NativeSocket(endpoint.href, optionsFromAddress());
const chat = new Chat();
const log = new Log(byId("log"), byId("log-scroll"), byId("packets"));
const everyone = chat.selected;
const views = document.querySelectorAll("[data-show]");
let connectedAt = null;

/** `?reconnectionAttempts=3&reconnectionDelay=200` tries other values than the defaults. */
function optionsFromAddress() {
  const options = {};
  for (const [name, value] of new URLSearchParams(location.search)) {
    const number = Number(value);
    if (OPTIONS.includes(name) && number >= 0 && number <= 1e6) options[name] = number;
  }
  return options;
}

// ── The connection's life ──────────────────────────────────────────────────────────────────────────────────────────

const lifeWords = {
  connecting: ({ url }) => url,
  connect: ({ sid }) => sid,
  connect_error: ({ reason }) => reason,
  disconnect: ({ reason }) => reason,
  reconnecting: ({ attempt, delay }) => `(${attempt}) in ${duration(delay)}`,
  reconnect: ({ attempt }) => `after ${attempt} ${attempt === 1 ? "attempt" : "attempts"}`,
  reconnect_failed: ({ attempts }) => `gave up after ${attempts} attempts`,
};

socket.onLife = (name, detail) => {
  log.life(name, lifeWords[name](detail));
  if (name === "connect") handleConnect(detail.sid);
  if (name === "disconnect") chat.note(everyone, `Disconnected: ${detail.reason}`);
  if (name === "reconnect_failed") chat.note(everyone, "Reconnection failed. “Connect” tries again.");
  renderState();
};

socket.onPacket = (direction, packet) => {
  // One a second would drown the rest; the counters show them.
  if (packet.event !== "getServerMessage") log.packet(direction, packet);
};

function handleConnect(sid) {
  chat.own(sid);
  connectedAt = Date.now();
  chat.note(everyone, `Connected as ${shortId(sid)}`);
  for (const room of chat.rooms()) socket.emit("join", room);
}

function renderState() {
  const connected = socket.state === "connected";
  const words = {
    idle: "disconnected",
    connecting: socket.attempt === 0 ? "connecting" : `reconnecting (${socket.attempt})`,
    connected: "connected",
    waiting: `reconnecting (${socket.attempt})`,
    failed: "failed",
  }[socket.state];
  byId("status").dataset.state = socket.state;
  // Setting the same words again would have them read out again.
  if (byId("state").textContent !== words) byId("state").textContent = words;
  byId("transport").textContent = connected ? "native WebSocket" : "none";
  byId("sid").textContent = connected ? socket.id : "not connected";
  byId("copy").disabled = !connected;
  byId("drop").disabled = !connected;
  byId("toggle").textContent = ["idle", "failed"].includes(socket.state) ? "Connect" : "Disconnect";
  byId("send").disabled = !connected;
  byId("hint").textContent = connected
    ? "Enter sends, Shift + Enter breaks the line"
    : "Not connected: what you type stays here";
  if (!connected) {
    connectedAt = null;
    byId("uptime").textContent = "–";
  }
}

// ── What the server says ───────────────────────────────────────────────────────────────────────────────────────────

socket
  .on("sendMessageToAllClient", (data) => chat.say(everyone, said(data)))
  .on("roomMessage", (room, data) => chat.say(chat.open("room", String(room)), said(data)))
  .on("private message", (from, _to, message) => {
    // What this tab wrote to itself is on its screen since it was sent.
    if (!chat.isOwn(from)) chat.say(chat.open("direct", String(from)), { ...said(message), from: String(from) });
  })
  .on("getMessage", (data) => {
    const message = said(data);
    chat.say(message.from === null ? everyone : chat.open("direct", message.from), message);
  })
  .on("pub", (text) => chat.note(everyone, typeof text === "string" ? text : JSON.stringify(text)))
  .on("news", () => socket.emit("my other event", { my: "data" }))
  .on("getServerMessage", (number) => {
    byId("push").textContent = byId("pushes").textContent = String(number);
    byId("uptime").textContent = elapsed(Date.now() - connectedAt);
    byId("status").classList.toggle("beat");
  });

/** Other clients of the same server may send anything: a bare string, no name, another shape. */
function said(data) {
  const one = data !== null && typeof data === "object" ? data : { text: data };
  const from = typeof one.from === "string" && one.from !== "" ? one.from : null;
  const name = typeof one.name === "string" && one.name.trim() !== "" ? one.name.trim().slice(0, 40) : null;
  const text = typeof one.text === "string" ? one.text : JSON.stringify(one.text ?? data) ?? "";
  return { from, name, text };
}

// ── What the reader does ───────────────────────────────────────────────────────────────────────────────────────────

function message(text) {
  return { from: socket.id, name: byId("name").value.trim() || shortId(socket.id), text };
}

function send(text) {
  const { kind, target } = chat.selected;
  if (kind === "everyone") return socket.emit("sendMessageToServer", message(text));
  if (kind === "room") return socket.emit("sendMessageToRoom", target, message(text));
  return sendPrivately(target, message(text));
}

function sendPrivately(to, data) {
  if (socket.state !== "connected") return false;
  const receipt = chat.say(chat.selected, data);
  receipt("waiting", "sending…");
  socket.emitWithAck("private message", data.from, to, data).then(
    ({ args: [there], milliseconds }) => {
      byId("latency").textContent = duration(milliseconds);
      if (there === true) receipt("there", `delivered, acknowledged in ${duration(milliseconds)}`);
      else receipt("gone", `not delivered: nobody has this id (answered in ${duration(milliseconds)})`);
    },
    (error) => receipt("gone", `not known to be delivered: ${error.message}`),
  );
  return true;
}

function show(view) {
  document.body.dataset.view = view;
  for (const button of views) button.ariaCurrent = String(button.dataset.show === view);
  if (view === "chat") byId("scroll").scrollTop = byId("scroll").scrollHeight;
}

function writeTo(kind, target) {
  chat.select(chat.open(kind, target));
  byId("text").focus();
}

async function copyId() {
  const id = socket.id;
  try {
    await navigator.clipboard.writeText(id);
  } catch {
    // Without HTTPS and off localhost there is no clipboard to write to: mark the id, ready for Ctrl+C.
    getSelection().selectAllChildren(byId("sid"));
    byId("copied").textContent = "The id is selected";
    return;
  }
  byId("copied").textContent = "Id copied";
  byId("copy").textContent = "Copied";
  setTimeout(() => {
    byId("copied").textContent = "";
    byId("copy").textContent = "Copy";
  }, 1500);
}

chat.onPeer = (id) => writeTo("direct", id);
chat.onSelect = () => show("chat");

byId("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("text");
  if (field.value.trim() !== "" && send(field.value.trim())) field.value = "";
  field.focus();
});
byId("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("compose").requestSubmit();
});
byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = byId("room").value.trim();
  if (room === "") return;
  const isNew = !chat.rooms().includes(room);
  writeTo("room", room);
  byId("room").value = "";
  // Rooms joined while the connection is away are joined by `handleConnect`.
  if (isNew && socket.emit("join", room)) chat.note(chat.selected, `You joined ${room}`);
});
byId("direct").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = byId("peer").value.trim();
  if (id === "") return;
  byId("peer").value = "";
  writeTo("direct", id);
});
byId("toggle").addEventListener("click", () => {
  if (["idle", "failed"].includes(socket.state)) socket.connect();
  else socket.disconnect();
});
byId("drop").addEventListener("click", () => socket.drop());
byId("copy").addEventListener("click", copyId);
for (const button of views) button.addEventListener("click", () => show(button.dataset.show));
addEventListener("online", () => { if (socket.state === "waiting") socket.connect(); });

// Each tab keeps its own name, so that two tabs are two people.
byId("name").value = sessionStorage.getItem("name") ?? NAMES[Math.floor(Math.random() * NAMES.length)];
byId("name").addEventListener("change", () => sessionStorage.setItem("name", byId("name").value.trim()));
sessionStorage.setItem("name", byId("name").value);

byId("endpoint").textContent = endpoint.href;
socket.connect();
