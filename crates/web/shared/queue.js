// @ts-check
/**
 * What callbacks bring, as an async iterator.
 *
 * `EventSource` and `WebSocket` call functions whenever something comes. Whoever
 * follows them wants a loop instead: `for await (const update of queue)`.
 */

import { unreachable } from "./reconnect.js";

// More than a browser brings in one task. A reader that lets so much wait would let the
// page's memory grow.
const MAX_ITEMS = 10_000;

/**
 * @template T
 * @implements {AsyncIterable<T>}
 */
export class Queue {
  /** What came and was not read yet. @type {T[]} */
  #items = [];
  #ended = false;
  /** @type {unknown} */
  #error = undefined;
  #wake = () => {};
  #close;

  /**
   * @param {AbortSignal} signal ends it, and what came by then is dropped
   * @param {() => void} close called once, when it ends for whatever reason
   */
  constructor(signal, close) {
    this.#close = close;
    const abort = () => {
      this.#items = [];
      this.end();
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  }

  /** @param {T} item fails if too much waits already: it is to be asked for again */
  push(item) {
    if (this.#ended) return;
    if (this.#items.length >= MAX_ITEMS) {
      return this.fail(
        unreachable("The events come faster than this page reads them."),
      );
    }
    this.#items.push(item);
    this.#wake();
  }

  /** Ends it, after the items that came. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#close();
    this.#wake();
  }

  /**
   * Ends it with an error, after the items that came.
   *
   * @param {unknown} error
   */
  fail(error) {
    if (this.#ended) return;
    this.#error = error;
    this.end();
  }

  /**
   * @returns {AsyncGenerator<T, void, void>} for one reader; leaving its loop ends it
   */
  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        while (this.#items.length > 0) yield /** @type {T} */ (this.#items.shift());
        if (this.#error !== undefined) throw this.#error;
        if (this.#ended) return;
        await new Promise((resolve) => (this.#wake = () => resolve(null)));
      }
    } finally {
      this.end();
    }
  }
}
