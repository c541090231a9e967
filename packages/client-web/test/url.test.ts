import assert from "node:assert/strict";
import { test } from "node:test";
import { originOf, parseAddress } from "../src/url.js";

function check(url: string | undefined, origin: string, path = "", query = "") {
  const address = parseAddress(url);
  assert.deepEqual([originOf(address, "http"), address.path, address.query], [origin, path, query], url);
}

/** Runs as if in a page at this address. */
function inPage(href: string, run: () => void) {
  const { host, protocol } = new URL(href);
  Object.assign(globalThis, { location: { host, protocol } });
  try {
    run();
  } finally {
    delete (globalThis as any).location;
  }
}

test("an address names server, namespace and query", () => {
  check("http://a.example", "http://a.example");
  check("http://a.example/", "http://a.example", "/");
  check("https://a.example:8443/admin?x=1&y=#z", "https://a.example:8443", "/admin", "x=1&y=");
  check("ws://a.example:3000/chat", "http://a.example:3000", "/chat");
  check("wss://user:secret@a.example/custom-ü/%20", "https://a.example", "/custom-ü/%20");
  check("http://a.example?x=1", "http://a.example", "", "x=1");
  check("http://[::1]:3000/admin", "http://[::1]:3000", "/admin");
  check("https://[2001:db8::1]", "https://[2001:db8::1]");
});

test("a scheme's own port is left out", () => {
  check("http://a.example:80/", "http://a.example", "/");
  check("https://a.example:443", "https://a.example");
  check("https://a.example:80", "https://a.example:80");
});

test("without a page what is missing is https, and localhost", () => {
  check("a.example:3000/admin", "https://a.example:3000", "/admin");
  check("localhost:3000", "https://localhost:3000");
  check("//a.example", "https://a.example");
  check(undefined, "http://localhost");
});

test("in a page what is missing is the page's", () => {
  inPage("http://page.example:8080/some/path?q", () => {
    check(undefined, "http://page.example:8080");
    check("/admin?x", "http://page.example:8080", "/admin", "x");
    check("//other.example/admin", "http://other.example", "/admin");
    check("other.example:1", "http://other.example:1");
  });
  inPage("https://page.example/", () => {
    check("/", "https://page.example", "/");
    check("http://other.example", "http://other.example");
  });
});
