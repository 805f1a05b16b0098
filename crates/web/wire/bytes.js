// @ts-check
/** Bytes that come in pieces, with the times at which they came. */

/** @param {readonly Uint8Array[]} pieces */
export function concat(pieces) {
  if (pieces.length === 1) return pieces[0];
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/**
 * Where a sequence of bytes begins in others.
 *
 * @param {Uint8Array} bytes
 * @param {readonly number[]} sequence
 * @returns {number} -1 if it is not there
 */
export function indexOf(bytes, sequence) {
  const [first] = sequence;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1))
    if (sequence.every((byte, place) => bytes[at + place] === byte)) return at;
  return -1;
}

/** The bytes of one direction that are not read yet. */
export class Incoming {
  /** @type {Uint8Array} */
  #bytes = new Uint8Array();
  /**
   * Up to which of them came when, in ascending order.
   *
   * @type {{ end: number, t: number }[]}
   */
  #times = [];

  /** @param {Uint8Array} bytes @param {number} t */
  push(bytes, t) {
    if (bytes.length === 0) return;
    this.#bytes = this.length === 0 ? bytes : concat([this.#bytes, bytes]);
    this.#times.push({ end: this.length, t });
  }

  get length() {
    return this.#bytes.length;
  }

  /** What is there; it is not to be changed. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * Takes bytes from the front.
   *
   * @param {number} count at least 1, and at most `length`
   * @returns {{ bytes: Uint8Array, from: number, t: number }} when the first and the
   *   last of them came
   */
  take(count) {
    const bytes = this.#bytes.slice(0, count);
    const from = this.#times[0].t;
    const { t } = /** @type {{ t: number }} */ (
      this.#times.find(({ end }) => end >= count)
    );
    this.#bytes = this.#bytes.subarray(count);
    this.#times = this.#times
      .filter(({ end }) => end > count)
      .map(({ end, t }) => ({ end: end - count, t }));
    return { bytes, from, t };
  }
}
