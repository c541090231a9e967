// HTTP by Node's own client: unlike `fetch` it takes TLS options, an agent, and does not keep the process alive if so asked.

import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { request as plain } from "node:http";
import { request as secure } from "node:https";
import type { EngineOptions } from "../engineio/config.js";
import { isBytes, type HttpRequest, type HttpResponse } from "../platform.js";
import { CookieJar } from "./cookies.js";

/** Options that go through to the connection as they are. */
const passed = [
  "agent",
  "pfx",
  "key",
  "passphrase",
  "cert",
  "ca",
  "ciphers",
  "rejectUnauthorized",
  "localAddress",
  "family",
  "checkServerIdentity",
] as const;

const jars = new WeakMap<object, CookieJar>();

/** A request that brings the session's headers and cookies, and keeps the cookies that come back. */
export function start(url: string, options: Partial<EngineOptions>, own: RequestOptions): ClientRequest {
  const chosen = Object.fromEntries(passed.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
  const jar = options.withCredentials ? jarOf(options.socket) : undefined;
  const headers = { ...jar?.header(), ...options.extraHeaders, ...own.headers };
  const address = url.replace(/^ws/, "http");
  const request = (address.startsWith("https:") ? secure : plain)(address, { ...chosen, ...own, headers });
  const keep = (answer: IncomingMessage) => jar?.keep(answer.headers["set-cookie"]);
  request.once("response", keep).once("upgrade", keep);
  if (options.autoUnref) request.once("socket", (socket) => socket.unref());
  return request;
}

function jarOf(session: object): CookieJar {
  let jar = jars.get(session);
  if (!jar) jars.set(session, (jar = new CookieJar()));
  return jar;
}

export async function request(asked: HttpRequest): Promise<HttpResponse> {
  for (;;) {
    const answer = await attempt(asked);
    if (answer) return answer;
  }
}

/** `undefined` if a connection that was kept alive was closed by the server at this very moment: then another one is tried. */
function attempt({ url, body, options, signal }: HttpRequest): Promise<HttpResponse | undefined> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "text/plain;charset=UTF-8" };
    const request = start(url, options, { method: body === undefined ? "GET" : "POST", headers, signal });
    request.once("error", (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && error.code === "ECONNRESET") resolve(undefined);
      else reject(error);
    });
    request.once("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part) => parts.push(part));
      response.once("end", () => {
        const bytes = Buffer.concat(parts);
        const body = isBytes(response.headers["content-type"]) ? new Uint8Array(bytes).buffer : bytes.toString();
        resolve({ status: response.statusCode ?? 0, body });
      });
      response.once("error", reject);
    });
    request.end(body);
  });
}
