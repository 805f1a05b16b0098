// @ts-check
/** An arrow's bytes, part by part: each byte belongs to one part. */

import { decodeFrame, faultsOf, OPCODES, textOf } from "../book/frame.js";
import { formatBits } from "../book/hex.js";
import { lineEnds, readStream } from "../book/stream.js";
import { readText } from "./arrows.js";
import { concat } from "./bytes.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./arrows.js").Span} Span */

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {string} says what it means
 * @property {Uint8Array} bytes as they were sent; empty where there are none
 * @property {string} text how they are read; `""` where there is nothing to read
 */

/**
 * @param {Arrow} arrow
 * @returns {Part[]} their bytes, one after the other, are those of the arrow
 */
export function explain(arrow) {
  const { bytes, spans, head, lines } = arrow;
  const parts = head ? explainSeen(arrow) : [];
  if (lines) parts.push({ name: "decoded", says: DECODED, bytes: NONE, text: lines });
  const effects = effectsOf(arrow);
  for (const span of spans) {
    const stretch = bytes.subarray(span.from, span.to);
    if (span.what === "head") parts.push(...explainHead(stretch));
    else if (span.what === "frame") parts.push(...explainFrame(arrow, stretch));
    else if (span.what === "data") parts.push(...explainData(arrow, span, effects));
    else parts.push(explainFraming(span.what, stretch));
  }
  return parts;
}

const NONE = new Uint8Array();
const DECODED = "What the recorder has decoded; this view has not.";

/**
 * A head as a script sees it.
 *
 * @param {Arrow} arrow
 * @returns {Part[]}
 */
function explainSeen({ head, way }) {
  const { method = "", target = "", status = "", headers = [] } = head ?? {};
  const first = way === "up" ? `${method} ${target}` : String(status);
  return [
    {
      name: way === "up" ? "request" : "status",
      says: "What script sees; there are no bytes of a network.",
      bytes: NONE,
      text: first,
    },
    ...headers.map(([name, value]) => ({
      name: "header",
      says: sayHeader(name),
      bytes: NONE,
      text: `${name}: ${value}`,
    })),
  ];
}

/**
 * @param {Uint8Array} bytes through the empty line
 * @returns {Part[]}
 */
function explainHead(bytes) {
  return splitLines(bytes).map((line, place) => {
    const text = readText(line).trimEnd();
    const [name] = text.split(":", 1);
    if (text === "" && place > 0)
      return { name: "empty line", says: "The head ends.", bytes: line, text };
    if (/^HTTP\/1/.test(text))
      return { name: "status line", says: SAYS_STATUS, bytes: line, text };
    if (/ HTTP\/1\.\d$/.test(text))
      return { name: "request line", says: SAYS_REQUEST, bytes: line, text };
    return { name: "header", says: sayHeader(name), bytes: line, text };
  });
}

const SAYS_STATUS = "The version of HTTP, the status, and words that no client reads.";
const SAYS_REQUEST = "The method, the target with its query, and the version of HTTP.";

/** What the headers of this book are for. */
const HEADERS = new Map([
  ["accept", "What the client would like to read."],
  ["cache-control", "Whether a cache may keep the answer."],
  ["connection", "What holds for this hop alone."],
  ["content-length", "How many bytes of a body follow the head."],
  ["content-type", "What the body is."],
  ["date", "When the server has answered, by its clock, in whole seconds."],
  ["host", "Which server is meant."],
  ["idempotency-key", "The same key twice is one event."],
  ["incremental", "Asks what stands between not to hold the response back."],
  ["last-event-id", "Where the client stands: the last id that it has read."],
  ["origin", "From which page a script asks."],
  ["prefer", "For how many seconds the server may park the request."],
  ["preference-applied", "For how many seconds the server was ready to."],
  ["retry-after", "When to come back."],
  ["sec-websocket-accept", "Proves that the server knows the protocol."],
  ["sec-websocket-key", "Chosen at random, and answered in the response."],
  ["sec-websocket-protocol", "What is spoken in the frames."],
  ["sec-websocket-version", "The version of the protocol, since 2011 always 13."],
  ["transfer-encoding", "The body comes in chunks, each with its length before it."],
  ["upgrade", "To which protocol the connection switches."],
  ["user-agent", "What the client calls itself."],
  ["vary", "Which headers of the request the answer depends on."],
  ["x-accel-buffering", "Asks an nginx in between not to hold the response back."],
]);

/** @param {string} name */
function sayHeader(name) {
  return HEADERS.get(name.toLowerCase()) ?? "";
}

/**
 * @param {Span["what"]} what
 * @param {Uint8Array} bytes
 * @returns {Part}
 */
function explainFraming(what, bytes) {
  const text = readText(bytes);
  if (what === "chunk-size") {
    const size = Number.parseInt(text, 16);
    const says =
      size === 0 ? "The last chunk: the body ends." : `${countBytes(size)} follow.`;
    return { name: "chunk size", says, bytes, text: text.trimEnd() };
  }
  if (what === "chunk-end")
    return {
      name: "end of the chunk",
      says: "A line end, not of the data.",
      bytes,
      text: "",
    };
  if (what === "trailers")
    return {
      name: "end of the body",
      says: "No trailers follow.",
      bytes,
      text: text.trimEnd(),
    };
  return {
    name: "not read",
    says: "Not a message, or not the whole of one.",
    bytes,
    text,
  };
}

/**
 * What the lines of an event stream do, by where they begin among the data.
 *
 * @typedef {Map<number, { name: string, says: string, end: number }>} Effects
 */

/**
 * @param {Arrow} arrow
 * @returns {Effects | null} `null` if the data are no block of an event stream
 */
function effectsOf(arrow) {
  if (!isBlock(arrow)) return null;
  const data = concat(dataOf(arrow));
  const { lines } = readStream(data);
  const ends = lineEnds(data);
  /** @type {Effects} */
  const effects = new Map();
  for (const [place, { text, effect }] of lines.entries()) {
    const begin = ends[place - 1] ?? 0;
    const [field] = text.split(":", 1);
    const name = text === "" ? "empty line" : field === "" ? "comment" : field;
    effects.set(begin, {
      name,
      says: sentence(effect),
      end: ends[place] ?? data.length,
    });
  }
  return effects;
}

/** @param {string} words */
function sentence(words) {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** @param {Arrow} arrow */
function isBlock({ way, spans, head }) {
  const has = (/** @type {Span["what"]} */ what) =>
    spans.some((span) => span.what === what);
  return way === "down" && has("data") && !has("head") && !head;
}

/** @param {Arrow} arrow */
function dataOf({ bytes, spans }) {
  return spans
    .filter(({ what }) => what === "data")
    .map(({ from, to }) => bytes.subarray(from, to));
}

/**
 * @param {Arrow} arrow
 * @param {Span} span
 * @param {Effects | null} effects
 * @returns {Part[]}
 */
function explainData(arrow, span, effects) {
  const { bytes, spans, lines } = arrow;
  const stretch = bytes.subarray(span.from, span.to);
  if (lines) return [{ name: "bytes", says: "", bytes: stretch, text: "" }];
  if (!effects) return [explainBody(stretch)];
  // Where this stretch begins among all data: chunks may divide a line.
  let begin = 0;
  for (const { what, from, to } of spans)
    if (what === "data" && from < span.from) begin += to - from;
  /** @type {Part[]} */
  const parts = [];
  let at = begin;
  const end = begin + stretch.length;
  for (const [from, { name, says, end: to }] of effects) {
    if (to <= at || from >= end) continue;
    const piece = stretch.subarray(at - begin, Math.min(to, end) - begin);
    const isStart = at === from;
    parts.push({
      name: isStart ? name : `${name}, goes on`,
      says: isStart ? says : "The rest of the line, in another chunk.",
      bytes: piece,
      text: readText(piece).replace(/[\r\n]+$/, ""),
    });
    at += piece.length;
  }
  return parts;
}

/** @param {Uint8Array} bytes @returns {Part} */
function explainBody(bytes) {
  const text = textOf(bytes);
  if (text === null) return { name: "body", says: "Not UTF-8.", bytes, text: "" };
  const json = prettify(text);
  return json === null
    ? { name: "body", says: "", bytes, text }
    : { name: "body", says: "JSON, here on several lines.", bytes, text: json };
}

/** @param {string} text @returns {string | null} */
function prettify(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return null;
  }
}

/**
 * @param {Arrow} arrow
 * @param {Uint8Array} bytes
 * @returns {Part[]}
 */
function explainFrame({ way }, bytes) {
  const read = decodeFrame(bytes);
  // Its end was not kept.
  if (!read) return [{ name: "frame", says: "Not kept whole.", bytes, text: "" }];
  const { frame } = read;
  const { fin, reserved = 0, opcode, mask, payload } = frame;
  const [first, second] = bytes;
  const lengthBytes = read.size - payload.length - (mask ? 4 : 0) - 2;
  const keyAt = 2 + lengthBytes;
  const payloadAt = keyAt + (mask ? 4 : 0);
  /** @type {Part[]} */
  const parts = [
    {
      name: "first byte",
      says:
        `FIN ${fin ? 1 : 0}, ${reserved === 0 ? "no" : formatBits(reserved, 3)} ` +
        `reserved bits, opcode ${opcode}: ${OPCODES.get(opcode) ?? "unknown"}.`,
      bytes: bytes.subarray(0, 1),
      text: formatBits(first),
    },
    {
      name: "second byte",
      says:
        `${mask ? "Masked" : "Not masked"}, ` +
        (lengthBytes === 0
          ? `${countBytes(payload.length)} of payload.`
          : `the length is in the next ${lengthBytes} bytes.`),
      bytes: bytes.subarray(1, 2),
      text: formatBits(second),
    },
  ];
  if (lengthBytes > 0)
    parts.push({
      name: "length",
      says: `${countBytes(payload.length)} of payload.`,
      bytes: bytes.subarray(2, keyAt),
      text: "",
    });
  if (mask)
    parts.push({
      name: "masking key",
      says: "Each byte of the payload is XORed with one of these, in turn.",
      bytes: bytes.subarray(keyAt, payloadAt),
      text: "",
    });
  if (payload.length > 0)
    parts.push({
      name: mask ? "masked payload" : "payload",
      says: [explainPayload(opcode, payload), ...faultsOf(frame, senderOf(way))].join(
        " ",
      ),
      bytes: bytes.subarray(payloadAt),
      text: readPayload(opcode, payload),
    });
  return parts;
}

/** @param {"up" | "down"} way */
function senderOf(way) {
  return way === "up" ? "client" : "server";
}

/** @param {number} opcode @param {Uint8Array} payload */
function explainPayload(opcode, payload) {
  if (opcode === 8) return `Close, code ${(payload[0] << 8) | payload[1]}.`;
  return prettify(readText(payload)) === null ? "" : "JSON, here on several lines.";
}

/** @param {number} opcode @param {Uint8Array} payload */
function readPayload(opcode, payload) {
  if (opcode === 8) return textOf(payload.subarray(2)) ?? "";
  const text = textOf(payload) ?? "";
  return prettify(text) ?? text;
}

/** @param {Uint8Array} bytes @returns {Uint8Array[]} with their ends */
function splitLines(bytes) {
  const ends = lineEnds(bytes);
  if (ends.at(-1) !== bytes.length) ends.push(bytes.length);
  return ends.map((end, place) => bytes.subarray(ends[place - 1] ?? 0, end));
}

/** @param {number} count */
export function countBytes(count) {
  return count === 1 ? "1 byte" : `${count.toLocaleString("en-GB")} bytes`;
}
