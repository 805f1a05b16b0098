// @ts-check
/**
 * Cursors, as every method of the book sends them.
 *
 * A cursor is a log's epoch and an id, printed as `k3f9x2.17`. The epoch is a short
 * random name that is made when the log is born. Two cursors can be compared only if
 * their epochs are equal: an id of one log says nothing about another log.
 */

/**
 * @typedef {object} Cursor
 * @property {string} epoch six characters of `[a-z0-9]`
 * @property {bigint} id the place in the log; 0 is before the first event
 */

const CURSOR = /^([a-z0-9]{6})\.(0|[1-9][0-9]{0,19})$/;
// The id is an unsigned 64-bit number on the server. A JavaScript number is exact to
// 2^53 only, hence `BigInt`.
const MAX_ID = 2n ** 64n - 1n;

/**
 * Reads a cursor.
 *
 * @param {string} text
 * @returns {Cursor | null} `null` if the text is no cursor
 */
export function parseCursor(text) {
  const match = CURSOR.exec(text);
  if (!match) return null;
  const id = BigInt(match[2]);
  return id <= MAX_ID ? { epoch: match[1], id } : null;
}

/**
 * @param {unknown} text
 * @returns {text is string}
 */
export function isCursor(text) {
  return typeof text === "string" && parseCursor(text) !== null;
}

/**
 * Compares two cursors.
 *
 * @param {Cursor} a
 * @param {Cursor} b
 * @returns {-1 | 0 | 1 | null} `null` if they belong to different logs
 */
export function compareCursors(a, b) {
  if (a.epoch !== b.epoch) return null;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

// ANCHOR: duplicate
/**
 * Whether a client that has read the log up to `last` has had the event at `next`.
 *
 * A cursor of another log is never a duplicate: its ids start again.
 *
 * @param {Cursor | null} last `null` if the client has no cursor yet
 * @param {Cursor} next
 * @returns {boolean}
 */
export function isDuplicate(last, next) {
  const order = last && compareCursors(next, last);
  return order === 0 || order === -1;
}
// ANCHOR_END: duplicate

/**
 * Counts what lies strictly between two cursors.
 *
 * This is exact only in a log that numbers its events without holes, as the one in this
 * book does. A cursor promises less (ids only grow), so no client may decide anything
 * by this number. The panels show it, so that a method that loses an event is
 * seen to.
 *
 * @param {Cursor | null} last
 * @param {Cursor} next
 * @returns {number} 0 if the two cannot be compared or `next` is not later
 */
export function countBetween(last, next) {
  if (!last || compareCursors(last, next) !== -1) return 0;
  return Number(next.id - last.id - 1n);
}
