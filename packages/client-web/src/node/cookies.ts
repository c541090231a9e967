// The cookies of one session in Node, which keeps none by itself: what load balancers set so that each request finds its server.

/** Cookies of one session. It talks to one server, so domain and path say nothing here. */
export class CookieJar {
  private readonly _cookies = new Map<string, { value: string; expires: number }>();

  /** Keeps what the `Set-Cookie` lines of an answer say. */
  keep(lines: readonly string[] = []): void {
    for (const line of lines) {
      const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
      const at = pair.indexOf("=");
      if (at > 0) this._cookies.set(pair.slice(0, at), { value: pair.slice(at + 1), expires: expiryOf(attributes) });
    }
  }

  /** The `Cookie` header; nothing if there is none to send. */
  header(): { cookie?: string } {
    const alive = [...this._cookies].filter(([, { expires }]) => expires > Date.now());
    return alive.length > 0 ? { cookie: alive.map(([name, { value }]) => `${name}=${value}`).join("; ") } : {};
  }
}

/** RFC 6265 §5.3: `Max-Age` comes before `Expires`. */
function expiryOf(attributes: readonly string[]): number {
  const find = (name: string) => attributes.find((each) => each.toLowerCase().startsWith(name))?.slice(name.length);
  const age = find("max-age=");
  if (age !== undefined && Number.isFinite(Number(age))) return Date.now() + Number(age) * 1000;
  const expires = Date.parse(find("expires=") ?? "");
  return Number.isNaN(expires) ? Infinity : expires;
}
