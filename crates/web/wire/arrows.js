// @ts-check
/**
 * What is drawn of a wire: arrows, which are messages, and bars, which are what is
 * open. And what the messages of this book's contract are called.
 */

import {
  parseObject,
  problemName,
  readAccepted,
  readEnd,
  readEvent,
  readGap,
  readHeartbeat,
  readHello,
  readLogPage,
  readMessage,
} from "../shared/contract.js";
import { describeEvent } from "../shared/describe.js";

/** @typedef {import("../sse/event-stream.js").StreamEvent} StreamEvent */
/** @typedef {import("../shared/contract.js").Gap} Gap */
/** @typedef {import("../shared/contract.js").LogEvent} LogEvent */
/** @typedef {import("./format.js").WireHead} WireHead */

/**
 * @typedef {"request" | "response" | "hello" | "event" | "heartbeat" | "gap" | "end" |
 *   "publish" | "ack" | "control" | "other" | "unread"} Kind
 */

/**
 * A stretch of an arrow's bytes, and what it is. They follow one another without holes.
 *
 * @typedef {object} Span
 * @property {"head" | "chunk-size" | "chunk-end" | "trailers" | "data" | "frame" |
 *   "unread"} what
 * @property {number} from
 * @property {number} to
 */

/**
 * What a message means.
 *
 * @typedef {object} Meaning
 * @property {Kind} kind
 * @property {string} label a few words
 * @property {string} text a sentence, or the label again
 * @property {LogEvent[]} events that it delivers
 * @property {Gap | null} gap
 */

/**
 * A message on its way.
 *
 * @typedef {Meaning & {
 *   c: number,
 *   way: "up" | "down",
 *   from: number,
 *   t: number,
 *   size: number,
 *   bytes: Uint8Array,
 *   spans: Span[],
 *   head: WireHead | null,
 *   isHalf: boolean,
 *   lines: string,
 * }} Arrow `from` and `t` are when its first and its last byte were seen. `bytes` are
 *   those that are kept, `size` counts all. `head` is that of a request or a response
 *   of which there are no bytes. `isHalf`: it ended before it was complete. `lines`:
 *   what a recorder has decoded
 */

/**
 * What is open for a while: a request without its answer, a stream, a socket.
 *
 * @typedef {object} Bar
 * @property {number} c
 * @property {"request" | "parked" | "stream" | "socket"} kind
 * @property {number} from
 * @property {number | null} to `null` while it is open
 * @property {"answered" | "finished" | "client" | "server" | "unknown" | null} end how
 *   it ended: in order, or by whose closing of the connection
 */

/** What each kind of bar is called. */
export const BARS = {
  request: "a request without its answer yet",
  parked: "a request that the server has parked",
  stream: "a response that goes on",
  socket: "a socket",
};

const decoder = new TextDecoder();

/** @param {Uint8Array} bytes */
export function readText(bytes) {
  return decoder.decode(bytes);
}

/**
 * @param {Kind} kind
 * @param {string} label
 * @param {string} [text]
 * @param {Partial<Meaning>} [more]
 * @returns {Meaning}
 */
export function meaning(kind, label, text = label, more = {}) {
  return { kind, label, text, events: [], gap: null, ...more };
}

/** @param {string} cursor */
function idOf(cursor) {
  return cursor.slice(cursor.lastIndexOf(".") + 1);
}

/** @param {LogEvent} event */
function ofEvent(event) {
  const text = `event ${event.id}: ${describeEvent(event)}`;
  return meaning("event", `event ${idOf(event.id)}`, text, { events: [event] });
}

/** @param {Gap} gap */
function ofGap(gap) {
  const after = gap.asked ?? "an unknown cursor";
  const text = `gap (${gap.reason}) after ${after}, going on from ${gap.resume}`;
  return meaning("gap", "gap", text, { gap });
}

/** @param {{ every: number }} heartbeat */
function ofHeartbeat({ every }) {
  const text = `heartbeat: the next within ${every} ms`;
  return meaning("heartbeat", "heartbeat", text);
}

/** @param {{ cursor: string, every: number }} hello */
function ofHello({ cursor, every }) {
  const text = `hello: the stream begins after ${cursor}, a message within ${every} ms`;
  return meaning("hello", "hello", text);
}

/**
 * A block of an event stream.
 *
 * @param {StreamEvent | undefined} event what it makes a browser dispatch
 * @param {Uint8Array} block
 * @returns {Meaning}
 */
export function readBlock(event, block) {
  if (!event) {
    const text = readText(block).trim();
    if (text.startsWith(":")) return meaning("other", "comment", `comment ${text}`);
    return meaning("other", "no event", `a block without data: ${text || "empty"}`);
  }
  const { type, data } = event;
  const value = parseObject(data);
  const heartbeat = type === "heartbeat" && readHeartbeat(value);
  if (heartbeat) return ofHeartbeat(heartbeat);
  const hello = type === "hello" && readHello(value);
  if (hello) return ofHello(hello);
  const gap = type === "gap" && readGap(value);
  if (gap) return ofGap(gap);
  const end = type === "end" && readEnd(value);
  if (end) return meaning("end", "end", `end: ${end.reason}`);
  const known = type === "message" && readEvent(value);
  if (known) return ofEvent(known);
  return meaning("event", type, `${type}: ${shorten(data)}`);
}

/**
 * A whole message of a WebSocket.
 *
 * @param {"up" | "down"} way
 * @param {Uint8Array} payload
 * @returns {Meaning}
 */
export function readSocketText(way, payload) {
  const text = readText(payload);
  const value = parseObject(text);
  if (way === "up") {
    const [name] = Object.keys(value ?? {});
    return meaning("publish", name ?? "text", shorten(text));
  }
  const message = readMessage(value);
  switch (message?.type) {
    case "hello":
      return ofHello(message);
    case "event":
      return ofEvent(message.event);
    case "gap":
      return ofGap(message.gap);
    case "heartbeat":
      return ofHeartbeat(message);
    case "ack":
      return meaning("ack", "ack", `ack: published as ${message.id}`);
    case "error":
      return meaning("other", "error", `error: ${shorten(text)}`);
  }
  return meaning("other", "text", shorten(text));
}

/**
 * @param {WireHead} head
 * @param {Uint8Array} body
 * @returns {Meaning}
 */
export function readRequest(head, body) {
  const { method = "", target = "" } = head;
  const url = new URL(target, "http://host/");
  const name = url.pathname.slice(url.pathname.lastIndexOf("/") + 1) || "/";
  const after = url.searchParams.get("after");
  const last = headerOf(head, "last-event-id");
  const wait = waitOf(head);
  const upgrade = headerOf(head, "upgrade");
  const label = [
    `${method} ${name}`,
    ...(last ? [`last ${idOf(last)}`] : after ? [`after ${idOf(after)}`] : []),
    ...(wait === null ? [] : [`wait=${wait}`]),
    ...(upgrade ? [`to ${upgrade}`] : []),
  ].join(", ");
  const what = upgrade ? `request to switch to ${upgrade}` : "request";
  const sent = body.length > 0 ? `, with a body: ${shorten(readText(body))}` : "";
  return meaning("request", label, `${what}: ${method} ${target}${sent}`);
}

/**
 * A response that is no stream.
 *
 * @param {WireHead} head
 * @param {Uint8Array} body
 * @returns {Meaning}
 */
export function readResponse(head, body) {
  const { status = 0 } = head;
  const name = NAMES.get(status);
  const title = name ? `${status} ${name}` : String(status);
  const value = parseObject(readText(body));
  const page = status === 200 ? readLogPage(value) : null;
  if (page) {
    const { events } = page;
    const count = events.length === 1 ? "1 event" : `${events.length} events`;
    const list = events.map((event) => `${event.id}: ${describeEvent(event)}`);
    const text = `response: ${status}, a log page with ${count}, next ${page.next}`;
    const label = `${status}, ${count}`;
    const all = list.length > 0 ? `${text}; ${shorten(list.join("; "))}` : text;
    return meaning("response", label, all, { events });
  }
  const gap = status === 410 ? readGap(value, problemName(value)) : null;
  if (gap) {
    const { text } = ofGap(gap);
    return meaning("gap", "410, gap", `response: ${title}, ${text}`, { gap });
  }
  const accepted = status >= 200 && status < 300 ? readAccepted(value) : null;
  if (accepted) {
    const text = `response: ${title}, published as ${accepted.id}`;
    return meaning("response", `${status}, ${idOf(accepted.id)}`, text);
  }
  const held = body.length > 0 ? `: ${shorten(readText(body))}` : "";
  return meaning("response", title, `response: ${title}${held}`);
}

/**
 * The head of a response that goes on: of a stream, a switch, or an interim response.
 *
 * @param {WireHead} head
 * @param {string} what
 * @returns {Meaning}
 */
export function readResponseHead({ status = 0 }, what) {
  const name = NAMES.get(status);
  const title = name ? `${status} ${name}` : String(status);
  return meaning("response", title, `response: ${title}, ${what}`);
}

/** The statuses of this book (RFC 9110 §15). */
const NAMES = new Map([
  [100, "Continue"],
  [101, "Switching Protocols"],
  [103, "Early Hints"],
  [200, "OK"],
  [201, "Created"],
  [202, "Accepted"],
  [204, "No Content"],
  [304, "Not Modified"],
  [400, "Bad Request"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [410, "Gone"],
  [429, "Too Many Requests"],
  [500, "Internal Server Error"],
  [503, "Service Unavailable"],
]);

/**
 * @param {WireHead} head
 * @param {string} name in lower case
 * @returns {string | null} its first value
 */
export function headerOf({ headers }, name) {
  return headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? null;
}

/**
 * @param {WireHead} head of a request
 * @returns {number | null} for how many seconds it lets itself be parked
 */
export function waitOf(head) {
  const prefer = headerOf(head, "prefer") ?? "";
  const wait = /(?:^|,)\s*wait\s*=\s*([0-9]+)/i.exec(prefer);
  return wait ? Number(wait[1]) : null;
}

/** @param {WireHead} head of a response */
export function isEventStream(head) {
  return /^text\/event-stream\s*(;|$)/i.test(headerOf(head, "content-type") ?? "");
}

/** A sentence is read; what is longer stands among the bytes. */
const LONGEST_QUOTE = 160;

/** @param {string} text */
function shorten(text) {
  return text.length <= LONGEST_QUOTE ? text : `${text.slice(0, LONGEST_QUOTE)}…`;
}
