// The address that `io()` is given: where the server is, and which namespace is meant.

/** An address, taken apart. */
export interface Address {
  secure: boolean;
  /** A name, or an IP address; of version 6 without brackets. */
  hostname: string;
  /** Empty if it is the scheme's own. */
  port: string;
  /** What stands behind the authority: `io()` takes it for a namespace. Empty or with a `/` in front. */
  path: string;
  /** Without the `?`. */
  query: string;
}

/** By hand and not by `URL`, which would escape the namespace: `//user@host:port/path?query#fragment`. */
const pattern = /^(?:([\w+.-]+):)?\/\/(?:[^/?#]*@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?([^?#]*)\??([^#]*)/;

/**
 * Takes an address apart. What is missing comes from the page's own; where there is no page that is `https:`, or `http://localhost` without any
 * address.
 *
 * `undefined` → the page's origin; `/admin` → a namespace of it; `host:port/admin`, `//host`, `wss://host/…`.
 */
export function parseAddress(url?: string): Address {
  const page: Location | undefined = globalThis.location;
  let text = url ?? "";
  if (page && /^(\/(?!\/)|$)/.test(text)) text = `//${page.host}${text}`;
  if (!/^[\w+.-]+:\/\/|^\/\//.test(text)) text = `//${text}`;
  const [, scheme = page?.protocol.slice(0, -1) ?? (url ? "https" : "http"), host, port = "", path = "", query = ""] = pattern.exec(text) ?? [];
  const secure = /^(https|wss)$/.test(scheme);
  return { secure, hostname: host?.replace(/[[\]]/g, "") || "localhost", port: port === (secure ? "443" : "80") ? "" : port, path, query };
}

/** `scheme://host:port` of an address; `scheme` is without its `s`. */
export function originOf({ secure, hostname, port }: Pick<Address, "secure" | "hostname" | "port">, scheme: string): string {
  return `${scheme}${secure ? "s" : ""}://${hostname.includes(":") ? `[${hostname}]` : hostname}${port && `:${port}`}`;
}
