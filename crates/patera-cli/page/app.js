// The demo page of `patera serve`: what the server's events mean here, and what the page's buttons do.

import { Chat } from "./chat.js";
import { path } from "./client.js";
import { Connection } from "./connection.js";
import { byId, clock, duration, elapsed, shortId } from "./dom.js";
import { Log } from "./log.js";
import { Attachment } from "./pictures.js";

// Volcanoes of Io.
const NAMES = [
  "Amirani", "Culann", "Daedalus", "Isum", "Kanehekili", "Loki", "Marduk", "Masubi",
  "Maui", "Pele", "Prometheus", "Surt", "Thor", "Tupan", "Tvashtar", "Zamama",
];
const NAME_MAX = 40;
/** Characters of an id that the page takes for one: more than servers make. */
const ID_MAX = 128;
/** Messages written while away; one more stays in the field. */
const WAITING_MAX = 20;
const MEASURE_EVERY = 5000;
/** One a second would drown the rest of the log: their counters show them. */
const NOT_LOGGED = new Set(["getServerMessage", "echo"]);
/** What the page counts as a message that was missed. */
const MESSAGES = new Set(["sendMessageToAllClient", "roomMessage", "private message", "getMessage"]);

const connection = new Connection(location.search);
const { socket } = connection;
const chat = new Chat();
const log = new Log(byId("log"), byId("log-scroll"), byId("packets"));
const attachment = new Attachment(() => connection.pictureMax);
const everyone = chat.selected;
const views = document.querySelectorAll("[data-show]");
/** Messages that wait for the connection. */
const waiting = [];
/** Whether a connection was lost that the client wants back. */
let isComingBack = false;
/** What came since a connection was recovered, until all that was missed is here; null at any other time. */
let missed = null;

// ── The connection's life ──────────────────────────────────────────────────────────────────────────────────────────

connection.onLife = (name, detail) => {
  log.life(name, detail);
  if (name === "disconnect") {
    isComingBack = socket.active;
    chat.note(everyone, `Disconnected: ${detail}`, "bad");
  }
  if (name === "reconnect_failed") chat.note(everyone, "Reconnection failed. “Connect” tries again.", "bad");
};
connection.onChange = render;

socket.onAny((event, ...args) => {
  if (missed !== null && MESSAGES.has(event)) missed.messages += 1;
  else if (missed !== null) missed.others += 1;
  if (!NOT_LOGGED.has(event)) log.packet("in", event, args);
});
socket.onAnyOutgoing((event, ...args) => {
  if (!NOT_LOGGED.has(event)) log.packet("out", event, args);
});

socket.on("connect", () => {
  chat.own(socket.id);
  if (socket.recovered) {
    recover();
  } else {
    chat.note(everyone, `Connected as ${shortId(socket.id)}`);
    if (isComingBack) chat.note(everyone, "Not recovered: the id is a new one, and what was said meanwhile is not here");
    for (const room of chat.rooms()) joinRoom(room);
    socket.send(`hello from ${myName()}`);
    measure();
  }
  isComingBack = false;
  for (const message of waiting.splice(0)) deliver(message);
  render();
});

/** The server sends what was missed before it answers anything. */
async function recover() {
  missed = { messages: 0, others: 0 };
  await measure();
  const { messages, others } = missed;
  missed = null;
  log.life("recovered", `${count(messages, "message")} and ${count(others, "other event")} that were missed`);
  chat.note(everyone, `Recovered, ${count(messages, "message")}: id and rooms are as before, and what was missed is here`, "good");
}

/** Asks the server for an answer, and shows how long it took. */
async function measure() {
  if (!socket.connected) return;
  try {
    showLatency(await connection.ask("echo", "latency"));
  } catch {
    // The connection ended meanwhile, which is told by itself.
  }
}

function showLatency({ milliseconds }) {
  byId("latency").textContent = duration(milliseconds);
}

function render() {
  const { state, attempt, transport, isPlugPulled } = connection;
  const connected = state === "connected";
  const words = {
    idle: "disconnected",
    connecting: "connecting",
    connected: "connected",
    waiting: attempt === 0 ? "reconnecting" : `reconnecting (${attempt})`,
    failed: "failed",
  }[state];
  byId("status").dataset.state = state;
  // Setting the same words again would have them read out again.
  if (byId("state").textContent !== words) byId("state").textContent = words;
  byId("via").textContent = transport?.name ?? "";
  renderTransport(transport);
  byId("sid").textContent = connected ? socket.id : "not connected";
  byId("copy").disabled = !connected;
  byId("toggle").textContent = isOff() ? "Connect" : "Disconnect";
  byId("plug").textContent = isPlugPulled ? "Plug in" : "Pull the plug";
  byId("plug").classList.toggle("pulled", isPlugPulled);
  byId("plug-hint").textContent = isPlugPulled
    ? "Nothing gets through. Write here or in another tab, then plug in: what was missed arrives."
    : "Cuts the connection as a failing network would, until you plug in again.";
  byId("send").disabled = isOff();
  byId("hint").textContent = hint(connected);
  byId("picture-hint").hidden = !connected;
  if (!connected) byId("uptime").textContent = byId("latency").textContent = "–";
}

function renderTransport(transport) {
  byId("transport").textContent = transport === null ? "none" : [transport.from, transport.name].filter(Boolean).join(" → ");
  byId("upgraded").textContent = transport?.from
    ? `upgraded after ${Math.round(transport.milliseconds)} ms, at ${clock(transport.at)}`
    : "–";
}

function hint(connected) {
  if (connected) return "Enter sends, Shift + Enter breaks the line";
  if (isOff()) return "Not connected: what you type stays here";
  if (waiting.length === 0) return "Not connected: what you send waits for the connection";
  return `Not connected: ${count(waiting.length, "message")} will be sent when it is back`;
}

const isOff = () => ["idle", "failed"].includes(connection.state);
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// ── What the server says ───────────────────────────────────────────────────────────────────────────────────────────

socket
  .on("sendMessageToAllClient", (data) => chat.say(everyone, said(data)))
  .on("roomMessage", (room, data) => {
    // One that was on its way when the room was left opens it no more.
    const conversation = chat.find("room", String(room));
    if (conversation !== undefined) chat.say(conversation, said(data));
  })
  .on("private message", (from, _to, message) => {
    // What this tab wrote to itself is on its screen since it was sent.
    if (!chat.isOwn(from)) sayPrivately({ ...said(message), from: idOf(from) });
  })
  .on("getMessage", (data) => sayPrivately(said(data)))
  .on("pub", (text) => chat.note(everyone, typeof text === "string" ? text : JSON.stringify(text)))
  .on("news", () => socket.emit("my other event", { my: "data" }))
  .on("getServerMessage", (number) => {
    byId("push").textContent = String(number);
    if (connection.since !== null) byId("uptime").textContent = elapsed(performance.now() - connection.since);
    byId("status").classList.toggle("beat");
  });

/** Beside who it is from; among all others if that is told in no way that can be answered. */
function sayPrivately(message) {
  chat.say(message.from === null ? everyone : chat.open("direct", message.from), message);
}

function idOf(from) {
  return typeof from === "string" && from !== "" && from.length <= ID_MAX ? from : null;
}

/** Other clients of the same server may send anything: a bare string, no name, another shape. */
function said(data) {
  const isObject = data !== null && typeof data === "object";
  const one = data instanceof ArrayBuffer ? { image: data } : isObject ? data : { text: data };
  const from = idOf(one.from);
  const name = typeof one.name === "string" && one.name.trim() !== "" ? one.name.trim().slice(0, NAME_MAX) : null;
  const image = one.image instanceof ArrayBuffer ? one.image : undefined;
  const text = typeof one.text === "string" ? one.text : JSON.stringify(one.text) ?? (image ? "" : JSON.stringify(one));
  return { from, name, text, image, size: Array.isArray(one.size) ? one.size : [], missed: missed !== null };
}

// ── What the reader does ───────────────────────────────────────────────────────────────────────────────────────────

function myName() {
  return byId("name").value.trim() || shortId(connection.id ?? "somebody");
}

/** Sends what stands in the field; false if it has to stay there. */
function send(text) {
  if (isOff() || waiting.length >= WAITING_MAX || !attachment.fits()) return false;
  const message = { conversation: chat.selected, text, picture: attachment.picture };
  attachment.clear();
  if (socket.connected) deliver(message);
  else waiting.push(message);
  render();
  return true;
}

function deliver({ conversation, text, picture }) {
  const data = { from: socket.id, name: myName(), text };
  if (picture !== null) Object.assign(data, { image: picture.bytes, size: picture.size });
  const { kind, target } = conversation;
  if (kind === "direct") return deliverPrivately(conversation, data);
  const sent = kind === "room" ? connection.ask("sendMessageToRoom", target, data) : connection.ask("sendMessageToServer", data);
  sent.then(showLatency, (error) => chat.note(conversation, `Not known to have arrived: ${error.message}`));
}

function deliverPrivately(conversation, data) {
  const receipt = chat.say(conversation, data);
  receipt("waiting", "sending…");
  connection.ask("private message", data.from, conversation.target, data).then(
    ({ answer, milliseconds }) => {
      showLatency({ milliseconds });
      if (answer === true) receipt("there", `delivered, acknowledged in ${duration(milliseconds)}`);
      else receipt("gone", `not delivered: nobody has this id (answered in ${duration(milliseconds)})`);
    },
    (error) => receipt("gone", `not known to be delivered: ${error.message}`),
  );
}

async function joinRoom(room) {
  const conversation = chat.open("room", room);
  try {
    const { answer } = await connection.ask("join", room);
    chat.note(conversation, answer?.error === undefined ? `You joined ${room}` : `Not joined: ${answer.error}`);
  } catch (error) {
    chat.note(conversation, `Not known to be joined: ${error.message}`);
  }
}

function leave(conversation) {
  chat.close(conversation);
  if (conversation.kind !== "room" || !socket.connected) return;
  connection.ask("leave", conversation.target).then(
    () => chat.note(everyone, `You left ${conversation.target}`),
    (error) => chat.note(everyone, `Not known to have left ${conversation.target}: ${error.message}`),
  );
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
  const text = field.value.trim();
  if ((text !== "" || attachment.picture !== null) && send(text)) field.value = "";
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
  const isNew = chat.find("room", room) === undefined;
  writeTo("room", room);
  byId("room").value = "";
  // Rooms joined while the connection is away are joined when it comes about.
  if (isNew && socket.connected) joinRoom(room);
});
byId("direct").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = byId("peer").value.trim();
  if (id === "") return;
  byId("peer").value = "";
  writeTo("direct", id);
});
byId("leave").addEventListener("click", () => {
  leave(chat.selected);
  byId("text").focus();
});
byId("toggle").addEventListener("click", () => {
  if (isOff()) connection.connect();
  else connection.disconnect();
});
byId("plug").addEventListener("click", () => {
  if (connection.isPlugPulled) connection.plugIn();
  else connection.pullPlug();
});
byId("copy").addEventListener("click", copyId);
for (const button of views) button.addEventListener("click", () => show(button.dataset.show));
setInterval(() => { if (!document.hidden) measure(); }, MEASURE_EVERY);

// Each tab keeps its own name, so that two tabs are two people.
byId("name").value = (sessionStorage.getItem("name") ?? NAMES[Math.floor(Math.random() * NAMES.length)]).slice(0, NAME_MAX);
byId("name").addEventListener("change", () => sessionStorage.setItem("name", byId("name").value.trim()));
sessionStorage.setItem("name", byId("name").value);

byId("endpoint").textContent = new URL(path, location.href).href;
render();
