// @ts-check
/**
 * The questions of the book: what they are, and whether an answer is right.
 *
 * Who marks bytes is handed in: it is loaded when somebody has written some.
 */

/**
 * `choice`: one of a list. `several`: all that are right of a list. `order`: the items
 * of a list, brought in order. `number`: a number. `bytes`: something to write, which a
 * {@link Checker} reads. `open`: the reader compares with the answer.
 *
 * @typedef {"choice" | "several" | "order" | "number" | "bytes" | "open"} Kind
 */

/**
 * @typedef {object} Mark
 * @property {boolean} isRight
 * @property {string} [note] what the reader can learn from a wrong answer
 * @property {string} [by] who has marked it, as a sentence
 */

/**
 * Reads what a reader has written. `wanted` is the JSON of the question's
 * `data-answer`.
 *
 * @typedef {(given: string, wanted: unknown) => Mark | Promise<Mark>} Check
 */

/**
 * @typedef {object} Checker
 * @property {string} by the crate whose code marks, as the page says it: "Marked by
 *   the Rust code of …"
 * @property {Check} check
 */

/** @typedef {Record<string, Checker>} Checkers */

const KINDS = ["choice", "several", "order", "number", "bytes", "open"];

/**
 * @param {string | undefined} text
 * @returns {Kind}
 */
export function readKind(text) {
  if (KINDS.includes(text ?? "")) return /** @type {Kind} */ (text);
  throw new TypeError(`${text} is no kind of question`);
}

/**
 * The places in a list that are named in an answer, such as `2` or `3 1 2`. The first
 * is 1, as a reader counts them.
 *
 * @param {string} answer
 * @param {number} length how many items the list has
 * @returns {number[]}
 * @throws {TypeError} for what is no such answer
 */
export function readPlaces(answer, length) {
  const places = answer.split(" ").map(Number);
  const isPlace = (/** @type {number} */ place) =>
    Number.isInteger(place) && place >= 1 && place <= length;
  if (!places.every(isPlace) || new Set(places).size !== places.length)
    throw new TypeError(`"${answer}" does not name places of a list of ${length}`);
  return places;
}

/**
 * Marks a choice, of one or of several.
 *
 * @param {readonly number[]} given places in the list
 * @param {readonly number[]} wanted
 * @returns {Mark}
 */
export function markChoice(given, wanted) {
  const right = given.filter((place) => wanted.includes(place)).length;
  const isRight = right === wanted.length && given.length === wanted.length;
  if (isRight || wanted.length === 1) return { isRight };
  return { isRight, note: `${right} of your ${given.length} belong to the answer.` };
}

/**
 * Marks an order.
 *
 * @param {readonly number[]} given the places in the printed list, as the reader has
 *   put them
 * @param {readonly number[]} wanted
 * @returns {Mark}
 */
export function markOrder(given, wanted) {
  const first = wanted.findIndex((place, at) => place !== given[at]);
  if (first === -1) return { isRight: true };
  return { isRight: false, note: `Right up to here: ${first} of ${wanted.length}.` };
}

/**
 * Reads a number as people write it: `1,800`, `1 800`, `0.5`.
 *
 * @param {string} text
 * @returns {number} `NaN` for what is none
 */
export function readNumber(text) {
  const plain = text.trim().replace(/(\d)[ ,\u00a0\u202f](?=\d{3}(?!\d))/g, "$1");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : Number.NaN;
}

/**
 * The numbers that count as right: one, `15`, or a range with its ends, `15..20`.
 *
 * @param {string} answer
 * @returns {[least: number, most: number]}
 * @throws {TypeError} for what is no such answer
 */
export function readRange(answer) {
  const [least, most = least] = answer.split("..").map(readNumber);
  if (!(least <= most)) throw new TypeError(`"${answer}" is no range of numbers`);
  return [least, most];
}

/**
 * Marks a number.
 *
 * @param {string} given
 * @param {[least: number, most: number]} wanted
 * @returns {Mark}
 */
export function markNumber(given, [least, most]) {
  const number = readNumber(given);
  if (Number.isNaN(number)) return { isRight: false, note: "This is no number." };
  if (number < least) return { isRight: false, note: "It is more." };
  if (number > most) return { isRight: false, note: "It is less." };
  return { isRight: true };
}
