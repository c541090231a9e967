// The demo page of `patera serve`, used as a person uses it: in Chromium, by its fields and buttons.
//
//   PATERA=target/release/patera node --test conformance/page/
//   BASE_URL=http://127.0.0.1:3000/ node --test conformance/page/      (without the test that restarts the server)

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connected, joinRoom, launchBrowser, openTab, say, showConversation, startServer } from "./stage.mjs";

let server;
let browser;

before(async () => {
  server = await startServer();
  browser = await launchBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs `body` with one connected tab per name; closes them, and fails on any fault in them. */
async function withTabs(names, body) {
  const tabs = [];
  try {
    for (const name of names) tabs.push(await openTab(browser, server.base, name));
    await body(...tabs);
  } catch (error) {
    for (const { close } of tabs) await close().catch(() => {});
    throw error;
  }
  for (const { close } of tabs) await close();
}

const texts = (page) => page.locator("#messages .text").allTextContents();
const waitForText = (page, text) => page.locator("#messages .text", { hasText: text }).first().waitFor();
const life = (page) => page.locator('#log [data-kind="life"] b').allTextContents();
const waitForLog = (page, kind, name) => page.locator(`#log [data-kind="${kind}"][data-name="${name}"]`).last().waitFor();
const publicly = (data) => ["sendMessageToServer", data];

/** Another client of the server, without the page around it: sends events and returns once all of them were handled. */
function guestSends(page, events) {
  return page.evaluate((all) => new Promise((resolve) => {
    const guest = new WebSocket("ws", "patera.json");
    guest.onopen = () => {
      for (const [event, ...args] of all) guest.send(JSON.stringify({ event, args }));
      // An acknowledged event: what came before it was handled before it.
      guest.send(JSON.stringify({ event: "private message", args: ["guest", "nobody", ""], ack: 1 }));
    };
    guest.onmessage = ({ data }) => {
      if (JSON.parse(data).ack !== 1) return;
      guest.close();
      resolve();
    };
  }), events);
}

const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

test("connects and shows its id, its transport and its life", () => withTabs(["Loki"], async ({ page, id }) => {
  assert.match(await id(), /^\S{8,}$/);
  assert.equal(await page.textContent("#state"), "connected");
  assert.equal(await page.textContent("#transport"), "native WebSocket");
  assert.deepEqual(await life(page), ["connecting", "connect"]);
  await waitForLog(page, "in", "news");
  await waitForLog(page, "out", "my other event");
}));

test("counts what the server pushes each second", () => withTabs(["Loki"], async ({ page }) => {
  const count = () => page.textContent("#push").then(Number);
  await page.waitForFunction(() => Number(document.getElementById("push").textContent) > 0);
  const first = await count();
  await page.waitForFunction((n) => Number(document.getElementById("push").textContent) >= n + 2, first);
  assert.equal(await page.textContent("#pushes"), String(await count()));
  assert.match(await page.textContent("#uptime"), /^00:00:\d\d$/);
}));

test("two tabs chat in public", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  await say(loki.page, "hello, naïve 🌋");
  await waitForText(pele.page, "hello, naïve 🌋");
  assert.equal(await pele.page.locator("#messages .name").last().textContent(), "Loki");
  await say(pele.page, "and back");
  await waitForText(loki.page, "and back");
  assert.deepEqual(await texts(loki.page), ["hello, naïve 🌋", "and back"]);
}));

test("markup in a message stays text", () => withTabs(["<i>Loki</i>", "Pele"], async (loki, pele) => {
  const text = "<img src=x onerror=alert(1)><b>bold</b>";
  await say(loki.page, text);
  await waitForText(pele.page, text);
  assert.equal(await pele.page.locator("#messages :is(img, i)").count(), 0);
  assert.equal(await pele.page.locator("#messages .name").last().textContent(), "<i>Loki</i>");
}));

test("who joins is told to everyone", () => withTabs(["Loki"], async ({ page }) => {
  const notes = await page.locator('#log [data-name="pub"]').count();
  const guest = await openTab(browser, server.base, "guest");
  await page.waitForFunction((n) => document.querySelectorAll('#log [data-name="pub"]').length > n, notes);
  await guest.close();
  await page.waitForFunction((n) => document.querySelectorAll('#log [data-name="pub"]').length > n + 1, notes);
}));

test("a private message reaches one tab and is acknowledged", () => withTabs(["Loki", "Pele", "Surt"], async (loki, pele, surt) => {
  await say(pele.page, "write to me");
  await loki.page.locator(".message .id").last().click();
  assert.equal(await loki.page.textContent("#title"), "Pele");
  await say(loki.page, "between us");
  await loki.page.locator('.receipt[data-state="there"]', { hasText: /acknowledged in [\d.]+ m?s/ }).waitFor();
  assert.match(await loki.page.textContent("#latency"), /^[\d.]+ m?s$/);

  await showConversation(pele.page, `direct:${await loki.id()}`);
  assert.deepEqual(await texts(pele.page), ["between us"]);
  await say(pele.page, "answer");
  await waitForText(loki.page, "answer");

  assert.equal(await surt.page.locator("#conversations button").count(), 1);
  assert.equal(await surt.page.locator('#log [data-name="private message"]').count(), 0);
}));

test("a private message to nobody says so", () => withTabs(["Loki"], async ({ page }) => {
  await page.fill("#peer", "nobody-has-this-id00");
  await page.press("#peer", "Enter");
  await say(page, "anybody there?");
  await page.locator('.receipt[data-state="gone"]', { hasText: "not delivered" }).waitFor();
}));

test("a room is read by those who joined it", () => withTabs(["Loki", "Pele", "Surt"], async (loki, pele, surt) => {
  await joinRoom(loki.page, "tea ☕");
  await joinRoom(pele.page, "tea ☕");
  // Its public message comes back after the join was handled: events of one connection keep their order.
  await showConversation(pele.page, "everyone:");
  await say(pele.page, "joined");
  await waitForText(pele.page, "joined");
  await say(loki.page, "only for the room");
  await pele.page.locator('[data-key="room:tea ☕"] .badge:not([hidden])').waitFor();
  await showConversation(pele.page, "room:tea ☕");
  assert.deepEqual(await texts(pele.page), ["only for the room"]);
  assert.deepEqual(await texts(loki.page), ["only for the room"]);
  await showConversation(loki.page, "everyone:");
  await say(loki.page, "last");
  await waitForText(surt.page, "last");
  assert.equal(await surt.page.locator('#log [data-name="roomMessage"]').count(), 0);
}));

test("sendMessageToOne arrives as getMessage", () => withTabs(["Loki"], async ({ page, id }) => {
  const toOne = { toId: await id(), from: "a guest", text: "to one" };
  await guestSends(page, [["sendMessageToOne", toOne]]);
  await showConversation(page, "direct:a guest");
  assert.deepEqual(await texts(page), ["to one"]);
}));

test("a lost connection comes back with its rooms", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  const before = await loki.id();
  await joinRoom(loki.page, "lobby");
  await joinRoom(pele.page, "lobby");
  await loki.page.click("#drop");
  await waitForLog(loki.page, "life", "reconnect");
  await connected(loki.page);
  const announced = await loki.page.locator('#log [data-name="reconnecting"] .detail').textContent();
  assert.match(announced, /^\(1\) in [\d.]+ m?s$/);
  assert.notEqual(await loki.id(), before);
  assert.deepEqual(await life(loki.page), [
    "connecting", "connect", "disconnect", "reconnecting", "connecting", "reconnect", "connect",
  ]);
  await say(loki.page, "back in the room");
  await waitForText(loki.page, "back in the room");
  await waitForText(pele.page, "back in the room");
}));

test("what is typed while away is kept", () => withTabs(["Loki"], async ({ page }) => {
  await page.click("#toggle");
  await page.waitForSelector('#status[data-state="idle"]');
  assert.equal(await page.isDisabled("#send"), true);
  assert.equal(await page.textContent("#sid"), "not connected");
  await say(page, "not lost");
  assert.equal(await page.inputValue("#text"), "not lost");
  await page.click("#toggle");
  await connected(page);
  await page.press("#text", "Enter");
  await waitForText(page, "not lost");
}));

test("a restarted server is found again", async (t) => {
  if (!server.restartable) return t.skip("the server at BASE_URL is not ours to restart");
  await withTabs(["Loki"], async ({ page }) => {
    await server.stop();
    await page.waitForSelector('#status[data-state="waiting"]');
    await waitForLog(page, "life", "connect_error");
    await server.start();
    await connected(page);
    await waitForLog(page, "life", "reconnect");
    await say(page, "after the restart");
    await waitForText(page, "after the restart");
  });
});

test("reconnection ends after its attempts and starts again by hand", async () => {
  let isRefusing = false;
  const prepare = (page) => page.routeWebSocket(/\/ws$/, (route) => {
    if (isRefusing) route.close();
    else route.connectToServer();
  });
  const query = "?reconnectionAttempts=3&reconnectionDelay=10";
  const { page, close } = await openTab(browser, server.base, "Loki", { prepare, query });
  isRefusing = true;
  await page.click("#drop");
  await page.waitForSelector('#status[data-state="failed"]');
  const steps = await life(page);
  assert.equal(steps.filter((step) => step === "reconnecting").length, 3);
  assert.equal(steps.filter((step) => step === "connect_error").length, 3);
  assert.equal(steps.at(-1), "reconnect_failed");
  isRefusing = false;
  await page.click("#toggle");
  await connected(page);
  await close();
});

test("the page keeps a bounded number of messages and log lines", () => withTabs(["Loki"], async ({ page }) => {
  const line = (_, n) => publicly({ from: "guest", name: "guest", text: `line ${n + 1}` });
  await guestSends(page, Array.from({ length: 260 }, line));
  await waitForText(page, "line 260");
  assert.equal(await page.locator("#messages > li").count(), 200);
  assert.equal(await page.locator("#log > li").count(), 200);
  const below = await page.locator("#scroll").evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  assert.ok(below < 2, `${below} px of the newest messages are hidden`);
}));

test("messages of any shape are shown and none breaks the page", () => withTabs(["Loki"], async ({ page }) => {
  const shapes = [
    "bare string", 42, null, [1, [2]], { text: { nested: true } }, { from: 7, name: {}, text: "odd" }, { base64: "AAEC" },
  ];
  await guestSends(page, [...shapes, "the end"].map(publicly));
  await waitForText(page, "the end");
  assert.equal((await texts(page)).length, shapes.length + 1);
}));

test("many conversations scroll and none covers another field", () => withTabs(["Loki"], async ({ page }) => {
  await page.setViewportSize({ width: 760, height: 640 });
  for (let n = 1; n <= 12; n += 1) await joinRoom(page, `room ${n}`);
  await showConversation(page, "room:room 1");
  assert.equal(await page.textContent("#title"), "# room 1");
  await page.fill("#peer", "somebody");
}));

test("the id is copied", async () => {
  const { page, id, close } = await openTab(browser, server.base, "Loki", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.click("#copy");
  await page.locator("#copy", { hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await id());
  await close();
});

test("the keyboard alone is enough", () => withTabs(["Loki"], async ({ page }) => {
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.type("first line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  await page.keyboard.press("Enter");
  await waitForText(page, "second line");
  assert.deepEqual(await texts(page), ["first line\nsecond line"]);
}));

const screens = {
  phone: { width: 360, height: 640 },
  tablet: { width: 760, height: 800 },
  desktop: { width: 1280, height: 800 },
};

for (const [what, viewport] of Object.entries(screens)) {
  test(`long texts wrap and nothing shifts: ${what}`, async () => {
    const watchShifts = (page) => page.addInitScript(() => {
      globalThis.shifts = 0;
      new PerformanceObserver((list) => { for (const { value } of list.getEntries()) globalThis.shifts += value; })
        .observe({ type: "layout-shift", buffered: true });
    });
    const { page, close } = await openTab(browser, server.base, "L".repeat(40), { viewport, prepare: watchShifts });
    await page.waitForFunction(() => Number(document.getElementById("push").textContent) > 0);
    await guestSends(page, [publicly({ from: "g".repeat(20), name: "G".repeat(40), text: "x".repeat(3000) })]);
    await waitForText(page, "xxx");
    for (const view of ["people", "chat", "connection"]) {
      if (what === "phone") await page.click(`[data-show="${view}"]`);
      assert.equal(await overflows(page), false, view);
    }
    const shifts = await page.evaluate(() => globalThis.shifts);
    assert.ok(shifts < 0.001, `layout shift ${shifts}`);
    await close();
  });
}
