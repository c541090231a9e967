// Uses of the types, as code that was written for socket.io-client 4.8 has them. It is compiled, never run.

import defaultIo, { connect, io, Manager, Socket, type DisconnectDescription, type ManagerOptions, type SocketOptions } from "../src/index.js";

interface FromServer {
  noArguments: () => void;
  news: (text: string, count: number) => void;
  question: (what: string, answer: (given: boolean) => void) => void;
}

interface ToServer {
  hello: () => void;
  chat: (text: string, to?: string) => void;
  add: (a: number, b: number, answer: (sum: number) => void) => void;
  many: (answer: (one: string, two: number) => void) => void;
}

const same: boolean = defaultIo === io && connect === io;

export function typed(): void {
  const socket: Socket<FromServer, ToServer> = io("http://localhost", { auth: { token: "x" }, transports: ["websocket"] });
  socket.on("noArguments", () => {});
  socket.on("news", (text, count) => {
    const [first, second]: [string, number] = [text, count];
    return [first, second];
  });
  socket.once("question", (what, answer) => answer(what.length > 1));
  // @ts-expect-error: the server sends no such event
  socket.on("unknown", () => {});
  // @ts-expect-error: it comes with a text first
  socket.on("news", (text: number) => text);
  // @ts-expect-error: it is answered by a boolean
  socket.on("question", (_what, answer) => answer("yes"));

  socket.emit("hello").emit("chat", "text");
  socket.emit("chat", "text", "somebody");
  socket.emit("add", 1, 2, (sum) => sum.toFixed());
  // @ts-expect-error: the server knows no such event
  socket.emit("unknown");
  // @ts-expect-error: the text is missing
  socket.emit("chat");
  // @ts-expect-error: two numbers
  socket.emit("add", "1", 2, () => {});

  socket.volatile.compress(false).emit("chat", "text");
  socket.timeout(1000).emit("add", 1, 2, (error, sum) => (error instanceof Error ? 0 : sum.toFixed()));
  // @ts-expect-error: with a timeout an error comes first
  socket.timeout(1000).emit("add", 1, 2, (sum: number) => sum.toFixed());

  const sum: Promise<number> = socket.emitWithAck("add", 1, 2);
  const first: Promise<string> = socket.timeout(100).emitWithAck("many");
  // @ts-expect-error: it resolves to a number
  const wrong: Promise<string> = socket.emitWithAck("add", 1, 2);
  // @ts-expect-error: both numbers are needed
  socket.emitWithAck("add", 1);
  void [sum, first, wrong, same];
}

export function reserved(socket: Socket<FromServer, ToServer>): void {
  socket.on("connect", () => {});
  socket.on("connect_error", (error) => error.message + error.data?.code);
  socket.on("disconnect", (reason, details) => {
    const why: Socket.DisconnectReason = reason;
    const more: DisconnectDescription | undefined = details;
    if (reason === "io server disconnect") socket.connect();
    return [why, more];
  });
  socket.on("connecting", () => {}).on("connect_failed", (error) => error.message);
  socket.on("reconnecting", (attempt) => attempt.toFixed()).on("reconnect", (attempt) => attempt.toFixed());
  socket.on("reconnect_failed", () => {}).on("reconnect_error", (error) => error.message).on("error", (error) => error.data);
  // @ts-expect-error: it is not to be emitted
  socket.emit("connect");
  const listeners: ((text: string, count: number) => void)[] = socket.listeners("news");
  const has: boolean = socket.hasListeners("connect");
  socket.off("news", listeners[0]).off("news").off();
  socket.onAny((event, ...args) => [event, args]).prependAny(() => {}).offAny(() => {}).offAny();
  socket.onAnyOutgoing(() => {}).prependAnyOutgoing(() => {}).offAnyOutgoing();
  const state: [boolean, boolean, boolean, boolean, string | undefined] = [
    socket.connected,
    socket.disconnected,
    socket.active,
    socket.recovered,
    socket.id,
  ];
  void [has, state];
}

export function untyped(): void {
  const socket = io();
  socket.on("anything", (...args) => args);
  socket.emit("anything", 1, { two: 3 }, (answer: string) => answer);
  const answer: Promise<any> = socket.emitWithAck("anything", 1);
  socket.auth = { token: "x" };
  socket.auth = (give) => give({ token: "y" });
  void answer;
}

export function managed(): void {
  const options: Partial<ManagerOptions> = { reconnectionDelay: 10, path: "/chat", query: { a: 1 }, extraHeaders: { a: "b" } };
  const socketOptions: SocketOptions = { auth: {}, retries: 3, ackTimeout: 1000 };
  const manager = new Manager<FromServer, ToServer>("http://localhost", options);
  const socket: Socket<FromServer, ToServer> = manager.socket("/admin", socketOptions);
  manager.reconnection(false).timeout(1000).reconnectionAttempts(3).randomizationFactor(0.1);
  const [delay, timeout]: [number, number | false] = [manager.reconnectionDelay(), manager.timeout()];
  // @ts-expect-error: a boolean
  manager.reconnection("yes");
  manager.on("reconnect_attempt", (attempt) => attempt.toFixed()).on("error", (error) => error.message).on("ping", () => {});
  manager.on("close", (reason, details) => [reason, details]);
  // @ts-expect-error: managers have no such event
  manager.on("news", () => {});
  manager.engine.on("upgrade", (transport) => transport.name).once("close", (reason) => reason);
  const name: string = manager.engine.transport.name;
  void [socket, socket.io.engine.writeBuffer.length, delay, timeout, name];
}
