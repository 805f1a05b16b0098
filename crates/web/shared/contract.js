// @ts-check
/**
 * The wire contract as a page reads it: events, log pages, and the messages of streams
 * and sockets.
 *
 * Each `read` function takes a value from JSON, and gives what it is, or `null` where
 * it is not that. Members that it does not know it leaves out: the contract may grow.
 * All are tested with the examples in `crates/contract/vectors`.
 */

import { isCursor } from "./cursor.js";

/**
 * An event, as the wire carries it.
 *
 * @typedef {object} LogEvent
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

/**
 * A page of the log.
 *
 * @typedef {object} LogPage
 * @property {string} after the cursor before its first event: which request it answers
 * @property {LogEvent[]} events
 * @property {string} next the cursor to ask with next
 * @property {boolean} more whether more is due than this page holds
 * @property {boolean} finished whether nothing will ever follow
 */

/**
 * A message of a WebSocket server. `every` is in milliseconds: the longest silence
 * until the next message. An `error` without a `ref` is about a message that the server
 * could not read; `unknown` is a message of a newer server.
 *
 * @typedef {{ type: "hello", cursor: string, every: number }
 *   | { type: "event", event: LogEvent }
 *   | { type: "gap", gap: Gap }
 *   | { type: "heartbeat", every: number, cursor?: string }
 *   | { type: "ack", ref: string, id: string }
 *   | { type: "error", ref?: string, problem: Record<string, unknown> }
 *   | { type: "unknown" }} ServerMessage
 */

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = "waiting.v1";
/** The media type of a problem. */
export const PROBLEM_JSON = "application/problem+json";
// What the type of each of the contract's problems begins with; its name follows.
const TYPE_PREFIX = "tag:waiting.example,2026:";
const KIND = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * @param {string} json
 * @returns {Record<string, unknown> | null} `null` if the text is not JSON, or not an
 *   object
 */
export function parseObject(json) {
  try {
    const value = JSON.parse(json);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {any} value
 * @returns {LogEvent | null}
 */
export function readEvent(value) {
  if (!isObject(value) || value.data === undefined) return null;
  const { id, at, kind, data } = value;
  return isCursor(id) && isText(at) && isKind(kind) ? { id, at, kind, data } : null;
}

/**
 * @param {any} value
 * @param {unknown} [reason] if it is not in the value
 * @returns {Gap | null}
 */
export function readGap(value, reason = value?.reason) {
  if (!isCursor(value?.resume) || !isText(reason)) return null;
  // A reason that is not known yet: that events were missed is what counts.
  const known = reason === "expired" || reason === "new-log" ? reason : "unknown";
  /** @type {Gap} */
  const gap = { reason: known, resume: value.resume };
  return isText(value.asked) ? { ...gap, asked: value.asked } : gap;
}

/**
 * @param {any} value
 * @returns {LogPage | null}
 */
export function readLogPage(value) {
  if (!Array.isArray(value?.events)) return null;
  const { after, next } = value;
  if (!isCursor(after) || !isCursor(next)) return null;
  /** @type {(LogEvent | null)[]} */
  const events = value.events.map(readEvent);
  if (!events.every((event) => event !== null)) return null;
  const [more, finished] = [value.more === true, value.finished === true];
  return { after, events, next, more, finished };
}

/**
 * Where the log begins and ends.
 *
 * @param {any} value
 * @returns {{ earliest: string, latest: string, finished: boolean } | null}
 */
export function readStatus(value) {
  const { earliest, latest, finished } = value ?? {};
  if (!isCursor(earliest) || !isCursor(latest)) return null;
  return typeof finished === "boolean" ? { earliest, latest, finished } : null;
}

/**
 * The answer to a publish.
 *
 * @param {any} value
 * @returns {{ id: string } | null} the event's cursor
 */
export function readAccepted(value) {
  return isCursor(value?.id) ? { id: value.id } : null;
}

/**
 * The first message of a stream or a socket: where it begins, and how long it may be
 * silent.
 *
 * @param {any} value
 * @returns {{ cursor: string, every: number } | null}
 */
export function readHello(value) {
  const { cursor, every } = value ?? {};
  return isCursor(cursor) && isEvery(every) ? { cursor, every } : null;
}

/**
 * @param {any} value
 * @returns {{ every: number, cursor?: string } | null} with a cursor on a WebSocket, if
 *   the reader stands past events that it was not sent
 */
export function readHeartbeat(value) {
  const { every, cursor } = value ?? {};
  if (!isEvery(every)) return null;
  if (cursor === undefined) return { every };
  return isCursor(cursor) ? { every, cursor } : null;
}

/**
 * Why a stream ended on purpose.
 *
 * @param {any} value
 * @returns {{ reason: "shutdown" | "finished" | "renew" | "denied" | "unknown" } |
 *   null}
 */
export function readEnd(value) {
  const reason = value?.reason;
  switch (reason) {
    case "shutdown":
    case "finished":
    case "renew":
    case "denied":
      return { reason };
    default:
      // A reason that is not known yet: the stream is over, whatever the reason.
      return isText(reason) ? { reason: "unknown" } : null;
  }
}

/**
 * @param {any} value an object with one member, whose name says what it is
 * @returns {ServerMessage | null}
 */
export function readMessage(value) {
  if (!isObject(value)) return null;
  if (Object.keys(value).length !== 1) return { type: "unknown" };
  const { hello, event, gap, heartbeat, ack, error } = /** @type {any} */ (value);
  if (hello !== undefined) return tag("hello", readHello(hello));
  if (heartbeat !== undefined) return tag("heartbeat", readHeartbeat(heartbeat));
  if (event !== undefined) {
    const known = readEvent(event);
    return known && { type: "event", event: known };
  }
  if (gap !== undefined) {
    const known = readGap(gap);
    return known && { type: "gap", gap: known };
  }
  if (ack !== undefined) {
    const { ref, id } = ack ?? {};
    return isText(ref) && isCursor(id) ? { type: "ack", ref, id } : null;
  }
  if (error !== undefined) {
    const { ref, problem } = error ?? {};
    if (!isObject(problem)) return null;
    return isText(ref) ? { type: "error", ref, problem } : { type: "error", problem };
  }
  return { type: "unknown" };
}

/**
 * @param {Record<string, unknown> | null} problem
 * @returns {string | null} which problem of the contract it is; `null` if it is none
 */
export function problemName(problem) {
  const type = problem?.type;
  if (!isText(type) || !type.startsWith(TYPE_PREFIX)) return null;
  return type.slice(TYPE_PREFIX.length);
}

/** @param {unknown} value @returns {value is string} */
function isKind(value) {
  return isText(value) && KIND.test(value);
}

/**
 * @template {string} T
 * @template {object} V
 * @param {T} type
 * @param {V | null} value
 */
function tag(type, value) {
  return value && { ...value, type };
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value @returns {value is string} */
function isText(value) {
  return typeof value === "string";
}

/** @param {unknown} value in milliseconds @returns {value is number} */
function isEvery(value) {
  return Number.isInteger(value) && Number(value) >= 0;
}
