// @ts-check
/** Records for the tests of the wire view. */
import { readFileSync } from "node:fs";
import { Decoder } from "../../wire/decode.js";

/** @typedef {import("../../wire/arrows.js").Arrow} Arrow */
/** @typedef {import("../../wire/arrows.js").Bar} Bar */
/** @typedef {import("../../wire/decode.js").Closing} Closing */
/** @typedef {import("../../wire/format.js").Recording} Recording */
/** @typedef {import("../../wire/format.js").WirePiece} WirePiece */
/** @typedef {import("../../wire/format.js").WireRecord} WireRecord */

export const METHODS = ["polling", "long-polling", "sse", "websocket"];

/**
 * What went between a client of raw bytes and the book's server.
 *
 * @param {string} method
 * @returns {Recording}
 */
export function recordingOf(method) {
  return JSON.parse(readFileSync(new URL(`${method}.json`, import.meta.url), "utf8"));
}

/** @param {WireRecord[]} records */
export function decode(...records) {
  /** @type {Arrow[]} */
  const arrows = [];
  /** @type {Bar[]} */
  const bars = [];
  /** @type {Closing[]} */
  const closings = [];
  const decoder = new Decoder({
    onArrow: (arrow) => arrows.push(arrow),
    onBar: (bar) => bars.push(bar),
    onClose: (closing) => closings.push(closing),
    onLose: () => {},
  });
  for (const record of records) decoder.push(record);
  return { arrows, bars, closings };
}

/**
 * A record of bytes that come one piece after the other, a millisecond apart.
 *
 * @param {{ way: "up" | "down", bytes: string | Uint8Array, size?: number, c?: number }[]} pieces
 * @param {Partial<WireRecord>} [more]
 * @returns {WireRecord}
 */
export function recordOf(pieces, more = {}) {
  return {
    version: 1,
    source: "tap",
    started: "2026-11-29T12:00:00.000Z",
    now: pieces.length,
    next: pieces.length,
    dropped: 0,
    connections: [{ id: 1, opened: 0, closed: null, by: null }],
    pieces: pieces.map(({ way, bytes, size, c = 1 }, t) => {
      const data = Buffer.from(bytes);
      return { c, t, way, size: size ?? data.length, data: data.toString("base64") };
    }),
    ...more,
  };
}

/**
 * The same record with some of its pieces cut in two.
 *
 * @param {WireRecord} record
 * @param {(offset: number) => boolean} isCut whether to cut before this byte, counted through all
 *   pieces
 * @returns {WireRecord}
 */
export function recut(record, isCut) {
  let offset = 0;
  const pieces = record.pieces.flatMap((piece) => {
    const bytes = Buffer.from(piece.data ?? "", "base64");
    /** @type {WirePiece[]} */
    const parts = [];
    let begin = 0;
    for (let at = 1; at <= bytes.length; at++) {
      if (at < bytes.length && !isCut(offset + at)) continue;
      const part = bytes.subarray(begin, at);
      parts.push({ ...piece, size: part.length, data: part.toString("base64") });
      begin = at;
    }
    offset += bytes.length;
    return parts.length > 0 ? parts : [piece];
  });
  return { ...record, pieces };
}
