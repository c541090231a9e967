// The demo page of `patera serve`, used as a person uses it: in Chromium, by its fields and buttons.
//
//   PATERA=target/release/patera node --test conformance/page/
//   BASE_URL=http://127.0.0.1:3000/ node --test conformance/page/      (without the test that restarts the server)

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attach, connected, drawPicture, joinRoom, launchBrowser, logged, openTab, say, showConversation, startServer } from "./stage.mjs";

const FAST = "?reconnectionDelay=50&reconnectionDelayMax=100";
/** What the server takes in one message, without what the page sets aside for all but the picture. */
const PICTURE_MAX = 1_000_000 - 16_384;

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
async function withTabs(names, body, options) {
  const tabs = await Promise.all(names.map((name) => openTab(browser, server.base, name, options)));
  try {
    await body(...tabs);
  } catch (error) {
    for (const { close } of tabs) await close().catch(() => {});
    throw error;
  }
  for (const { close } of tabs) await close();
}

const texts = (page) => page.locator("#messages .text").allTextContents();
const waitForText = (page, text) => page.locator("#messages .text", { hasText: text }).first().waitFor();
const waitForNote = (page, text) => page.locator("#messages .note", { hasText: text }).first().waitFor();
const life = (page) => page.locator('#log [data-kind="life"] b').allTextContents();
const publicly = (data) => ["sendMessageToServer", data];
const file = (buffer, name = "volcano.png", mimeType = "image/png") => ({ name, mimeType, buffer });

/** Another client of the server, without the page around it: sends events and returns once all of them were handled. */
function guestSends(page, events) {
  return page.evaluate((all) => new Promise((resolve) => {
    const guest = new WebSocket("ws", "patera.json");
    guest.onopen = () => {
      for (const [event, ...args] of all) guest.send(JSON.stringify({ event, args }));
      // An acknowledged event: what came before it was handled before it.
      guest.send(JSON.stringify({ event: "echo", args: ["done"], ack: 1 }));
    };
    guest.onmessage = ({ data }) => {
      if (JSON.parse(data).ack !== 1) return;
      guest.close();
      resolve();
    };
  }), events);
}

/** Waits for the newest picture of the chat and tells its size in pixels. */
async function newestPicture(page, nth = 0) {
  const image = page.locator(".picture img").nth(nth);
  await image.waitFor();
  return image.evaluate(async (shown) => {
    await shown.decode();
    return [shown.naturalWidth, shown.naturalHeight];
  });
}

const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

test("connects, upgrades, and shows each step with its time", () => withTabs(["Loki"], async ({ page, id }) => {
  assert.match(await id(), /^\S{8,}$/);
  assert.equal(await page.textContent("#state"), "connected");
  assert.equal(await page.textContent("#transport"), "polling → websocket");
  assert.match(await page.textContent("#upgraded"), /^upgraded after \d+ ms, at \d\d:\d\d:\d\d$/);
  await logged(page, "message");
  const steps = await life(page);
  assert.deepEqual(steps.slice(0, 2), ["connecting", "connect"]);
  assert.deepEqual(steps.slice(2).sort(), ["message", "upgrade"]);
  for (const time of await page.locator("#log time").allTextContents()) assert.match(time, /^\d\d:\d\d:\d\d\.\d{3}$/);
  await page.check("#packets");
  for (const [name, kind] of [["news", "in"], ["my other event", "out"]]) {
    await page.locator(`#log [data-kind="${kind}"][data-name="${name}"]`).waitFor();
  }
  await page.waitForFunction(() => /^[\d.]+ m?s$/.test(document.getElementById("latency").textContent));
}));

test("counts what the server pushes each second", () => withTabs(["Loki"], async ({ page }) => {
  const count = () => page.textContent("#push").then(Number);
  await page.waitForFunction(() => Number(document.getElementById("push").textContent) > 0);
  const first = await count();
  await page.waitForFunction((n) => Number(document.getElementById("push").textContent) >= n + 2, first);
  assert.match(await page.textContent("#uptime"), /^00:00:\d\d$/);
}));

test("two tabs chat in public", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  await say(loki.page, "hello, naïve 🌋");
  await waitForText(pele.page, "hello, naïve 🌋");
  assert.equal(await pele.page.locator("#messages button.name").last().textContent(), "Loki: write privately");
  await say(pele.page, "and back");
  await waitForText(loki.page, "and back");
  assert.deepEqual(await texts(loki.page), ["hello, naïve 🌋", "and back"]);
}));

test("markup in a message, a name and a room stays text", () => withTabs(["<i>Loki</i>", "Pele"], async (loki, pele) => {
  const text = "<img src=x onerror=alert(1)><b>bold</b>";
  await say(loki.page, text);
  await waitForText(pele.page, text);
  assert.equal(await pele.page.locator("#messages .name").last().textContent(), "<i>Loki</i>: write privately");
  await joinRoom(pele.page, text);
  await waitForNote(pele.page, `You joined ${text}`);
  for (const { page } of [loki, pele]) assert.equal(await page.locator(":is(#messages, #title, #conversations) :is(img, i)").count(), 0);
}));

test("who joins and who leaves is told to everyone", () => withTabs(["Loki"], async ({ page }) => {
  const guest = await openTab(browser, server.base, "guest");
  const short = (await guest.id()).slice(0, 5);
  await waitForNote(page, new RegExp(`^${short}….. joined`));
  await guest.close();
  await waitForNote(page, new RegExp(`^${short}….. left: `));
}));

test("a click on a name writes privately: to one tab, acknowledged", () => withTabs(["Loki", "Pele", "Surt"], async (loki, pele, surt) => {
  await say(pele.page, "write to me");
  await loki.page.locator(".message button.name").last().click();
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
  await page.click("#leave");
  assert.equal(await page.locator("#conversations button").count(), 1);
}));

test("a room is read by those who joined it, until they leave", () => withTabs(["Loki", "Pele", "Surt"], async (loki, pele, surt) => {
  for (const { page } of [loki, pele]) {
    await joinRoom(page, "tea ☕");
    await waitForNote(page, "You joined tea ☕");
  }
  await showConversation(pele.page, "everyone:");
  await say(loki.page, "only for the room");
  await pele.page.locator('[data-key="room:tea ☕"] .badge:not([hidden])').waitFor();
  await showConversation(pele.page, "room:tea ☕");
  assert.deepEqual(await texts(pele.page), ["only for the room"]);
  assert.deepEqual(await texts(loki.page), ["only for the room"]);

  await pele.page.click("#leave");
  await waitForNote(pele.page, "You left tea ☕");
  assert.equal(await pele.page.locator("#conversations button").count(), 1);
  await say(loki.page, "without you");
  await waitForText(loki.page, "without you");
  await showConversation(loki.page, "everyone:");
  await say(loki.page, "last");
  for (const { page } of [surt, pele]) await waitForText(page, "last");
  assert.equal(await surt.page.locator('#log [data-name="roomMessage"]').count(), 0);
  assert.equal(await pele.page.locator('#log [data-name="roomMessage"]').count(), 1);
}));

test("sendMessageToOne arrives as getMessage", () => withTabs(["Loki"], async ({ page, id }) => {
  const toOne = { toId: await id(), from: "a guest", text: "to one" };
  await guestSends(page, [["sendMessageToOne", toOne]]);
  await showConversation(page, "direct:a guest");
  assert.deepEqual(await texts(page), ["to one"]);
}));

test("a picture is chosen, pasted or dropped, and goes to everyone, a room, or one", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  const png = await drawPicture(browser, 64, 40);
  await attach(loki.page, file(png));
  assert.match(await loki.page.textContent("#attached"), /volcano\.png\d+ k?B \(limit 984 kB\)/);
  await say(loki.page, "to everyone");
  for (const { page } of [loki, pele]) assert.deepEqual(await newestPicture(page), [64, 40]);
  assert.equal(await loki.page.isHidden("#attached"), true);

  for (const { page } of [loki, pele]) {
    await joinRoom(page, "gallery");
    await waitForNote(page, "You joined gallery");
  }
  await give(loki.page, "paste", "#text", png);
  await loki.page.press("#text", "Enter");
  for (const { page } of [loki, pele]) assert.deepEqual(await newestPicture(page), [64, 40]);
  assert.deepEqual(await texts(pele.page), [], "a picture needs no text");

  await pele.page.locator(".message button.name").last().click();
  await give(pele.page, "drop", "#chat", png);
  await pele.page.click("#send");
  await pele.page.locator('.receipt[data-state="there"]').waitFor();
  await showConversation(loki.page, `direct:${await pele.id()}`);
  assert.deepEqual(await newestPicture(loki.page), [64, 40]);
}));

/** Pastes or drops a file, as the browser would tell it. */
async function give(page, how, selector, bytes) {
  await page.locator(selector).evaluate((target, { how, bytes }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
    const init = { bubbles: true, cancelable: true };
    const event = how === "paste"
      ? new ClipboardEvent(how, { ...init, clipboardData: transfer })
      : new DragEvent(how, { ...init, dataTransfer: transfer });
    target.dispatchEvent(event);
  }, { how, bytes: [...bytes] });
  await page.waitForSelector("#attached");
}

for (const [transports, max] of [["polling", Math.floor(PICTURE_MAX * 3 / 4)], ["websocket", PICTURE_MAX]]) {
  test(`the largest picture passes over ${transports}, one byte more is refused politely`, () => withTabs(["Loki", "Pele"], async (loki, pele) => {
    const largest = await drawPicture(browser, 80, 50, max);
    assert.equal(largest.length, max);
    await loki.page.setInputFiles("#file", file(Buffer.concat([largest, Buffer.alloc(1)]), "large.png"));
    await loki.page.locator("#refusal", { hasText: /“large\.png” has \d+ kB, and this server takes \d+ kB at the most/ }).waitFor();
    assert.equal(await loki.page.isHidden("#attached"), true);
    await attach(loki.page, file(largest));
    assert.equal(await loki.page.isHidden("#refusal"), true);
    await say(loki.page, "x".repeat(4000));
    for (const { page } of [loki, pele]) assert.deepEqual(await newestPicture(page), [80, 50]);
    assert.equal(await loki.page.textContent("#state"), "connected");
    assert.equal((await life(loki.page)).includes("disconnect"), false);
  }, { query: `?transports=${transports}` }));
}

test("what is no picture is neither sent nor shown", () => withTabs(["Loki"], async ({ page }) => {
  const others = [["notes.txt", "text/plain", "text"], ["drawing.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"], ["empty.png", "image/png", ""]];
  for (const [name, type, content] of others) {
    await page.setInputFiles("#file", file(Buffer.from(content), name, type));
    await page.locator("#refusal", { hasText: `“${name}” is no picture that can be sent` }).waitFor();
  }
  const broken = Buffer.from("\x89PNG\r\n\x1a\nand then nothing", "latin1");
  await page.setInputFiles("#file", file(broken, "broken.png"));
  await page.locator("#refusal", { hasText: "“broken.png” is a picture that this browser cannot show" }).waitFor();
  const bytes = Buffer.from("<script>alert(1)</script>").toString("base64");
  await guestSends(page, [publicly({ name: "guest", text: "look", image: { base64: bytes } }), publicly({ text: "odd", image: "text" })]);
  await waitForText(page, "odd");
  assert.deepEqual(await texts(page), ["look", "25 bytes that are no picture", "odd"]);
  assert.equal(await page.locator(".picture").count(), 0);
  await guestSends(page, [publicly({ name: "guest", image: { base64: broken.toString("base64") } })]);
  await page.locator(".picture", { hasText: "a picture that this browser cannot show" }).waitFor();
}));

test("a picture whose sender is wrong about its size is shown all the same", () => withTabs(["Loki"], async ({ page }) => {
  const base64 = (await drawPicture(browser, 64, 40)).toString("base64");
  const sizes = [[], [0, 40], [64], ["64", "40"], [1e9, 1e9], [64, 20_001], { 0: 64, 1: 40 }, null, "64", [20_000, 1], [1, 20_000]];
  await guestSends(page, sizes.map((size) => publicly({ name: "guest", image: { base64 }, size })));
  for (const nth of sizes.keys()) assert.deepEqual(await newestPicture(page, nth), [64, 40]);
  assert.equal(await overflows(page), false);
}));

test("only so many pictures are kept", () => withTabs(["Loki"], async ({ page }) => {
  const base64 = (await drawPicture(browser, 8, 5)).toString("base64");
  await guestSends(page, [...Array(42)].map((_, n) => publicly({ name: "guest", text: `picture ${n}`, image: { base64 } })));
  await waitForText(page, "picture 41");
  assert.equal(await page.locator(".picture img").count(), 40);
  assert.equal(await page.locator(".picture", { hasText: "made room for newer ones" }).count(), 2);
}));

test("the plug: what was missed arrives, what was written goes out, the id stays", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  const id = await loki.id();
  await say(pele.page, "before");
  await waitForText(loki.page, "before");
  for (const { page } of [loki, pele]) {
    await joinRoom(page, "lobby");
    await waitForNote(page, "You joined lobby");
  }
  await showConversation(loki.page, "everyone:");
  await loki.page.click("#plug");
  await logged(loki.page, "connect_failed", "life", 1);
  await loki.page.waitForFunction(() => /^reconnecting \(\d+\)$/.test(document.getElementById("state").textContent));
  assert.equal(await loki.page.textContent("#transport"), "none");
  await say(loki.page, "written while away");
  await loki.page.locator("#hint", { hasText: "1 message will be sent" }).waitFor();

  await say(pele.page, "in the room");
  await showConversation(pele.page, "everyone:");
  await attach(pele.page, file(await drawPicture(browser, 64, 40, 900_000)));
  await say(pele.page, "in public");
  await waitForText(pele.page, "in public");
  await pele.page.fill("#peer", id);
  await pele.page.press("#peer", "Enter");
  await say(pele.page, "in private");
  await pele.page.locator(".receipt", { hasText: "nobody has this id" }).waitFor();

  await loki.page.click("#plug");
  await waitForNote(loki.page, "Recovered, 3 messages:");
  await waitForText(loki.page, "written while away");
  assert.equal(await loki.id(), id);
  assert.deepEqual(await texts(loki.page), ["before", "in public", "written while away"]);
  assert.deepEqual(await newestPicture(loki.page), [64, 40]);
  assert.equal(await loki.page.locator(".late .text").textContent(), "in public");
  await showConversation(loki.page, "room:lobby");
  assert.deepEqual(await texts(loki.page), ["in the room"]);
  await showConversation(loki.page, `direct:${await pele.id()}`);
  assert.deepEqual(await texts(loki.page), ["in private"]);
  const steps = await life(loki.page);
  const inOrder = ["connecting", "connect", "upgrade", "disconnect", "reconnecting", "connect_error", "connect_failed", "error", "reconnect", "recovered"];
  assert.deepEqual(inOrder.map((name) => steps.indexOf(name)), inOrder.map((name) => steps.indexOf(name)).toSorted((a, b) => a - b));
  assert.equal(steps.includes("recovered") && steps.includes("upgrade"), true);
  assert.match(await loki.page.locator('#log [data-name="recovered"] .detail').textContent(), /^3 messages and \d+ other events? that were missed$/);
}, { query: FAST }));

test("the plug over polling alone", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  const id = await loki.id();
  assert.equal(await loki.page.textContent("#transport"), "polling");
  await loki.page.click("#plug");
  await logged(loki.page, "connect_failed");
  await say(pele.page, "missed");
  await waitForText(pele.page, "missed");
  await loki.page.click("#plug");
  await waitForNote(loki.page, "Recovered, 1 message:");
  assert.deepEqual([await loki.id(), await texts(loki.page)], [id, ["missed"]]);
  assert.equal((await life(loki.page)).includes("upgrade"), false);
}, { query: `${FAST}&transports=polling` }));

test("who disconnects by hand starts anew, with the rooms and what was typed", () => withTabs(["Loki", "Pele"], async (loki, pele) => {
  const { page } = loki;
  const before = await loki.id();
  for (const tab of [loki, pele]) await joinRoom(tab.page, "lobby");
  await waitForNote(pele.page, "You joined lobby");
  await page.click("#toggle");
  await page.waitForSelector('#status[data-state="idle"]');
  assert.equal(await page.isDisabled("#send"), true);
  assert.equal(await page.textContent("#sid"), "not connected");
  await say(page, "not lost");
  assert.equal(await page.inputValue("#text"), "not lost");
  await page.click("#toggle");
  await connected(page);
  await logged(page, "connect", "life", 1);
  assert.notEqual(await loki.id(), before);
  await page.press("#text", "Enter");
  for (const tab of [loki, pele]) await waitForText(tab.page, "not lost");
  assert.equal((await life(page)).includes("recovered"), false);
  assert.equal(await page.locator(".note", { hasText: "Not recovered" }).count(), 0, "nobody wanted it back");
}));

test("a server that was killed is found again, with the rooms", async (t) => {
  if (!server.restartable) return t.skip("the server at BASE_URL is not ours to restart");
  await withTabs(["Loki", "Pele"], async (loki, pele) => {
    const before = await loki.id();
    for (const { page } of [loki, pele]) {
      await joinRoom(page, "lobby");
      await waitForNote(page, "You joined lobby");
    }
    await server.stop();
    await logged(loki.page, "connect_error");
    await say(loki.page, "waits for the server");
    await server.start();
    for (const { page } of [loki, pele]) {
      await logged(page, "reconnect");
      await connected(page);
      await page.locator(".note", { hasText: "You joined lobby" }).nth(1).waitFor();
    }
    assert.notEqual(await loki.id(), before);
    await waitForText(loki.page, "waits for the server");
    await say(pele.page, "after the restart");
    for (const { page } of [loki, pele]) await waitForText(page, "after the restart");
    await showConversation(loki.page, "everyone:");
    await waitForNote(loki.page, "Not recovered");
    assert.equal((await life(loki.page)).includes("recovered"), false);
  }, { query: FAST });
});

test("reconnection ends after its attempts and starts again by hand", () => withTabs(["Loki"], async ({ page }) => {
  await page.click("#plug");
  await page.waitForSelector('#status[data-state="failed"]');
  const steps = await life(page);
  for (const step of ["reconnecting", "connect_error", "connect_failed"]) assert.equal(steps.filter((one) => one === step).length, 3, step);
  assert.equal(steps.at(-1), "reconnect_failed");
  await page.click("#plug");
  await page.click("#toggle");
  await connected(page);
  await waitForNote(page, "Recovered, 0 messages:");
}, { query: "?reconnectionAttempts=3&reconnectionDelay=10&reconnectionDelayMax=20" }));

for (const transport of ["polling", "websocket"]) {
  test(`${transport} alone, by the page's address`, () => withTabs(["Loki", "Pele"], async (loki, pele) => {
    assert.equal(await loki.page.textContent("#transport"), transport);
    await say(loki.page, "over one transport");
    await waitForText(pele.page, "over one transport");
    assert.equal(await loki.page.textContent("#upgraded"), "–");
    assert.equal((await life(loki.page)).includes("upgrade"), false);
  }, { query: `?transports=${transport}` }));
}

test("an address that asks for nonsense gets the defaults", () => withTabs(["Loki"], async ({ page }) => {
  await logged(page, "upgrade");
  assert.equal(await page.textContent("#transport"), "polling → websocket");
}, { query: "?transports=pigeon,&reconnectionDelay=-1&timeout=x&__proto__=1&toString=1" }));

test("the newest picture is in view, unless the reader has scrolled up", () => withTabs(["Loki"], async ({ page }) => {
  const base64 = (await drawPicture(browser, 400, 300)).toString("base64");
  const send = (n) => guestSends(page, Array.from({ length: n }, () => publicly({ name: "guest", text: "look", image: { base64 } })));
  const isAtEnd = () => page.locator("#scroll").evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2);
  await send(3);
  await page.locator(".picture figcaption").nth(2).waitFor();
  await page.waitForFunction(() => {
    const { bottom } = [...document.querySelectorAll(".picture")].at(-1).getBoundingClientRect();
    return bottom <= document.getElementById("scroll").getBoundingClientRect().bottom;
  });
  // Who scrolls at the moment when a line comes has to scroll again: until it has held for some frames.
  await page.waitForFunction(() => {
    const box = document.getElementById("scroll");
    globalThis.frames = box.scrollTop === 0 ? (globalThis.frames ?? 0) + 1 : 0;
    box.scrollTop = 0;
    return globalThis.frames > 5;
  });
  await send(1);
  await page.locator("#latest:not([hidden])").waitFor();
  assert.equal(await isAtEnd(), false);
  await page.click("#latest");
  assert.equal(await isAtEnd(), true);
}));

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
    "bare string", 42, null, [1, [2]], { text: { nested: true } }, { from: 7, name: {}, text: "odd" }, { base64: "AAEC" }, {},
  ];
  await guestSends(page, [...shapes, { name: "N".repeat(10_000), text: "the end" }].map(publicly));
  await waitForText(page, "the end");
  assert.equal((await texts(page)).length, shapes.length + 1);
  assert.equal(await page.locator(".name").last().textContent(), "N".repeat(40));
}));

test("a private message whose sender is none can be read all the same", () => withTabs(["Loki"], async ({ page, id }) => {
  const to = await id();
  const senders = ["i".repeat(129), "", null, { id: 1 }];
  await guestSends(page, [...senders.map((from, n) => ["private message", from, to, `odd ${n}`]), ["private message", "i".repeat(128), to, "long"]]);
  await page.locator("#conversations button").nth(1).waitFor();
  assert.deepEqual(await texts(page), ["odd 0", "odd 1", "odd 2", "odd 3"]);
  await showConversation(page, `direct:${"i".repeat(128)}`);
  assert.deepEqual(await texts(page), ["long"]);
  assert.equal(await overflows(page), false);
}));

test("many conversations scroll and none covers another field", () => withTabs(["Loki"], async ({ page }) => {
  await page.setViewportSize({ width: 760, height: 640 });
  for (let n = 1; n <= 12; n += 1) await joinRoom(page, `room ${n}`);
  await showConversation(page, "room:room 1");
  assert.equal(await page.textContent("#title"), "# room 1");
  await page.fill("#peer", "somebody");
}));

test("the id is copied", () => withTabs(["Loki"], async ({ page, id }) => {
  await page.click("#copy");
  await page.locator("#copy", { hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await id());
}, { permissions: ["clipboard-read", "clipboard-write"] }));

test("the keyboard alone is enough, and one sees where it is", () => withTabs(["Loki"], async ({ page }) => {
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.type("first line");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second line");
  await page.keyboard.press("Enter");
  await waitForText(page, "second line");
  assert.deepEqual(await texts(page), ["first line\nsecond line"]);

  const order = [];
  for (const end = performance.now() + 5_000; performance.now() < end && order.at(-1) !== "log-scroll";) {
    await page.keyboard.press("Tab");
    const [id, outline] = await page.evaluate(() => {
      const { id, dataset } = document.activeElement;
      return [id || dataset.key || "", getComputedStyle(document.activeElement).outlineStyle];
    });
    assert.notEqual(outline, "none", id);
    if (id === "plug") {
      await page.keyboard.press("Enter");
      await logged(page, "disconnect");
      await page.keyboard.press("Space");
      await logged(page, "recovered");
    }
    order.push(id);
  }
  // Behind the message field comes the panel on its right; what is disabled or hidden is passed over.
  assert.deepEqual(order.filter(Boolean), ["choose", "send", "plug", "toggle", "packets", "log-scroll"]);
}));

test("every field and button has a name, and what changes is read out", () => withTabs(["Loki"], async ({ page }) => {
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input:not([hidden]), textarea")]
    .filter((one) => !(one.ariaLabel || one.labels?.[0]?.textContent.trim() || (one.tagName === "BUTTON" && (one.hidden || one.textContent.trim()))))
    .map((one) => one.outerHTML));
  assert.deepEqual(nameless, []);
  assert.equal(await page.getByRole("log", { name: "Everyone" }).getAttribute("aria-live"), "polite");
  assert.equal(await page.getByRole("log", { name: /Connection life/ }).getAttribute("aria-live"), "polite");
  assert.equal(await page.getAttribute("#state", "role"), "status");
}));

const screens = {
  phone: { width: 360, height: 640 },
  "phone on its side": { width: 740, height: 360 },
  tablet: { width: 760, height: 800 },
  desktop: { width: 1280, height: 800 },
};

for (const [what, viewport] of Object.entries(screens)) {
  test(`long texts wrap and nothing shifts: ${what}`, async () => {
    const watchShifts = (page) => page.addInitScript(() => {
      globalThis.shifts = [];
      const tell = ({ value, sources }) => ({ value, what: sources.map(({ node }) => node?.outerHTML?.slice(0, 60)).join() });
      new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries().map(tell))).observe({ type: "layout-shift", buffered: true });
    });
    const { page, close } = await openTab(browser, server.base, "L".repeat(40), { viewport, prepare: watchShifts });
    await page.waitForFunction(() => Number(document.getElementById("push").textContent) > 0);
    const base64 = (await drawPicture(browser, 1600, 100)).toString("base64");
    await guestSends(page, [publicly({ from: "g".repeat(20), name: "G".repeat(40), text: "x".repeat(3000), image: { base64 }, size: [1600, 100] })]);
    await waitForText(page, "xxx");
    await newestPicture(page);
    for (const view of ["people", "chat", "connection"]) {
      if (what.startsWith("phone")) await page.click(`[data-show="${view}"]`);
      assert.equal(await overflows(page), false, view);
    }
    const logHeight = await page.locator("#log-scroll").evaluate((box) => box.clientHeight);
    assert.ok(logHeight >= 120, `the log has ${logHeight} px`);
    const shifts = await page.evaluate(() => globalThis.shifts);
    assert.ok(shifts.reduce((sum, { value }) => sum + value, 0) < 0.001, JSON.stringify(shifts));
    await close();
  });
}

for (const colorScheme of ["light", "dark"]) {
  test(`all text can be read: ${colorScheme}`, () => withTabs(["Loki", "Pele"], async (loki, pele) => {
    await say(pele.page, "hello");
    await loki.page.locator("button.name").click();
    await say(loki.page, "hello");
    await loki.page.locator(".receipt[data-state='there']").waitFor();
    await showConversation(loki.page, "everyone:");
    await loki.page.setInputFiles("#file", file(Buffer.from("x")));
    await loki.page.check("#packets");
    await loki.page.click("#plug");
    await waitForNote(loki.page, "Disconnected");
    const faint = await loki.page.evaluate(findFaintTexts, 4.5);
    assert.deepEqual(faint, []);
  }, { colorScheme }));
}

/** Visible texts whose contrast with what is behind them is less than WCAG's `least`. Runs in the page. */
function findFaintTexts(least) {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !element.checkVisibility() || element.closest(":disabled, noscript, .hidden, .skip")) continue;
    const backgrounds = [];
    for (let one = element; one; one = one.parentElement) backgrounds.unshift(getComputedStyle(one).backgroundColor);
    const [text, ground] = [over([...backgrounds, getComputedStyle(element).color]), over(backgrounds)];
    const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    if (contrast < least) faint.push(`${node.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return faint;
}
