// @ts-check
/**
 * Cursors, as every method of the book sends them, and the events that carry them.
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

/**
 * An event as the wire carries it.
 *
 * @typedef {object} WireEvent
 * @property {string} id its cursor
 * @property {string} at when it was published, RFC 3339 with milliseconds, in UTC
 * @property {string} kind what it is about: `[a-z][a-z0-9-]{0,31}`
 * @property {unknown} data any JSON value
 */

/**
 * A stretch of the log that the server no longer has, or never had.
 *
 * @typedef {object} Gap
 * @property {"expired" | "new-log" | "unknown"} reason
 * @property {string} [asked] the cursor that could not be served; with "unknown" there
 *   is none
 * @property {string} resume the cursor from which the events go on
 */

const KIND = /^[a-z][a-z0-9-]{0,31}$/;
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

/**
 * Reads an event from its JSON text.
 *
 * @param {string} json
 * @returns {WireEvent | null} `null` if it is not an event of the contract
 */
export function parseEvent(json) {
  return readEvent(parseObject(json));
}

/**
 * Reads an event from a JSON value.
 *
 * @param {any} value
 * @returns {WireEvent | null} `null` if it is not an event of the contract
 */
export function readEvent(value) {
  const { id, at, kind, data } = value ?? {};
  if (!isCursor(id)) return null;
  if (typeof at !== "string" || data === undefined) return null;
  if (typeof kind !== "string" || !KIND.test(kind)) return null;
  return { id, at, kind, data };
}

/**
 * Reads a gap from its JSON text.
 *
 * @param {string} json
 * @returns {Gap | null} `null` if it is not a gap of the contract
 */
export function parseGap(json) {
  const value = parseObject(json);
  return readGap(value, value?.reason);
}

/**
 * Reads a gap from a JSON value; its reason may be elsewhere.
 *
 * @param {any} value
 * @param {unknown} reason
 * @returns {Gap | null} `null` if it is not a gap of the contract
 */
export function readGap(value, reason) {
  if (!isCursor(value?.resume)) return null;
  if (typeof reason !== "string") return null;
  // A reason that is not known yet: that events were missed is what counts.
  const known = reason === "expired" || reason === "new-log" ? reason : "unknown";
  /** @type {Gap} */
  const gap = { reason: known, resume: value.resume };
  return typeof value.asked === "string" ? { ...gap, asked: value.asked } : gap;
}

/**
 * Reads a JSON object.
 *
 * @param {string} json
 * @returns {Record<string, unknown> | null} `null` if the text is not JSON, or not an
 *   object
 */
export function parseObject(json) {
  try {
    const value = JSON.parse(json);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value
      : null;
  } catch {
    return null;
  }
}

/**
 * Describes an event in one line.
 *
 * @param {WireEvent} event
 * @returns {string} plain text, never markup
 */
export function describeEvent(event) {
  const data = /** @type {any} */ (event.data);
  if (event.kind === "message" && typeof data?.text === "string") {
    return typeof data.from === "string" && data.from
      ? `${data.from}: ${data.text}`
      : data.text;
  }
  if (
    event.kind === "tick" &&
    typeof data?.symbol === "string" &&
    typeof data.price === "number"
  ) {
    return `${data.symbol} ${data.price.toFixed(2)} ${describeChange(data.change)}`;
  }
  return JSON.stringify(event.data) ?? "";
}

/**
 * Describes in a few characters by how much a price has changed.
 *
 * @param {unknown} change
 * @returns {string} plain text
 */
export function describeChange(change) {
  const by = typeof change === "number" ? change : 0;
  // An arrow and a sign beside the number: colour alone would not reach every reader. A
  // narrow line must not break between them, hence the no-break spaces.
  const arrow = by > 0 ? "▲\u00a0+" : by < 0 ? "▼\u00a0−" : "=\u00a0";
  return `${arrow}${Math.abs(by).toFixed(2)}`;
}
