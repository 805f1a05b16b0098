// @ts-check
/**
 * One lane of a twin: the events that came, with the holes between them.
 */

import { createCounts } from "../shared/panel.js";
import { createStatusLine } from "../shared/status-line.js";
import { Tally } from "./tally.js";

/** @typedef {import("../shared/reconnect.js").State} State */
/** @typedef {import("./tally.js").Mark} Mark */

// More than a reader looks back at.
const MAX_ITEMS = 400;

export class Lane extends EventTarget {
  #list = document.createElement("ol");
  #box = document.createElement("div");
  #status = createStatusLine("Not started.");
  #counts;
  #tally = new Tally();
  #hasLines;
  /** When the connection went, by `performance.now()`. @type {number | null} */
  #gone = null;
  /** How many events had been published by then. */
  #publishedThen = 0;
  /** @type {State} */
  state = "idle";

  /**
   * @param {object} options
   * @param {"plain" | "real"} options.side
   * @param {string} options.title
   * @param {boolean} options.hasLines whether the texts are shown, and may be spoiled
   * @param {() => number} options.published how many events have been published
   */
  constructor({ side, title, hasLines, published }) {
    super();
    this.#hasLines = hasLines;
    this.published = published;
    this.element = document.createElement("div");
    this.element.className = "tw-lane";
    this.element.dataset.side = side;
    const heading = document.createElement("p");
    heading.className = "tw-name";
    heading.textContent = title;
    this.#box.className = "lp-log tw-log";
    this.#box.tabIndex = 0;
    this.#box.setAttribute("role", "log");
    this.#box.setAttribute("aria-live", "off");
    this.#box.setAttribute("aria-label", `Events: ${title}`);
    this.#box.append(this.#list);
    this.#counts = createCounts({
      received: "Received",
      lost: "Lost",
      doubled: "Doubled",
      gaps: "Gaps told",
      ...(hasLines ? { spoiled: "Spoiled" } : {}),
    });
    this.element.append(
      heading,
      this.#status.element,
      this.#box,
      this.#counts.element,
    );
  }

  /** @returns {Tally["counts"]} */
  get counts() {
    return this.#tally.counts;
  }

  /** @returns {number} the last number that came or is known to be lost */
  get last() {
    return this.#tally.last;
  }

  /** Begins anew. */
  clear() {
    this.#tally = new Tally();
    this.#gone = null;
    this.#list.replaceChildren();
    this.#draw([]);
  }

  /**
   * @param {State} state
   * @param {string} text
   */
  set(state, text) {
    if (state === "open" && this.#gone !== null) this.#back();
    if (state !== "open" && this.state === "open") {
      this.#gone = performance.now();
      this.#publishedThen = this.published();
    }
    this.state = state;
    this.#status.set(state, text);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Waits until something is so.
   *
   * @param {(lane: Lane) => boolean} isSo
   * @param {AbortSignal} signal ends it early
   * @returns {Promise<void>}
   */
  reach(isSo, signal) {
    return new Promise((resolve) => {
      if (isSo(this) || signal.aborted) return resolve();
      const reached = new AbortController();
      const end = () => {
        reached.abort();
        resolve();
      };
      const look = () => void (isSo(this) && end());
      this.addEventListener("change", look, { signal: reached.signal });
      signal.addEventListener("abort", end, { signal: reached.signal });
    });
  }

  #back() {
    const seconds = ((performance.now() - (this.#gone ?? 0)) / 1000).toFixed(1);
    const meanwhile = this.published() - this.#publishedThen;
    this.#gone = null;
    this.#add("break", `away ${seconds} s, ${events(meanwhile)} happened meanwhile`);
    this.#scroll();
  }

  /**
   * @param {number} number
   * @param {string} text
   * @param {string} published
   */
  take(number, text, published) {
    this.#draw(this.#tally.take(number, text, published));
  }

  /** The server says that something is missing. */
  gap() {
    this.#tally.gap();
    this.#draw([]);
  }

  /** @param {Mark[]} marks */
  #draw(marks) {
    for (const mark of marks) {
      if (mark.type === "hole") {
        const { from, to, told } = mark;
        const which = from === to ? String(from) : `${from}–${to}`;
        const text = told
          ? `${which}: gone, and the server says so`
          : `${which} never came`;
        this.#add(told ? "told" : "hole", text);
      } else if (mark.type === "again") {
        this.#add("again", `${mark.number} again`);
      } else if (this.#hasLines) {
        const text = mark.text.replaceAll("\n", " ⏎ ");
        const item = this.#add("event", `${mark.number} ${text}`);
        item.dataset.whole = String(mark.whole);
        if (!mark.whole) item.append(" (the rest is gone)");
      } else {
        this.#add("event", String(mark.number));
      }
    }
    for (const [role, count] of Object.entries(this.counts))
      if (role !== "spoiled" || this.#hasLines) this.#counts.set(role, String(count));
    const { lost, gaps } = this.counts;
    this.element.dataset.lost = lost === 0 ? "nothing" : gaps > 0 ? "told" : "silent";
    this.#scroll();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {string} mark
   * @param {string} text
   */
  #add(mark, text) {
    const item = document.createElement("li");
    item.dataset.mark = mark;
    item.textContent = text;
    // A space: this is also what is read aloud, and what is copied.
    this.#list.append(item, " ");
    const nodes = this.#list.childNodes;
    while (nodes.length > 2 * MAX_ITEMS) nodes[0].remove();
    return item;
  }

  #scroll() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }
}

/** @param {number} count */
export function events(count) {
  return count === 1 ? "1 event" : `${count} events`;
}
