// The conversations of this tab: everyone, one per joined room, one per id written to privately. Keeps a bounded number
// of messages of each and shows one of them. Knows nothing of the connection.

import { byId, clock, element, follow, shorten, shortId } from "./dom.js";
import * as pictures from "./pictures.js";

const MESSAGES_MAX = 200;
const CONVERSATIONS_MAX = 40;
const OWN_MAX = 100;
const NAMES_MAX = 1000;
const TEXT_MAX = 10_000;
const GROUP_WITHIN = 120_000;
const TINTS = 8;
// A socket id as the server makes them: 20 characters of URL-safe base64.
const SOCKET_ID = /(?<![\w-])[\w-]{20}(?![\w-])/g;

export class Chat {
  /** Called with an id that the reader wants to write to. */
  onPeer = () => {};
  /** Called when another conversation is shown. */
  onSelect = () => {};

  #conversations = new Map();
  #selected = null;
  #names = new Map();
  #own = new Set();
  #view = follow(byId("scroll"));

  constructor() {
    byId("latest").addEventListener("click", () => this.#view.toEnd());
    byId("scroll").addEventListener("scroll", () => {
      if (this.#view.isFollowing()) byId("latest").hidden = true;
    }, { passive: true });
    this.select(this.open("everyone", ""));
  }

  get selected() {
    return this.#selected;
  }

  rooms() {
    return [...this.#conversations.values()].filter(({ kind }) => kind === "room").map(({ target }) => target);
  }

  /** This tab's own id: messages from it are its own, also after a reconnection has given it another. */
  own(id) {
    this.#own.add(id);
    if (this.#own.size > OWN_MAX) this.#own.delete(this.#own.values().next().value);
  }

  isOwn(id) {
    return this.#own.has(id);
  }

  nameOf(id) {
    return this.#names.get(id) ?? shortId(id);
  }

  /** Finds or begins a conversation. `kind` is `everyone`, `room` or `direct`; `target` the room or the id. */
  open(kind, target) {
    const key = `${kind}:${target}`;
    const known = this.#conversations.get(key);
    if (known !== undefined) return known;
    const conversation = { key, kind, target, messages: [], unread: 0 };
    this.#conversations.set(key, conversation);
    this.#forgetOldest();
    this.#renderConversations();
    return conversation;
  }

  /** The conversation, if there is one. */
  find(kind, target) {
    return this.#conversations.get(`${kind}:${target}`);
  }

  /** Forgets a conversation; everyone's stays. */
  close(conversation) {
    if (conversation.kind === "everyone") return;
    this.#conversations.delete(conversation.key);
    if (conversation === this.#selected) this.select(this.find("everyone", ""));
    else this.#renderConversations();
  }

  select(conversation) {
    conversation.unread = 0;
    this.#selected = conversation;
    this.#renderConversations();
    this.#renderTitle();
    // Old messages that come into view are not news to be read out.
    byId("scroll").ariaLive = "off";
    byId("messages").replaceChildren(...conversation.messages.map((message) => message.item));
    requestAnimationFrame(() => { byId("scroll").ariaLive = "polite"; });
    byId("latest").hidden = true;
    this.#view.toEnd();
    this.onSelect(conversation);
  }

  /** Adds what somebody said: `image` is bytes, `size` its width and height, `missed` says that it came late. Returns a function that sets the receipt line below it. */
  say(conversation, { from, name, text, image, size, missed }) {
    if (from !== null && name !== null) this.#learn(from, name);
    const at = new Date();
    const previous = conversation.messages.at(-1);
    const grouped = previous?.from === from && previous.name === name && at - previous.at < GROUP_WITHIN;
    const receipt = element("p", { className: "receipt", hidden: true });
    const item = this.#messageItem({ from, name, text, image, size, missed, at, receipt });
    item.classList.toggle("grouped", grouped);
    item.classList.toggle("late", missed === true);
    this.#add(conversation, { item, from, name, at }, true);
    return (state, words) => {
      receipt.hidden = false;
      receipt.dataset.state = state;
      receipt.textContent = words;
      this.#view.settle();
    };
  }

  /** Adds a line of the page or of the server, such as who joined; `kind` is `good`, `bad` or nothing. */
  note(conversation, text, kind = "") {
    const at = new Date();
    const item = element("li", { className: "note", dataset: { kind } }, element("span", {}, ...this.#withIds(shorten(text, 500))), " ", time(at));
    this.#add(conversation, { item, from: undefined, name: undefined, at }, false);
  }

  #add(conversation, message, counts) {
    conversation.messages.push(message);
    const dropped = conversation.messages.length > MESSAGES_MAX ? conversation.messages.shift() : null;
    if (conversation === this.#selected) {
      const wasFollowing = this.#view.isFollowing();
      dropped?.item.remove();
      byId("messages").append(message.item);
      byId("latest").hidden = wasFollowing;
      this.#view.settle();
    } else if (counts) {
      conversation.unread += 1;
      this.#renderConversations();
    }
  }

  #messageItem({ from, name, text, image, size = [], missed, at, receipt }) {
    const shown = name ?? (from === null ? "somebody" : shortId(from));
    const isOwn = this.isOwn(from);
    const known = from !== null && !isOwn;
    const head = element("p", { className: "head" }, known ? this.#nameButton(from, shown) : element("b", { className: "name" }, shown));
    if (isOwn) head.append(element("span", { className: "tag" }, "you"));
    if (known) head.append(element("span", { className: "short" }, shortId(from)));
    head.append(time(at));
    const body = element("div", { className: "body" }, head);
    if (missed) body.append(element("p", { className: "missed" }, "missed while away"));
    if (text !== "") body.append(element("p", { className: "text" }, ...this.#withIds(shorten(text, TEXT_MAX))));
    const picture = image === undefined ? null : pictures.show(image, size, `Picture from ${shown}`);
    if (picture !== null) body.append(picture);
    else if (image !== undefined) body.append(element("p", { className: "text" }, `${image.byteLength} bytes that are no picture`));
    body.append(receipt);
    const avatar = element("span", { className: "avatar", ariaHidden: "true", dataset: { tint: tint(from ?? "") } }, [...shown][0]);
    return element("li", { className: "message" }, avatar, body);
  }

  #nameButton(id, name) {
    const button = element("button", { type: "button", className: "name", title: `Write to ${id} privately` },
      name, element("span", { className: "hidden" }, ": write privately"));
    button.addEventListener("click", () => this.onPeer(id));
    return button;
  }

  /** The text with each socket id in it made a button. */
  #withIds(text) {
    const parts = [];
    let end = 0;
    for (const { 0: id, index } of text.matchAll(SOCKET_ID)) {
      parts.push(text.slice(end, index), this.isOwn(id) ? "you" : this.#idButton(id, this.nameOf(id)));
      end = index + id.length;
    }
    parts.push(text.slice(end));
    return parts;
  }

  #idButton(id, label) {
    const button = element("button", { type: "button", className: "id", title: `Write to ${id} privately` }, label);
    button.addEventListener("click", () => this.onPeer(id));
    return button;
  }

  #learn(id, name) {
    if (this.#names.get(id) === name) return;
    this.#names.set(id, name);
    if (this.#names.size > NAMES_MAX) this.#names.delete(this.#names.keys().next().value);
    if (this.#conversations.has(`direct:${id}`)) {
      this.#renderConversations();
      this.#renderTitle();
    }
  }

  /** Many strangers may write to this tab: the oldest private conversation that is not shown makes room. */
  #forgetOldest() {
    if (this.#conversations.size <= CONVERSATIONS_MAX) return;
    const oldest = [...this.#conversations.values()].find((one) => one.kind === "direct" && one !== this.#selected);
    if (oldest !== undefined) this.#conversations.delete(oldest.key);
  }

  #renderConversations() {
    const all = [...this.#conversations.values()];
    const focused = document.activeElement?.dataset.key;
    byId("conversations").replaceChildren(...all.map((one) => this.#conversationItem(one)));
    if (focused !== undefined) {
      [...byId("conversations").querySelectorAll("button")].find(({ dataset }) => dataset.key === focused)?.focus();
    }
    const unread = all.reduce((sum, one) => sum + one.unread, 0);
    byId("unread").hidden = unread === 0;
    byId("unread").textContent = unread > 99 ? "99+" : unread;
  }

  #conversationItem(conversation) {
    const { kind, key, target, unread } = conversation;
    const sign = { everyone: "∗", room: "#", direct: "@" }[kind];
    const button = element("button", { type: "button", title: target, dataset: { key } },
      element("span", { className: "sign", ariaHidden: "true" }, sign),
      element("span", { className: "label" }, this.#label(conversation)),
      element("span", { className: "badge", hidden: unread === 0 }, unread > 99 ? "99+" : String(unread),
        element("span", { className: "hidden" }, " unread")));
    if (conversation === this.#selected) button.ariaCurrent = "true";
    button.addEventListener("click", () => this.select(conversation));
    return element("li", {}, button);
  }

  #renderTitle() {
    const { kind, target } = this.#selected;
    const label = this.#label(this.#selected);
    const words = {
      everyone: {
        title: "Everyone",
        subtitle: "Public: every connected client reads this",
        field: "Message everyone",
        empty: "Nobody has spoken yet. Open this page in a second tab and say hello.",
        leave: "",
      },
      room: {
        title: `# ${label}`,
        subtitle: "Only those who joined this room read this",
        field: `Message # ${label}`,
        empty: "Join this room in a second tab, and talk in it.",
        leave: "Leave",
      },
      direct: {
        title: label,
        subtitle: `Private, to ${target}`,
        field: `Message ${label} privately`,
        empty: "Nothing yet between you two.",
        leave: "Close",
      },
    }[kind];
    byId("title").textContent = words.title;
    byId("subtitle").textContent = words.subtitle;
    byId("text-label").textContent = words.field;
    byId("text").placeholder = words.field;
    byId("empty").textContent = words.empty;
    byId("leave").textContent = words.leave;
    byId("leave").hidden = words.leave === "";
  }

  #label({ kind, target }) {
    if (kind === "everyone") return "Everyone";
    return kind === "room" ? target : this.nameOf(target);
  }
}

function time(date) {
  return element("time", { dateTime: date.toISOString() }, clock(date));
}

/** The same colour for the same id, in every tab. */
function tint(id) {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return String(hash % TINTS);
}
