// What TypeScript says of a contract, in programs of socket.io-client and of our browser client.
//
// The programs say where they must not compile (`@ts-expect-error`), so that types that take everything are a fault too.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const conformance = dirname(dirname(fileURLToPath(import.meta.url)));
const client = join(conformance, "../packages/client-web");

const options = {
  target: "es2022",
  module: "nodenext",
  lib: ["es2022", "dom"],
  types: [],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
};

/** A program that uses the contract of `examples/contracts.rs`. */
const program = (imports) => `
${imports}
import type { ClientToServer, Message, ServerToClient } from "./contract.ts";

export async function use(socket: Socket<ServerToClient, ClientToServer>): Promise<number> {
  socket.on("message", (message: Message, isPrivate) => {
    const text: string = message.text;
    const flag: boolean = isPrivate;
    // @ts-expect-error: it is no number
    const wrong: number = isPrivate;
    console.log(text, flag, wrong);
  });
  socket.on("wants?", (topic, tags, ack) => {
    ack(topic.length > tags.join().length);
    // @ts-expect-error: the answer is a boolean
    ack("yes");
  });
  // @ts-expect-error: the server does not send it
  socket.on("say", () => {});
  socket.emit("say", "hello");
  // @ts-expect-error: a text
  socket.emit("say", 1);
  // @ts-expect-error: the client does not send it
  socket.emit("message", "hello");
  socket.emit("private message", "ada", "hello", new Uint8Array(2), (answer) => console.log(answer.toFixed()));
  const messages: Message[] = await socket.emitWithAck("history", 0);
  const picture: ArrayBuffer | Uint8Array | null | undefined = messages[0]?.picture;
  return socket.emitWithAck("private message", "ada", "hello", picture ?? null);
}
`;

/** The lines that `tsc` writes: none if all is well. */
export function typeFaults(contract) {
  // Within this folder, for here modules are found.
  const folder = mkdtempSync(join(conformance, ".types-"));
  try {
    const source = relative(folder, join(client, "src/index.ts"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["official.ts", "ours.ts"] }));
    writeFileSync(join(folder, "contract.ts"), contract);
    writeFileSync(join(folder, "official.ts"), program('import type { Socket } from "socket.io-client-4";'));
    writeFileSync(join(folder, "ours.ts"), program(`import type { Socket } from "${source}";`));
    const tsc = join(client, "node_modules/typescript/bin/tsc");
    const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
    return status === 0 ? [] : `${stdout}${stderr}`.split("\n").filter(Boolean);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
