// The log of the connection panel: every step of the connection's life and, where wanted, every packet.

import { clock, element, follow, shorten } from "./dom.js";

const LINES_MAX = 200;
const DETAIL_MAX = 400;
const MARKS = { in: "←", out: "→", life: "●" };
const SPOKEN = { in: "received", out: "sent", life: "connection" };

export class Log {
  #list;
  #view;

  constructor(list, scroll, packetsSwitch) {
    this.#list = list;
    this.#view = follow(scroll);
    const filter = () => {
      list.classList.toggle("life-only", !packetsSwitch.checked);
      // Life is read out, packets would drown everything else.
      scroll.ariaLive = packetsSwitch.checked ? "off" : "polite";
      this.#view.toEnd();
    };
    packetsSwitch.addEventListener("change", filter);
    filter();
  }

  life(name, detail) {
    this.#add("life", name, detail);
  }

  packet(direction, name, args) {
    this.#add(direction, name, args.map(inLine).join(", "));
  }

  #add(kind, name, detail) {
    const now = new Date();
    const time = `${clock(now)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
    this.#list.append(element("li", { dataset: { kind, name: shorten(name, 80) } },
      element("time", {}, time),
      element("span", { className: "mark", ariaHidden: "true" }, MARKS[kind]),
      element("span", { className: "what" },
        element("span", { className: "hidden" }, `${SPOKEN[kind]}: `),
        element("b", {}, shorten(name, 80)),
        " ",
        element("span", { className: "detail" }, shorten(detail, DETAIL_MAX)))));
    while (this.#list.childElementCount > LINES_MAX) this.#list.firstElementChild.remove();
    this.#view.settle();
  }
}

/** JSON in one line that still has places to break. Inside a JSON string a line break is always escaped, so none is lost. */
function inLine(value) {
  return String(JSON.stringify(value, inWords, 1)).replace(/\n */g, " ");
}

function inWords(_key, value) {
  const bytes = value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? value.byteLength : null;
  return bytes === null ? value : `<${bytes} bytes>`;
}
