// Builds everything: the scripts that the server serves (crates/patera/client-dist), and the package (dist).
//
//   node build.mjs          builds all, and fails if socket.io.min.js is larger than its limit
//   node build.mjs --check  builds the served scripts and compares them with the committed ones, byte for byte

import { build } from "esbuild";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** The files that a server serves, by their names. */
async function buildServed() {
  const script = { format: "iife", banner: { js: umd.banner }, footer: { js: umd.footer } };
  const plain = await bundle("global.ts", { ...script, banner: { js: `${notice}\n${umd.banner}` } });
  const [forScript, forModule] = await Promise.all([bundle("global.ts", script), bundle("index.ts", { format: "esm" })]);
  return {
    ...files("socket.io.js", plain),
    ...files("socket.io.min.js", await shrink(forScript, false)),
    ...files("socket.io.esm.min.js", await shrink(forModule, true)),
  };
}

/** The package: for bundlers, as module and as CommonJS, and the types. */
async function buildPackage() {
  const dist = join(home, "dist");
  rmSync(dist, { recursive: true, force: true });
  const write = async (name, entry, options) => {
    const { code, map } = await bundle(entry, options);
    mkdirSync(dist, { recursive: true });
    for (const [file, text] of Object.entries(files(name, { code, map }))) writeFileSync(join(dist, file), text);
  };
  await write("browser.mjs", "index.ts", { format: "esm" });
  await write("browser.cjs", "index.ts", { format: "cjs" });
  const tsc = join(home, "node_modules/.bin/tsc");
  execFileSync(tsc, ["-p", "tsconfig.types.json"], { cwd: home, stdio: "inherit" });
}

function printSizes(built) {
  for (const [name, text] of Object.entries(built)) {
    if (name.endsWith(".map")) continue;
    const packed = gzipSync(text, { level: 9 }).length;
    console.log(`${name.padEnd(28)}${String(Buffer.byteLength(text)).padStart(8)} B${String(packed).padStart(8)} B gzip`);
    if (name === "socket.io.min.js" && packed > limit) throw new Error(`${name} has ${packed} bytes, ${limit} are allowed`);
  }
}

const built = await buildServed();
printSizes(built);
if (process.argv.includes("--check")) {
  const differs = Object.keys(built).filter((name) => readFileSync(join(served, name), "utf8") !== built[name]);
  if (differs.length > 0) throw new Error(`not built from these sources: ${differs.join(", ")}; run \`npm run build\``);
} else {
  mkdirSync(served, { recursive: true });
  for (const [name, text] of Object.entries(built)) writeFileSync(join(served, name), text);
  await buildPackage();
}
