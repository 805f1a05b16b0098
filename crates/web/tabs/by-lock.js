// @ts-check
/**
 * One stream for all tabs, held by one of them.
 *
 * A Web Lock says which: the browser gives it to one tab at a time, and to the next as
 * soon as that tab is closed or crashes. What comes goes to all by a BroadcastChannel.
 * A tab that is frozen keeps its lock; so whoever gets no answer takes it by force.
 */

import { randomName } from "../shared/http.js";
import { Queue } from "../shared/queue.js";
import { startTimer } from "../shared/timer.js";
import { Holder } from "./holder.js";
import { Kept } from "./page-of-log.js";
import { cursorAfter, listen } from "./tab.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("./holder.js").Question} Question */
/** @typedef {import("./holder.js").Word} Word */

// After how long a silence a tab asks whether the holder is there, in milliseconds, and
// up to half as long again: then one asks, and the answer is for all. It is a question
// of the waiting tab and not a heartbeat of the holder, because a browser slows down
// the timers of a hidden tab, and not its messages.
const QUIET = 5000;
// How long the answer may take. A page that computes for longer loses its lock, and
// nothing else.
const PATIENCE = 3000;

/**
 * @typedef {object} Shared what is shared, and with what. The browser's own, but for
 *   tests
 * @property {string} name of the lock and the channel; one for each stream of an origin
 * @property {(isHolder: boolean) => void} [onHold] told when this tab begins or ceases
 *   to hold the stream
 * @property {Pick<LockManager, "request">} [locks]
 * @property {typeof BroadcastChannel} [Channel]
 */

/**
 * The same method, waiting for all tabs at once.
 *
 * @param {Method} method
 * @param {Shared} options
 * @returns {Method}
 */
export function shareByLock(method, options) {
  return {
    ...method,
    follow: (after, signal) => new Seat(method, options, after, signal).follow(),
  };
}

/** A tab among those that share, from the begin of a wait to its end. */
class Seat {
  #tab = randomName();
  #kept = new Kept();
  /** Of the newest holder that this tab has heard of. */
  #term = 0;
  /** @type {Holder | null} */
  #holder = null;
  #release = () => {};
  /** Ends a request for the lock that is still in the queue. */
  #queueing = new AbortController();
  #byForce = false;
  /** Whether this page may have no locks, as in a frame with an origin of its own. */
  #isAlone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #askedAt = 0;
  #method;
  #after;
  #signal;
  #name;
  #locks;
  #onHold;
  #channel;
  #words;

  /**
   * @param {Method} method
   * @param {Shared} options
   * @param {string} after
   * @param {AbortSignal} signal
   */
  constructor(method, options, after, signal) {
    const { Channel = BroadcastChannel, locks = navigator.locks } = options;
    this.#method = method;
    this.#after = after;
    this.#signal = signal;
    this.#name = options.name;
    this.#locks = locks;
    this.#onHold = options.onHold ?? (() => {});
    this.#channel = new Channel(options.name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    /** @type {Queue<Word>} */
    this.#words = new Queue(signal, () => this.#leave());
  }

  async *follow() {
    if (this.#signal.aborted) return;
    this.#compete();
    const updates = listen(this.#method, {
      tab: this.#tab,
      after: this.#after,
      signal: this.#signal,
      words: this.#words,
      ask: (cursor) => this.#ask(cursor),
    });
    for await (const update of updates) {
      // Where the stream would begin, if this tab came to hold it.
      this.#after = cursorAfter(update, this.#after);
      yield update;
    }
    if (this.#isAlone) yield* this.#method.follow(this.#after, this.#signal);
  }

  // ANCHOR: lock
  /** Asks for the lock, holds it, and asks again when it is lost. */
  async #compete() {
    while (!this.#signal.aborted) {
      this.#queueing = new AbortController();
      /** @type {LockOptions} */
      const options = this.#byForce
        ? { steal: true }
        : { signal: this.#queueing.signal };
      this.#byForce = false;
      try {
        await this.#locks.request(this.#name, options, () => this.#hold());
      } catch (error) {
        // Somebody took it by force, or this tab is about to.
        if (/** @type {Error} */ (error).name !== "AbortError") {
          this.#isAlone = true;
          return this.#words.end();
        }
      }
      this.#drop();
    }
  }
  // ANCHOR_END: lock

  // ANCHOR: hold
  /** @returns {Promise<void>} for as long as it takes, the lock is this tab's */
  #hold() {
    // A clock can be wrong, and what was heard is not.
    this.#term = Math.max(Date.now(), this.#term + 1);
    return new Promise((resolve) => {
      this.#release = resolve;
      if (this.#signal.aborted) return resolve();
      this.#holder = new Holder(this.#method, {
        after: this.#after,
        kept: this.#kept,
        term: this.#term,
        say: (word) => {
          this.#channel.postMessage(word);
          // A channel does not bring back what was sent by it.
          this.#take(word);
        },
      });
      this.#onHold(true);
    });
  }
  // ANCHOR_END: hold

  #drop() {
    if (!this.#holder) return;
    this.#holder.stop();
    this.#holder = null;
    this.#onHold(false);
  }

  /** @param {Word | Question} said by another tab */
  #hear(said) {
    if (said.type === "ask") return this.#holder?.answer(said);
    if (said.term < this.#term) return;
    if (said.term > this.#term && this.#holder) {
      // This tab was frozen, and another has taken its place.
      this.#drop();
      this.#release();
    }
    this.#term = said.term;
    if (said.to === undefined) this.#kept.add(said);
    this.#take(said);
  }

  /** @param {Word} word */
  #take(word) {
    this.#words.push(word);
    clearTimeout(this.#timer);
    if (this.#holder) return;
    const quiet = QUIET * (1 + Math.random() / 2);
    this.#timer = startTimer(() => this.#ask(this.#after), quiet);
  }

  // ANCHOR: doubt
  /** @param {string} after */
  #ask(after) {
    /** @type {Question} */
    const question = { type: "ask", tab: this.#tab, after };
    if (this.#holder) return this.#holder.answer(question);
    this.#channel.postMessage(question);
    this.#askedAt = performance.now();
    clearTimeout(this.#timer);
    this.#timer = startTimer(() => this.#doubt(), PATIENCE);
  }

  #doubt() {
    // It was this tab that slept: the answer may be waiting to be read.
    if (performance.now() - this.#askedAt > 2 * PATIENCE) return this.#ask(this.#after);
    this.#byForce = true;
    this.#queueing.abort();
  }
  // ANCHOR_END: doubt

  #leave() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#release();
    this.#queueing.abort();
    this.#channel.close();
  }
}
