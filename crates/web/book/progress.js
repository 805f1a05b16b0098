// @ts-check
/**
 * Which questions a reader has answered. It stays in the reader's browser: nothing is
 * sent anywhere, and `forget` removes it.
 */

/**
 * `right`: answered. `tried`: answered wrongly so far. `seen`: looked up.
 *
 * @typedef {"right" | "tried" | "seen"} State
 */

const STATES = ["right", "tried", "seen"];

// More questions than the book has. What somebody else puts there must not grow.
const MOST = 1000;

export class Progress {
  #storage;
  #key;
  /**
   * What is known where nothing can be stored, as in a private window of some browsers.
   *
   * @type {Map<string, State>}
   */
  #states = new Map();

  /**
   * @param {Storage | null} storage `null` where a browser allows none
   * @param {string} key all books of a host share its storage
   */
  constructor(storage, key) {
    this.#storage = storage;
    this.#key = key;
  }

  /**
   * @param {string} id
   * @returns {State | null}
   */
  get(id) {
    this.#read();
    return this.#states.get(id) ?? null;
  }

  /**
   * A question that was answered stays so, whatever its reader does next.
   *
   * @param {string} id
   * @param {State} state
   */
  set(id, state) {
    this.#read();
    if (this.#states.get(id) === "right") return;
    if (state === "tried" && this.#states.has(id)) return;
    this.#states.set(id, state);
    this.#write();
  }

  /**
   * How many of these questions are answered.
   *
   * @param {readonly string[]} ids
   */
  count(ids) {
    this.#read();
    return ids.filter((id) => this.#states.get(id) === "right").length;
  }

  /** Forgets all questions, of all pages. */
  forget() {
    this.#states.clear();
    try {
      this.#storage?.removeItem(this.#key);
    } catch {
      // Then nothing was stored either.
    }
  }

  /** Another tab may have written since. */
  #read() {
    let stored;
    try {
      stored = JSON.parse(this.#storage?.getItem(this.#key) ?? "null");
    } catch {
      return;
    }
    if (!stored || typeof stored !== "object") return;
    this.#states.clear();
    for (const [id, state] of Object.entries(stored).slice(0, MOST)) {
      if (STATES.includes(state)) this.#states.set(id, state);
    }
  }

  #write() {
    try {
      const states = Object.fromEntries(this.#states);
      this.#storage?.setItem(this.#key, JSON.stringify(states));
    } catch {
      // Full, or forbidden. The page goes on with what it knows.
    }
  }
}

/**
 * The browser's storage, where there is one.
 *
 * @returns {Storage | null}
 */
export function browserStorage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
