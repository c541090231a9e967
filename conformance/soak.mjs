// A soak: every kind of client that runs without a page, over every transport, with everything that goes wrong on a network and everything
// that strangers send, at one pair of servers for a chosen time. In cycles: between them everyone goes, and nothing may be left.
//
//   node soak.mjs --server PROGRAM [--minutes N] [--seed N] [--rate N] [--report FILE]
//
// PATERA_CLIENT names the agent of patera-client. Fails if anything was lost, came twice or out of order; if a server died, panicked or did not
// answer; if anything of those who have gone is left; or if memory grows.

import { setMaxListeners } from "node:events";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    minutes: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    rate: { type: "string", default: "4" },
    report: { type: "string" },
  },
});
process.env.SERVER = options.server;
// The harness asks for it when it is loaded.
const { Server } = await import("./harness/server.mjs");
const { pateraClient, pateraClientMsgpack } = await import("./clients/patera.mjs");
const { nativeNode, node14, node17, node2, node3, node4, node4Msgpack, nodeWeb, nodeWebEio3, nodeWebMsgpack } = await import("./clients/node.mjs");
const { python4Async, python4Sync, pythonAsync, pythonSync } = await import("./clients/python.mjs");
const { Churn } = await import("./soak/churn.mjs");
const { Company } = await import("./soak/company.mjs");
const { Hostile } = await import("./soak/hostile.mjs");
const { Random } = await import("./soak/random.mjs");
const { Returning } = await import("./soak/returning.mjs");
const { Slow } = await import("./soak/slow.mjs");
const { Watch } = await import("./soak/watch.mjs");

const minutes = Number(options.minutes);
const cycleSeconds = Math.min(300, minutes * 20);
/** Before that an allocator has not settled. */
const judgedMinutes = 10;
/** How much more may be in use when everyone has gone, in bytes over the whole time: buffers and tables that grow once. */
const heapGrowthMax = 256 * 1024;
/** How much the process's own memory may seem to grow under load, in bytes over the whole time; a tenth of what there is, if that is more. */
const growthMax = 1024 * 1024;

const settings = {
  connection_state_recovery: { max_disconnection_duration: 20_000 },
  ping_interval: 5000,
  ping_timeout: 5000,
  per_message_deflate: true,
  http_compression: true,
};
const kinds = [node14, node17, node2, node3, node4, nodeWeb, nodeWebEio3, python4Async, python4Sync, pythonAsync, pythonSync, pateraClient, nativeNode];
const msgpackKinds = [node4Msgpack, nodeWebMsgpack, pateraClientMsgpack];
/** python-socketio's synchronous clients wait for their last poll now and then: see differences.md. */
const modesOf = (kind) => (kind === pythonSync || kind === python4Sync ? ["websocket"] : kind.modes);

const soak = { rate: Number(options.rate), random: new Random(Number(options.seed)), stopping: undefined };
const failures = [];
const counts = {};

function fail(what) {
  failures.push(`${new Date().toISOString()} ${what}`);
  console.error(`FAILED ${what}`);
}

async function start(list) {
  return Promise.all(list.map(async (kind) => [kind, await kind.start(), modesOf(kind)]));
}

/** Everything at once, for a while; then everyone goes. */
async function cycle(seconds, servers, agents) {
  const ending = new AbortController();
  soak.stopping = ending.signal;
  // Every pause of every part listens.
  setMaxListeners(0, ending.signal);
  const [json, msgpack] = servers;
  const agentOf = (kind) => agents.json.find(([each]) => each === kind)[1];
  const parts = [
    new Company("company", soak, json, agents.json),
    new Company("company with MessagePack", soak, msgpack, agents.msgpack),
    ...[1, 2, 3].map((n) => new Churn(`churn ${n}`, soak, json, agents.json)),
    new Churn("churn with MessagePack", soak, msgpack, agents.msgpack),
    ...[node4, pateraClient].flatMap((kind) => kind.modes.map((mode) => new Returning("returning", soak, json, kind, agentOf(kind), mode))),
    new Slow("slow readers", soak, json),
    new Hostile("hostile bytes", soak, json),
  ];
  const timer = setTimeout(() => ending.abort(), seconds * 1000);
  await Promise.all(parts.map((part) => part.run().catch((error) => fail(`${part.name}: ${error.stack ?? error}`))));
  clearTimeout(timer);
  for (const part of parts) {
    const sum = (counts[part.name.replace(/ \d+$/, "")] ??= {});
    for (const [what, count] of Object.entries(part.counts)) sum[what] = (sum[what] ?? 0) + count;
  }
  await Promise.all([...agents.json, ...agents.msgpack].map(([, agent]) => agent.run("close", "", [])));
}

const servers = [await Server.start(settings), await Server.start({ ...settings, parser: "msgpack" })];
const agents = { json: await start(kinds), msgpack: await start(msgpackKinds) };
const watches = [new Watch("the server", servers[0]), new Watch("the server with MessagePack", servers[1])];
for (const watch of watches) await watch.begin();
const began = process.uptime();
const sampler = setInterval(() => {
  for (const watch of watches) watch.sample().catch((error) => fail(`${watch.name}: ${error.message}`));
}, 5000);

for (let at = 0; process.uptime() - began < minutes * 60; at += 1) {
  const left = minutes * 60 - (process.uptime() - began);
  await cycle(Math.min(cycleSeconds, left), servers, agents);
  for (const watch of watches) await watch.rest(60).catch((error) => fail(error.message));
  console.log(`${Math.round((process.uptime() - began) / 60)} min, cycle ${at + 1}: ${watches.map((watch) => `${watch.name} rests with ${mebi(watch.rests.at(-1)?.heap)} in use, ${mebi(watch.rests.at(-1)?.anonymous)} of its own`).join(", ")}; ${failures.length} failures`);
  if (failures.length > 20) break;
}
clearInterval(sampler);

const report = { minutes: (process.uptime() - began) / 60, seed: Number(options.seed), rate: soak.rate, counts, servers: {}, failures };
for (const watch of watches) {
  const heapGrowth = watch.slope(watch.rests, "heap") * report.minutes;
  const growth = watch.slope(watch.samples, "anonymous") * report.minutes;
  report.servers[watch.name] = {
    processorSeconds: await watch.processorSeconds(),
    median: watch.median("anonymous"),
    heapGrowth,
    growth,
    rests: watch.rests,
    samples: watch.samples,
  };
  if (minutes < judgedMinutes) continue;
  if (heapGrowth > heapGrowthMax) fail(`${watch.name}: ${mebi(heapGrowth)} more are in use when everyone has gone`);
  if (growth > Math.max(growthMax, watch.median("anonymous") / 10)) fail(`${watch.name}: memory grows by ${mebi(growth)}`);
}
for (const [, agent] of [...agents.json, ...agents.msgpack]) await agent.stop();
for (const server of servers) await server.stop();
if (options.report) await writeFile(options.report, `${JSON.stringify(report, undefined, 2)}\n`);
print(report);
process.exit(failures.length === 0 ? 0 : 1);

function mebi(bytes) {
  return bytes === undefined ? "?" : `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}

function print({ minutes: lasted, counts: done, servers: measured }) {
  console.log(`\n${lasted.toFixed(1)} minutes, seed ${options.seed}, rate ${options.rate}`);
  for (const [part, sum] of Object.entries(done)) {
    console.log(`  ${part}: ${Object.entries(sum).map(([what, count]) => `${count} ${what}`).join(", ")}`);
  }
  for (const [name, { processorSeconds, median, heapGrowth, growth, rests }] of Object.entries(measured)) {
    const share = ((processorSeconds / (lasted * 60)) * 100).toFixed(0);
    console.log(`  ${name}: ${processorSeconds.toFixed(0)} s of processor (${share} %), ${mebi(median)} under load, growth ${mebi(growth)}`);
    console.log(`    at rest in use ${rests.map(({ heap }) => mebi(heap)).join(", ")}: growth ${mebi(heapGrowth)}`);
    console.log(`    at rest of its own ${rests.map(({ anonymous }) => mebi(anonymous)).join(", ")}`);
  }
  console.log(failures.length === 0 ? "nothing lost, doubled or out of order; nothing left behind" : `${failures.length} failures:\n${failures.join("\n")}`);
}
