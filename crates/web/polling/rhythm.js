// @ts-check
/**
 * How often a page polls: the pause between two requests, and the control that sets
 * it.
 *
 * All clients of a server that is restarted, or of a page that a popular place links
 * to, begin together. With a pause that is the same for all they would stay together,
 * and ask in waves.
 */

import { createChoice } from "../shared/panel.js";
import { pause } from "../shared/timer.js";

// A hidden page needs no fresh events. It asks at once when it is shown again. Ten
// times slower is a tenth of the cost.
const HIDDEN_FACTOR = 10;
// However short the interval is, a hidden page asks no more than twice a minute.
// Browsers slow down the timers of hidden pages as well, to one a second and later to
// one a minute.
const HIDDEN_LEAST = 30_000;
// A tenth either way. Clients that have come apart stay apart without it, but those
// that a slow server has answered together would otherwise go on together.
const JITTER = 0.1;

/**
 * Draws how much of its interval a pause takes.
 *
 * @param {boolean} first whether the client has not paused yet. Then it may be anything
 *   up to all of it, which spreads those that began together
 * @param {() => number} random uniform in [0, 1)
 * @returns {number}
 */
export function drawShare(first, random) {
  return first ? random() : 1 - JITTER + 2 * JITTER * random();
}

// ANCHOR: rhythm
/** How long a client pauses between two requests. */
export class Rhythm {
  #interval;
  /** Says that the interval has changed. */
  #changes = new EventTarget();

  /**
   * @param {object} [options]
   * @param {number} [options.interval] in milliseconds. Two seconds: a chat still feels
   *   like one
   * @param {() => number} [options.random] uniform in [0, 1)
   */
  constructor({ interval = 2000, random = Math.random } = {}) {
    this.#interval = interval;
    this.random = random;
  }

  /**
   * The pause while the page is seen, in milliseconds, before jitter. It may change at
   * any time.
   */
  get interval() {
    return this.#interval;
  }

  set interval(milliseconds) {
    this.#interval = milliseconds;
    this.#changes.dispatchEvent(new Event("change"));
  }

  /**
   * Waits until the next request is due.
   *
   * @param {boolean} first whether this client has not paused yet
   * @param {AbortSignal} signal ends the pause early
   * @returns {AsyncGenerator<number, void, void>} yields how long the pause still is,
   *   in milliseconds, each time that changes
   */
  // ANCHOR: rest
  async *rest(first, signal) {
    // Drawn once for each pause. The first spreads those that began together over a
    // whole interval.
    const share = drawShare(first, this.random);
    const begin = performance.now();
    const left = () => share * this.#pause() - (performance.now() - begin);
    let isOver = false;
    while (!isOver && !signal.aborted) {
      yield Math.max(0, left());
      isOver = await this.#sleep(left(), signal);
    }
  }
  // ANCHOR_END: rest

  /**
   * Waits for a time, or until the interval or the page's visibility has changed.
   *
   * @param {number} milliseconds
   * @param {AbortSignal} signal
   * @returns {Promise<boolean>} whether the pause is over
   */
  async #sleep(milliseconds, signal) {
    const changed = new AbortController();
    let isOver = true;
    const change = () => {
      isOver = false;
      changed.abort();
    };
    // Somebody looks again: what the page shows may be old, so it asks at once.
    const onVisibility = () => (isHidden() ? change() : changed.abort());
    const until = AbortSignal.any([signal, changed.signal]);
    document.addEventListener("visibilitychange", onVisibility, { signal: until });
    this.#changes.addEventListener("change", change, { signal: until });
    await pause(milliseconds, until);
    changed.abort();
    return isOver;
  }

  #pause() {
    return isHidden()
      ? Math.max(HIDDEN_LEAST, HIDDEN_FACTOR * this.#interval)
      : this.#interval;
  }
}
// ANCHOR_END: rhythm

function isHidden() {
  return document.visibilityState === "hidden";
}

// The shortest is as often as anybody should ask for what a person reads; the longest
// lets its reader feel what an event waits.
const CHOICES = [500, 2000, 10_000];

/**
 * Makes a labelled choice of intervals. A change takes effect at once, also on a pause
 * that is under way.
 *
 * @param {Rhythm} rhythm
 * @returns {HTMLElement}
 */
export function createIntervalChoice(rhythm) {
  const choices = CHOICES.map(
    (milliseconds) =>
      /** @type {const} */ ([String(milliseconds), `${milliseconds / 1000} s`]),
  );
  const { element, select } = createChoice("Ask every", {
    role: "interval",
    choices,
    onChange: (value) => (rhythm.interval = Number(value)),
  });
  // A pause that is none of them shows the first.
  if (CHOICES.includes(rhythm.interval)) select.value = String(rhythm.interval);
  return element;
}
