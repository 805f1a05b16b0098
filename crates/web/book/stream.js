// @ts-check
/**
 * An event stream, read line by line, with what each line does.
 *
 * The format's rules are in the parser of this book's client. This module hands it one
 * line after the other and reports what that has changed.
 */

import { EventStreamParser } from "../sse/event-stream.js";

/** @typedef {import("../sse/event-stream.js").StreamEvent} StreamEvent */

/**
 * @typedef {object} Line
 * @property {string} text without its end
 * @property {"CR" | "LF" | "CR LF" | ""} end `""` where it has not come
 * @property {string} effect in words
 * @property {StreamEvent | null} event what it makes a browser dispatch
 */

/**
 * @typedef {object} Reading
 * @property {Line[]} lines
 * @property {StreamEvent[]} events
 * @property {string} lastEventId
 * @property {number | null} retry in milliseconds
 * @property {string} dropped what has come of a block that nothing has ended. If the
 *   stream ends here, nobody sees it
 */

/** The sign for a CR in a text field, which would make a line end of the CR itself. */
export const CR_SIGN = "␍";

/**
 * The bytes of a stream that somebody wrote into a text field.
 *
 * @param {string} text with line ends LF, and {@link CR_SIGN} for CR
 * @returns {Uint8Array}
 */
export function bytesOf(text) {
  return new TextEncoder().encode(text.replaceAll(CR_SIGN, "\r"));
}

/**
 * Where the lines of a stream end, in bytes.
 *
 * @param {Uint8Array} bytes
 * @returns {number[]}
 */
export function lineEnds(bytes) {
  const ends = [];
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at += 1;
    else if (bytes[at] !== 0x0d && bytes[at] !== 0x0a) continue;
    ends.push(at + 1);
  }
  return ends;
}

/**
 * Reads what has arrived of a stream.
 *
 * @param {Uint8Array} bytes
 * @returns {Reading}
 */
export function readStream(bytes) {
  /** @type {StreamEvent[]} */
  const events = [];
  const parser = new EventStreamParser((event) => events.push(event));
  const decoder = new TextDecoder("utf-8");
  /** @type {Line[]} */
  const lines = [];
  let blockBegin = 0;
  let begin = 0;
  for (const end of lineEnds(bytes)) {
    const raw = bytes.subarray(begin, end);
    const before = { ...stateOf(parser), count: events.length };
    parser.push(raw);
    const text = decoder.decode(raw, { stream: true });
    const event = events[before.count] ?? null;
    const line = withoutEnd(text);
    lines.push({ ...line, effect: effectOf(line.text, before, parser, event), event });
    if (line.text === "") blockBegin = end;
    begin = end;
  }
  if (begin < bytes.length) {
    const text = decoder.decode(bytes.subarray(begin));
    const effect = "has no end yet, so it does nothing";
    lines.push({ text, end: "", effect, event: null });
  }
  return {
    lines,
    events,
    lastEventId: parser.lastEventId,
    retry: parser.retry,
    dropped: new TextDecoder().decode(bytes.subarray(blockBegin)),
  };
}

/** @param {EventStreamParser} parser */
function stateOf({ type, data, id, lastEventId, retry }) {
  return { type, data, id, lastEventId, retry };
}

/**
 * @param {string} text
 * @returns {Pick<Line, "text" | "end">}
 */
function withoutEnd(text) {
  if (text.endsWith("\r\n")) return { text: text.slice(0, -2), end: "CR LF" };
  return { text: text.slice(0, -1), end: text.endsWith("\r") ? "CR" : "LF" };
}

/**
 * @param {string} line
 * @param {ReturnType<typeof stateOf>} before
 * @param {EventStreamParser} parser
 * @param {StreamEvent | null} event
 * @returns {string}
 */
function effectOf(line, before, parser, event) {
  const now = stateOf(parser);
  if (event) return `ends the block: an event of the type ${event.type}`;
  if (line === "") {
    const kept = now.lastEventId === before.lastEventId ? "" : "; its id stays";
    return `ends the block, which has no data, so no event${kept}`;
  }
  if (line.startsWith(":")) return "is a comment: the page sees nothing of it";
  if (now.data !== before.data)
    return before.data ? "adds a line to the data" : "begins the data";
  if (now.type !== before.type) return `sets the type of this block: ${show(now.type)}`;
  if (now.id !== before.id)
    return `sets the id, from the end of this block on: ${show(now.id)}`;
  if (now.retry !== before.retry) return `sets the time to come back: ${now.retry} ms`;
  return "changes nothing";
}

/** @param {string} text */
function show(text) {
  return text === "" ? "none" : text;
}

/**
 * The stream of exercise 1 of the chapter on SSE. A test compares it with the
 * exercise's.
 */
export const EXERCISE = [
  ": welcome",
  "id: 7",
  "",
  "retry: 500",
  `data: one${CR_SIGN}`,
  "data:two",
  "",
  "event: price",
  `data: 3${CR_SIGN}id: 8`,
  "",
  "data",
  "",
  "event: note",
  "",
  "data: four",
  "id",
  "",
  "data: five",
].join("\n");
