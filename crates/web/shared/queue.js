// @ts-check
/**
 * What callbacks bring, as an async iterator.
 *
 * `EventSource` and `WebSocket` call functions whenever something comes. Whoever
 * follows them wants a loop instead: `for await (const update of queue)`.
 */

/**
 * @template T
 * @implements {AsyncIterable<T>}
 */
export class Queue {
  /**
   * What came and was not read yet. The reader here does not wait for anything else
   * between two items, so this is as much as the browser brings in one task.
   *
   * @type {T[]}
   */
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

  /** @param {T} item */
  push(item) {
    if (this.#ended) return;
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
