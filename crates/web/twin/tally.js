// @ts-check
/**
 * What one lane of a twin has of the events that were published: which came, which
 * never did, and which came twice.
 *
 * The events of a run are numbered from 1 without a hole. So whoever sees 16 and then
 * 22 has lost 17 to 21, whatever its server says.
 */

/**
 * What to draw for something that came.
 *
 * - `event`: one event. It is not `whole` where its text is not what was published.
 * - `hole`: these never came. `told` says whether the server said so.
 * - `again`: an event that was there already.
 *
 * @typedef {{ type: "event", number: number, text: string, whole: boolean }
 *   | { type: "hole", from: number, to: number, told: boolean }
 *   | { type: "again", number: number }} Mark
 */

export class Tally {
  /** The number that is due. */
  #next = 1;
  /** Whether the server has said that something is missing, and nothing came since. */
  #told = false;

  constructor() {
    this.counts = { received: 0, lost: 0, doubled: 0, gaps: 0, spoiled: 0 };
  }

  /** @returns {number} the last number that came or is known to be lost */
  get last() {
    return this.#next - 1;
  }

  /**
   * An event came.
   *
   * @param {number} number
   * @param {string} text
   * @param {string} [published] what was published under this number
   * @returns {Mark[]}
   */
  take(number, text, published = text) {
    if (number < this.#next) {
      this.counts.doubled += 1;
      return [{ type: "again", number }];
    }
    /** @type {Mark[]} */
    const marks = [];
    if (number > this.#next) {
      const [from, to] = [this.#next, number - 1];
      this.counts.lost += to - from + 1;
      marks.push({ type: "hole", from, to, told: this.#told });
    }
    this.#told = false;
    this.#next = number + 1;
    this.counts.received += 1;
    const whole = text === published;
    if (!whole) this.counts.spoiled += 1;
    return [...marks, { type: "event", number, text, whole }];
  }

  /** The server says that something is missing. */
  gap() {
    this.counts.gaps += 1;
    this.#told = true;
  }
}

/**
 * What an event of a run says.
 *
 * @param {number} number
 * @param {boolean} hasLines whether it has a line end in it
 */
export function textOf(number, hasLines) {
  return hasLines ? `price ${number}\nvolume ${number * 10}` : `price ${number}`;
}

/**
 * Writes an event of a run as a text that tells it from those of other pages.
 *
 * @param {string} key of the run
 * @param {number} number
 * @param {string} text
 */
export function write(key, number, text) {
  return `${key} ${number} ${text}`;
}

/**
 * @param {string} key of the run
 * @param {unknown} text
 * @returns {{ number: number, text: string } | null} `null` for what is not of this run
 */
export function read(key, text) {
  const match =
    typeof text === "string" ? /^(\w+) ([1-9][0-9]{0,9}) ([^]*)$/.exec(text) : null;
  return match?.[1] === key ? { number: Number(match[2]), text: match[3] } : null;
}
