// Building elements from data. Text is only ever set as text: nothing that came from the network is parsed as HTML.

/** `element("p", { className: "note" }, "text", child)`: properties are assigned, strings become text nodes. */
export function element(tag, properties, ...children) {
  const { dataset, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** An element of index.html by its id. */
export const byId = (id) => document.getElementById(id);

/** `14:03:09` in the reader's own clock, whatever the locale. */
export function clock(date) {
  return hoursMinutesSeconds([date.getHours(), date.getMinutes(), date.getSeconds()]);
}

/** `00:02:11`, for how long something has lasted. */
export function elapsed(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return hoursMinutesSeconds([Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]);
}

/** At most `max` UTF-16 units of `text`, never half of a surrogate pair. */
export function shorten(text, max) {
  if (text.length <= max) return text;
  const end = /[\uD800-\uDBFF]/.test(text[max - 1]) ? max - 1 : max;
  return `${text.slice(0, end)}…`;
}

/** `8f3Kq…w2`: enough of an id to tell two apart. */
export const shortId = (id) => (id.length <= 9 ? id : `${id.slice(0, 5)}…${id.slice(-2)}`);

/** `0.84 ms`, `12 ms`, `1.3 s`. */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;
}

/** A scrolling box that follows the end of the list in it, unless the reader has scrolled up. */
export function follow(box) {
  let following = true;
  let last = 0;
  const atEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < 24;
  box.addEventListener("scroll", () => {
    // Not at the end any more, but no higher than before: it is the list that has grown.
    if (atEnd()) following = true;
    else if (box.scrollTop < last) following = false;
    last = box.scrollTop;
  }, { passive: true });
  const settle = () => {
    if (!following) return;
    box.scrollTop = box.scrollHeight;
    last = box.scrollTop;
  };
  const sizes = new ResizeObserver(settle);
  // Pictures in the list grow when they are loaded.
  for (const one of [box, box.querySelector("ol")]) sizes.observe(one);
  return {
    settle,
    toEnd() { following = true; settle(); },
    isFollowing: () => following,
  };
}

function hoursMinutesSeconds(parts) {
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}
