// Turns the scenario table into named tests: every scenario × client kind × transport mode where it makes sense.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isReference, Server } from "./server.mjs";
import { asBytes, pack, unpack } from "./values.mjs";
import { scenarios } from "../scenarios/table.mjs";

let handles = 0;

/** What a scenario holds of a client: each method is one command to the agent. */
class Client {
  #agent;
  #handle;
  /** Commands without an answer yet: what a scenario that has timed out waits for. */
  #pending;

  constructor(agent, handle, pending) {
    this.#agent = agent;
    this.#handle = handle;
    this.#pending = pending;
  }

  async #command(operation, ...args) {
    const command = `${this.#handle}: ${operation} ${JSON.stringify(args).slice(0, 60)}`;
    this.#pending.add(command);
    const result = await this.#agent.run(operation, this.#handle, pack(args));
    this.#pending.delete(command);
    return unpack(result);
  }

  /** Waits for `connect`, `disconnect` or `connect_error` and gives what came with it. */
  life = (kind) => this.#command("life", kind);
  emit = (event, ...args) => this.#command("emit", event, ...args);
  volatile = (event, ...args) => this.#command("volatile", event, ...args);
  /** Emits with an acknowledgement and gives its arguments. */
  call = (event, ...args) => this.#command("call", event, ...args);
  /** The arguments of the next event of this name. */
  next = (event) => this.#command("next", event);
  /** How many events of this name came and were not asked for. */
  waiting = (event) => this.#command("waiting", event);
  collect = (event, count) => this.#command("collect", event, count);
  flood = (event, count, batch) => this.#command("flood", event, count, batch);
  transport = () => this.#command("transport");
  upgraded = () => this.#command("upgraded");
  id = () => this.#command("id");
  connect = () => this.#command("connect");
  disconnect = () => this.#command("disconnect");
  /** Plain WebSockets: a message as it is, and the subprotocol that was agreed on. */
  send = (message) => this.#command("send", message);
  protocol = () => this.#command("protocol");
  cut = () => this.#command("cut");
}

/** What a scenario is given; also for tests that are written out. */
export class Stage {
  pending = new Set();

  constructor(kind, mode, agent, server) {
    Object.assign(this, { kind, mode, agent, server });
  }

  /** Opens one connection with a client for each namespace, without waiting for them. */
  async openAll(namespaces, options = {}) {
    const names = namespaces.map(() => `client ${(handles += 1)}`);
    const settings = { url: this.server.url, mode: this.mode, ...this.#overHttp3, ...this.kind.client, ...options, namespaces };
    const command = `open ${namespaces}`;
    this.pending.add(command);
    await this.agent.run("open", names, [pack(settings)]);
    this.pending.delete(command);
    return names.map((name) => new Client(this.agent, name, this.pending));
  }

  /** Where a page finds the server, and how it knows it. */
  get #overHttp3() {
    return this.mode === "webtransport" ? this.server.webtransport : undefined;
  }

  async open(namespace = "/", options = {}) {
    return (await this.openAll([namespace], options))[0];
  }

  /** Opens a connection and waits until the server has accepted it. */
  async connect(namespace = "/", options = {}) {
    const client = await this.open(namespace, options);
    await client.life("connect");
    return client;
  }

  can(ability) {
    return isAble(this.kind, this.mode, ability);
  }

  /** Whether the client keeps to polling, by requests or by script tags. */
  get isPolling() {
    return this.mode === "polling" || this.mode === "jsonp";
  }

  /** Compares what a client says about an end with what its kind would say; a few kinds say nothing. */
  ended({ reason }, how) {
    const expected = this.kind.reasons[how];
    if (expected instanceof RegExp) assert.match(reason, expected);
    else assert.equal(reason ?? undefined, expected);
  }

  /** Compares values; bytes are compared as bytes, whatever type a client gives them. */
  equal(actual, expected, message) {
    assert.deepEqual(plain(actual), plain(expected), message);
  }

  /** A nonce, so that scenarios on one server do not hear one another. */
  unique(name) {
    return `${name} ${(handles += 1)}`;
  }
}

function plain(value) {
  const bytes = asBytes(value);
  if (bytes) return Buffer.from(bytes);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

const limit = 20_000;

/** Runs a scenario within the limit; its clients are closed before the next one opens its own, also if it hangs. */
async function within(scenario, stage) {
  let timer;
  const hung = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limit} ms for: ${[...stage.pending].join("; ") || "nothing"}`)), limit);
  });
  try {
    const run = scenario.run(stage);
    // One that has hung may fail later, when its clients are closed: that is told already.
    run.catch(() => {});
    await Promise.race([run, hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a client of this kind can do this in this mode, with this server; if not, its kind says why. */
export function isAble(kind, mode, ability) {
  const hinders = (trouble) => trouble.ability === ability && trouble.modes.includes(mode) && (isReference || !trouble.reference);
  return kind.can.has(ability) && !(kind.troubles ?? []).some(hinders);
}

function applies(scenario, kind, mode) {
  const able = (scenario.needs ?? []).every((need) => isAble(kind, mode, need));
  if (isReference && scenario.reference === false) return false;
  return able && (scenario.modes ?? kind.modes).includes(mode);
}

/** The CORS options that let the agent's page in. Clients before 3.0 ask with credentials always, so a `*` is not enough for them. */
export function corsFor(agent) {
  return agent.origin ? { origin: [agent.origin], credentials: true } : { origin: "*" };
}

/** Declares the tests of one client kind; `more` are options of its server. */
export function play(kind, more = {}) {
  const options = { ...kind.server, ...more };
  if (kind.native && isReference) return;
  describe(kind.name, () => {
    let agent;
    let server;
    // The clients of the test before are closed first, also where it has hung.
    let closed = Promise.resolve();
    before(async () => {
      agent = await kind.start();
      server = await Server.start({ cors: corsFor(agent), ...options });
    });
    after(async () => {
      await agent?.stop();
      await server?.stop();
    });

    async function carryOut(scenario, mode) {
      await closed;
      const own = scenario.server ? await Server.start({ cors: corsFor(agent), ...options, ...scenario.server }) : undefined;
      const stage = new Stage(kind, mode, agent, own ?? server);
      try {
        await within(scenario, stage);
        assert.ok(stage.server.alive, `the server died: ${stage.server.output.join("\n")}`);
      } finally {
        closed = agent.run("close", "", []);
        await closed;
        await own?.stop();
      }
    }

    for (const mode of kind.modes) {
      for (const scenario of scenarios.filter((each) => applies(each, kind, mode))) {
        test(`${mode}: ${scenario.name}`, { timeout: limit + 10_000 }, () => carryOut(scenario, mode));
      }
    }
  });
}
