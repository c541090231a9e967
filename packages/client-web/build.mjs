// Builds everything: the scripts that the server serves (crates/patera/client-dist), and the package (dist).
//
//   node build.mjs            builds both, and fails if socket.io.min.js is larger than its limit
//   node build.mjs --check    builds the served scripts and compares them with the committed ones, byte for byte
//   node build.mjs --package  builds the package alone, without its types
//   node build.mjs --tests    builds the tests, into .build

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { minify } from "terser";

const home = fileURLToPath(new URL(".", import.meta.url));
const served = join(home, "../../crates/patera/client-dist");
const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));

/** Bytes of socket.io.min.js, compressed with gzip -9. */
const limit = 10_240;

const notice = `/*! Patera's Socket.IO client ${version} | MIT OR Apache-2.0 */`;

/** Around the builds for script tags: `io` goes to CommonJS or AMD where there is one, else it is global. */
const umd = {
  banner: "(function(umd){",
  footer: `\ntypeof module=="object"&&module.exports?module.exports=umd.io:typeof define=="function"&&define.amd?define(function(){return umd.io}):(typeof globalThis=="object"?globalThis:self).io=umd.io})({});`,
};

/** Has a build speak msgpack: its parser takes the place of the one for JSON. */
const msgpack = {
  name: "msgpack",
  setup(build) {
    build.onResolve({ filter: /^\.\/parser\.js$/ }, ({ importer }) =>
      importer.endsWith("manager.ts") ? { path: join(home, "src/msgpack/parser.ts") } : undefined,
    );
  },
};

async function bundle(entry, options) {
  const { outputFiles } = await build({
    absWorkingDir: home,
    entryPoints: [`src/${entry}`],
    bundle: true,
    write: false,
    target: "es2020",
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    sourcemap: "external",
    outdir: "out",
    ...options,
  });
  const find = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
  return { code: find(".js"), map: JSON.parse(find(".map")) };
}

/** Names that begin with `_` are ours alone and get shorter; these few are known from outside. */
const known = ["_placeholder", "_readyState", "_autoConnect", "_reconnecting"];

async function shrink({ code, map }, isModule) {
  const result = await minify(code, {
    ecma: 2020,
    module: isModule,
    toplevel: isModule,
    compress: { passes: 4, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, keep_fargs: false, hoist_props: true },
    mangle: { properties: { regex: /^_/, reserved: known, keep_quoted: true } },
    format: { comments: false, preamble: notice },
    sourceMap: { content: map, asObject: true, includeSources: true },
  });
  return { code: result.code, map: result.map };
}

/** The script with the line that names its map, and the map. */
function files(name, { code, map }) {
  const sources = map.sources.map((source) => source.replace(/^(\.\.\/)*(out\/)?/, ""));
  const { version, names, mappings, sourcesContent } = map;
  return {
    [name]: `${code.trimEnd()}\n//# sourceMappingURL=${name}.map\n`,
    [`${name}.map`]: JSON.stringify({ version, file: name, sources, sourcesContent, names, mappings }),
  };
}

/** The eight files that a server serves, by their names. */
async function buildServed() {
  const script = { format: "iife", banner: { js: umd.banner }, footer: { js: umd.footer } };
  const plain = await bundle("global.ts", { ...script, banner: { js: `${notice}\n${umd.banner}` } });
  const [forScript, forModule, withMsgpack] = await Promise.all([
    bundle("global.ts", script),
    bundle("index.ts", { format: "esm" }),
    bundle("global.ts", { ...script, plugins: [msgpack] }),
  ]);
  return {
    ...files("socket.io.js", plain),
    ...files("socket.io.min.js", await shrink(forScript, false)),
    ...files("socket.io.esm.min.js", await shrink(forModule, true)),
    ...files("socket.io.msgpack.min.js", await shrink(withMsgpack, false)),
  };
}

/** The package: for bundlers and for Node, as module and as CommonJS. */
async function buildPackage() {
  const dist = join(home, "dist");
  mkdirSync(dist, { recursive: true });
  const write = async (name, entry, options) => {
    const { code, map } = await bundle(entry, options);
    for (const [file, text] of Object.entries(files(name, { code, map }))) writeFileSync(join(dist, file), text);
  };
  const node = { platform: "node", target: "node20" };
  await write("browser.mjs", "index.ts", { format: "esm" });
  await write("browser.cjs", "index.ts", { format: "cjs" });
  await write("node.mjs", "node.ts", { format: "esm", ...node });
  await write("node.cjs", "node.ts", { format: "cjs", ...node });
  await write("msgpack.mjs", "msgpack/parser.ts", { format: "esm" });
  await write("msgpack.cjs", "msgpack/parser.ts", { format: "cjs" });
}

function buildTypes() {
  rmSync(join(home, "dist/types"), { recursive: true, force: true });
  execFileSync(join(home, "node_modules/.bin/tsc"), ["-p", "tsconfig.types.json"], { cwd: home, stdio: "inherit" });
  // The same for CommonJS: what they are follows from the package.json above them.
  const forCommonJs = join(home, "dist/types-cjs");
  rmSync(forCommonJs, { recursive: true, force: true });
  cpSync(join(home, "dist/types"), forCommonJs, { recursive: true });
  writeFileSync(join(forCommonJs, "package.json"), '{"type":"commonjs"}\n');
}

/** Each test with the sources that it tests. */
async function buildTests() {
  rmSync(join(home, ".build"), { recursive: true, force: true });
  await build({
    absWorkingDir: home,
    entryPoints: readdirSync(join(home, "test")).filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`),
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    packages: "external",
    sourcemap: "inline",
    outdir: ".build",
    outExtension: { ".js": ".mjs" },
  });
}

function printSizes(built) {
  for (const [name, text] of Object.entries(built)) {
    if (name.endsWith(".map")) continue;
    const packed = gzipSync(text, { level: 9 }).length;
    console.log(`${name.padEnd(28)}${String(Buffer.byteLength(text)).padStart(8)} B${String(packed).padStart(8)} B gzip`);
    if (name === "socket.io.min.js" && packed > limit) throw new Error(`${name} has ${packed} bytes, ${limit} are allowed`);
  }
}

function check(built) {
  const differs = Object.keys(built).filter((name) => readFileSync(join(served, name), "utf8") !== built[name]);
  if (differs.length > 0) throw new Error(`not built from these sources: ${differs.join(", ")}; run \`npm run build\``);
}

const [mode] = process.argv.slice(2);
if (mode === "--package") await buildPackage();
else if (mode === "--tests") await buildTests();
else {
  const built = await buildServed();
  printSizes(built);
  if (mode === "--check") check(built);
  else {
    mkdirSync(served, { recursive: true });
    for (const [name, text] of Object.entries(built)) writeFileSync(join(served, name), text);
    await buildPackage();
    buildTypes();
  }
}
