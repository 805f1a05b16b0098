// @ts-check
/**
 * Holding the one stream, and handing on what comes over it.
 */

import { Follower, Watchdog } from "../shared/reconnect.js";
import { Kept } from "./page-of-log.js";

/** @typedef {import("../shared/contract.js").Gap} Gap */
/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").State} State */
/** @typedef {import("./page-of-log.js").Page} Page */

/**
 * What a holder says. `term` is later with each new holder. `to` names the tab whose
 * question this answers; without it, it is for all. `state` and `text` are those of the
 * holder's follower, and `gap` is one that the holder itself has met.
 *
 * @typedef {Page & { type: "page", term: number, to?: string, state: State,
 *   text: string, every?: number, gap?: Gap }} Word
 */

/**
 * What a tab asks: what came after its cursor. It is also how a tab finds out whether
 * there is a holder.
 *
 * @typedef {{ type: "ask", tab: string, after: string }} Question
 */

export class Holder {
  #follower;
  #kept;
  #term;
  #say;
  /** @type {number | undefined} */
  #every;
  #text = "";
  /** Of the stream's last sign of life, in milliseconds of `performance.now()`. */
  #heardAt = performance.now();

  /**
   * @param {Method} method what to hold the stream with
   * @param {object} options
   * @param {string} options.after the cursor to begin with
   * @param {number} options.term
   * @param {(word: Word) => void} options.say
   * @param {Kept} [options.kept] what was heard of an earlier holder
   */
  constructor(method, { after, term, say, kept = new Kept() }) {
    this.#follower = new Follower(method);
    this.#follower.cursor = after;
    this.#kept = kept;
    this.#term = term;
    this.#say = say;
    if (!kept.after(after)) kept.add({ after, next: after, events: [] });
    this.#run();
  }

  // ANCHOR: hand-on
  async #run() {
    let cursor = this.#cursor;
    for await (const update of this.#follower.updates()) {
      const next = this.#cursor;
      this.#heardAt = performance.now();
      if (update.type === "gap") {
        // What came before it leads nowhere any more.
        const page = { after: next, next, events: [] };
        this.#kept.add(page);
        this.#tell({ ...page, gap: update.gap });
      } else {
        if (update.type === "state") this.#text = update.text;
        if (update.type === "heartbeat") this.#every = update.every ?? this.#every;
        const events = update.type === "event" ? [update.event] : [];
        const page = { after: cursor, next, events };
        this.#kept.add(page);
        this.#tell(page);
      }
      cursor = next;
    }
  }
  // ANCHOR_END: hand-on

  /** @param {Question} question */
  answer({ tab, after }) {
    if (this.#isLate) return;
    // A tab that stands where nothing is kept learns at least where this stream stands.
    const here = { after: this.#cursor, next: this.#cursor, events: [] };
    this.#tell({ ...(this.#kept.after(after) ?? here), to: tab });
  }

  /** Lets the stream go, without a word. */
  stop() {
    this.#say = () => {};
    this.#follower.stop();
  }

  /**
   * Whether the stream has been silent for so long that its watchdog should have ended
   * it. Then this page's timers stand still, and somebody else should hold the stream.
   */
  get #isLate() {
    const { limit } = new Watchdog(() => {}, this.#every);
    const silence = performance.now() - this.#heardAt;
    return this.#follower.state === "open" && silence > limit;
  }

  /** @param {Page & { to?: string, gap?: Gap }} page */
  #tell(page) {
    const { state } = this.#follower;
    const [term, text, every] = [this.#term, this.#text, this.#every];
    this.#say({ type: "page", term, state, text, every, ...page });
  }

  get #cursor() {
    // It was given one, and never loses it.
    return /** @type {string} */ (this.#follower.cursor);
  }
}
