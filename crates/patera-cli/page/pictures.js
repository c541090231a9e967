// Pictures: those that the reader is about to send, and those that came. What comes is bytes of a stranger: it is shown if
// it begins as a raster image does, as an image and nothing else, and only so many are kept.

import { byId, element } from "./dom.js";

const KEPT_MAX = 40;
const KEPT_BYTES_MAX = 32_000_000;

/** How files of these types begin; `.` is any byte. SVG is not among them: it is a document, not a picture. */
const BEGINNINGS = {
  "image/png": "\x89PNG\r\n\x1a\n",
  "image/jpeg": "\xff\xd8\xff",
  "image/gif": "GIF8",
  "image/webp": "RIFF....WEBP",
  "image/avif": "....ftypavif",
  "image/bmp": "BM",
};

/** Shown pictures, the oldest first: their URLs, elements and sizes. */
const kept = [];

/** Pixels of one side that are believed; and that the chat gives to the height of one, as in style.css. */
const SIDE_MAX = 20_000;
const SHOWN_HEIGHT_MAX = 260;

/**
 * A picture that came, as an element; null if these are no bytes of a picture. `size`, if the sender told it, is
 * `[width, height]`: the place that is kept for it until it is loaded.
 */
export function show(bytes, size, alt) {
  const view = viewOf(bytes);
  const type = view && typeOf(view);
  if (!type) return null;
  const url = URL.createObjectURL(new Blob([view], { type }));
  const image = element("img", { src: url, alt, decoding: "async" });
  const isPlaceKept = keepPlace(image, size);
  const link = element("a", { href: url, target: "_blank", rel: "noopener", title: "Open the picture in a tab of its own" }, image);
  const words = element("span", {}, `${type.slice("image/".length).toUpperCase()}, ${inWords(view.byteLength)}`);
  const caption = element("figcaption", {}, words);
  const figure = element("figure", { className: "picture" }, link);
  // Where its height is not known before, a caption that was there would jump.
  if (isPlaceKept) figure.append(caption);
  else image.addEventListener("load", () => figure.append(caption));
  image.addEventListener("error", () => {
    words.textContent = "a picture that this browser cannot show";
    link.replaceWith(caption);
  });
  keep({ url, link, caption, words, bytes: view.byteLength });
  return figure;
}

/** Whether the size can be believed. */
function keepPlace(image, [width, height]) {
  const isSide = (pixels) => Number.isInteger(pixels) && pixels >= 1 && pixels <= SIDE_MAX;
  if (!isSide(width) || !isSide(height)) return false;
  Object.assign(image, { width, height });
  image.style.width = `${Math.min(width, (SHOWN_HEIGHT_MAX * width) / height)}px`;
  return true;
}

/** `976 kB`, `1.2 MB`. */
function inWords(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 999_500) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The picture that will go with the next message: chosen, pasted or dropped; shown below the chat until then. */
export class Attachment {
  /** Called when there is another one, or none. */
  onChange = () => {};
  /** Bytes that the server takes; null while that is unknown. */
  #maxOf;
  #picture = null;
  #url = null;

  constructor(maxOf) {
    this.#maxOf = maxOf;
    byId("choose").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", () => {
      this.offer(byId("file").files[0]);
      byId("file").value = "";
    });
    byId("unattach").addEventListener("click", () => {
      this.clear();
      byId("text").focus();
    });
    byId("text").addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    this.#takeDrops(byId("chat"));
  }

  /** `{bytes, size}`, where `size` is `[width, height]` in pixels; null if there is none. */
  get picture() {
    return this.#picture;
  }

  /** Takes a file, or says in words why not. */
  async offer(file) {
    if (!file) return;
    const name = file.name || "pasted picture";
    const max = this.#maxOf();
    if (max !== null && file.size > max) return this.refuse(tooLarge(name, file.size, max));
    const bytes = await file.arrayBuffer().catch(() => null);
    if (bytes === null) return this.refuse(`“${name}” cannot be read.`);
    const type = typeOf(new Uint8Array(bytes));
    if (!type) return this.refuse(`“${name}” is no picture that can be sent: PNG, JPEG, GIF, WebP, AVIF and BMP are.`);
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    const size = await sizeOf(url);
    if (size === null) {
      URL.revokeObjectURL(url);
      return this.refuse(`“${name}” is a picture that this browser cannot show.`);
    }
    this.clear();
    this.#picture = { name, bytes, size };
    this.#url = url;
    byId("preview").src = url;
    byId("attached-name").textContent = name;
    byId("attached-size").textContent = inWords(file.size) + (max === null ? "" : ` (limit ${inWords(max)})`);
    byId("attached").hidden = false;
    byId("text").focus();
    this.onChange();
  }

  /** Whether it still may be sent: polling takes less than the WebSocket that it was meant for. */
  fits() {
    const max = this.#maxOf();
    if (this.#picture === null || max === null || this.#picture.bytes.byteLength <= max) return true;
    const { name, bytes } = this.#picture;
    this.clear();
    this.refuse(tooLarge(name, bytes.byteLength, max));
    return false;
  }

  refuse(words) {
    byId("refusal").textContent = words;
    byId("refusal").hidden = false;
  }

  clear() {
    if (this.#url !== null) URL.revokeObjectURL(this.#url);
    this.#picture = this.#url = null;
    byId("preview").removeAttribute("src");
    byId("attached").hidden = byId("refusal").hidden = true;
    byId("refusal").textContent = "";
    this.onChange();
  }

  /** Text is pasted and dropped as ever; files are taken. */
  #take(event, transfer) {
    const [file] = transfer?.files ?? [];
    if (file === undefined) return;
    event.preventDefault();
    this.offer(file);
  }

  #takeDrops(place) {
    const isFile = (event) => event.dataTransfer?.types.includes("Files");
    place.addEventListener("dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      place.classList.add("dropping");
    });
    place.addEventListener("dragleave", (event) => {
      if (!place.contains(event.relatedTarget)) place.classList.remove("dropping");
    });
    place.addEventListener("drop", (event) => {
      place.classList.remove("dropping");
      this.#take(event, event.dataTransfer);
    });
  }
}

/** Width and height of a picture; null if it is broken. */
async function sizeOf(url) {
  const image = element("img", { src: url });
  const isWhole = await image.decode().then(() => true, () => false);
  return isWhole ? [image.naturalWidth, image.naturalHeight] : null;
}

function tooLarge(name, bytes, max) {
  return `“${name}” has ${inWords(bytes)}, and this server takes ${inWords(max)} at the most: please send a smaller one.`;
}

function keep(picture) {
  kept.push(picture);
  let bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
  while (kept.length > 1 && (kept.length > KEPT_MAX || bytes > KEPT_BYTES_MAX)) {
    const oldest = kept.shift();
    bytes -= oldest.bytes;
    URL.revokeObjectURL(oldest.url);
    oldest.words.textContent = "a picture that made room for newer ones";
    oldest.link.replaceWith(oldest.caption);
  }
}

function viewOf(bytes) {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  return bytes instanceof Uint8Array ? bytes : null;
}

function typeOf(view) {
  const begins = (pattern) => [...pattern].every((character, at) => character === "." || view[at] === character.charCodeAt(0));
  return Object.keys(BEGINNINGS).find((type) => begins(BEGINNINGS[type]));
}
