// @ts-check
/**
 * From the pieces of a record to arrows and bars, whatever they were written down from:
 * bytes of connections, what a script sees of its requests, or what a recorder has
 * decoded itself.
 */

import {
  isEventStream,
  meaning,
  readRequest,
  readResponse,
  readResponseHead,
} from "./arrows.js";
import { BlockReader } from "./blocks.js";
import { concat } from "./bytes.js";
import { decodeBytes } from "./format.js";
import { Draft, Exchange, Http1 } from "./http1.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./arrows.js").Bar} Bar */
/** @typedef {import("./format.js").WireHead} WireHead */
/** @typedef {import("./format.js").WirePiece} WirePiece */
/** @typedef {import("./format.js").WireRecord} WireRecord */
/** @typedef {import("./http1.js").Sink} Sink */

/**
 * The end of a connection.
 *
 * @typedef {object} Closing
 * @property {number} c
 * @property {number} t
 * @property {"client" | "server" | null} by
 */

/**
 * What reads the pieces of one connection.
 *
 * @typedef {object} Reader
 * @property {(piece: WirePiece) => void} piece
 * @property {Http1["lose"]} lose
 * @property {Http1["close"]} close
 */

/** A page has some at a time. Those that are closed are forgotten. */
const MOST_OPEN = 1000;

/** Reads records, each of which goes on with the one before. */
export class Decoder {
  /** @type {Map<number, Reader>} */
  #readers = new Map();
  /** Those that are closed, by id. @type {Set<number>} */
  #closed = new Set();
  /** How many pieces there have been so far. */
  #next = 0;

  /**
   * @param {Sink & { onClose: (closing: Closing) => void, onLose: () => void }} sink
   */
  constructor(sink) {
    this.sink = sink;
  }

  /** @param {WireRecord} record */
  push({ pieces, connections, next, now }) {
    // What the recorder has dropped since, before it was asked for. What it had handed
    // out before is no loss.
    if (next - this.#next > pieces.length) {
      const t = pieces[0]?.t ?? now;
      for (const reader of this.#readers.values()) reader.lose(t);
      this.sink.onLose();
    }
    this.#next = Math.max(this.#next, next);
    const closings = connections
      .filter(({ id, closed }) => closed !== null && !this.#closed.has(id))
      .map(({ id, closed, by }) => ({ c: id, t: Number(closed), by }))
      .sort((one, other) => one.t - other.t);
    for (const piece of pieces) {
      while (closings.length > 0 && closings[0].t < piece.t)
        this.#close(/** @type {Closing} */ (closings.shift()));
      this.#readerOf(piece).piece(piece);
    }
    for (const closing of closings) this.#close(closing);
    // The records list those that they still know.
    const listed = new Set(connections.map(({ id }) => id));
    for (const id of this.#closed) if (!listed.has(id)) this.#closed.delete(id);
  }

  /** @param {Closing} closing */
  #close(closing) {
    this.#closed.add(closing.c);
    const reader = this.#readers.get(closing.c);
    // Nothing of it was seen.
    if (!reader) return;
    reader.close(closing.t, closing.by);
    this.#readers.delete(closing.c);
    this.sink.onClose(closing);
  }

  /** @param {WirePiece} piece */
  #readerOf({ c, part, label }) {
    let reader = this.#readers.get(c);
    if (reader) return reader;
    const { sink } = this;
    if (label !== undefined) reader = new Labelled(sink);
    else if (part !== undefined) reader = new Fetched(c, sink);
    else reader = new Bytes(c, sink);
    if (this.#readers.size >= MOST_OPEN) {
      const [first] = this.#readers.keys();
      this.#readers.delete(first);
    }
    this.#readers.set(c, reader);
    return reader;
  }
}

/** The bytes of a connection. */
class Bytes extends Http1 {
  /** @param {WirePiece} piece */
  piece({ way, t, size, data }) {
    this.push(way, decodeBytes(data), t, size);
  }
}

/** A request as a script sees it: heads, bodies, and no bytes of a network. */
class Fetched {
  /** @type {WireHead} */
  #head = { headers: [] };
  #draft = new Draft();
  /** @type {Uint8Array[]} */
  #body = [];
  /** @type {BlockReader | null} */
  #blocks = null;
  /** Whether the response has begun, and is held until its end. */
  #isHeld = false;
  #headTime = 0;

  /** @param {number} c @param {Sink} sink */
  constructor(c, sink) {
    this.c = c;
    this.sink = sink;
    this.exchange = new Exchange(c, sink);
  }

  /** @param {WirePiece} piece */
  piece({ part, head = { headers: [] }, data, t, size }) {
    const bytes = decodeBytes(data);
    const taken = { bytes, from: t, t };
    if (part === "request") {
      this.#begin(t);
      this.#draft.add("data", taken);
      this.#finish("up", readRequest(head, bytes), head, size);
      this.exchange.request(head, t);
    } else if (part === "response") {
      this.exchange.response(t);
      this.#headTime = t;
      this.#head = head;
      this.#body = [];
      this.#begin(t);
      this.#blocks = isEventStream(head) ? new BlockReader() : null;
      this.#isHeld = !this.#blocks;
      if (!this.#blocks) return;
      this.#finish("down", readResponseHead(head, "an event stream follows"), head, 0);
      this.exchange.open("stream", t);
    } else if (part === "body") {
      this.#readBody(taken);
    } else if (part === "end") {
      this.#end(t);
    }
  }

  /** @param {{ bytes: Uint8Array, from: number, t: number }} taken */
  #readBody({ bytes, from, t }) {
    if (!this.#blocks) {
      this.#draft.add("data", { bytes, from, t }, true);
      this.#body.push(bytes);
      return;
    }
    let rest = bytes;
    while (rest.length > 0) {
      const { used, meaning } = this.#blocks.offer(rest);
      this.#draft.add("data", { bytes: rest.subarray(0, used), from, t }, true);
      rest = rest.subarray(used);
      if (meaning) this.#finish("down", meaning, null);
    }
  }

  /** @param {number} t */
  #end(t) {
    this.exchange.finish(t);
    const left = this.#draft;
    if (this.#isHeld) {
      if (left.size === 0) left.t = t;
      const meant = readResponse(this.#head, concat(this.#body));
      this.#finish("down", meant, this.#head, left.size, this.#headTime);
    } else if (left.size > 0) {
      const meant = this.#blocks?.close();
      const text = "a block that nothing has ended: no client sees it";
      this.#finish("down", meant ?? meaning("unread", "half", text), null);
    }
    this.#isHeld = false;
  }

  /** @param {number} t */
  #begin(t) {
    this.#draft = new Draft();
    this.#draft.from = t;
    this.#draft.t = t;
  }

  /**
   * @param {"up" | "down"} way
   * @param {import("./arrows.js").Meaning} meaning
   * @param {WireHead | null} head
   * @param {number} [size]
   * @param {number} [from]
   * @param {boolean} [isHalf]
   */
  #finish(way, meaning, head, size, from, isHalf = false) {
    const arrow = this.#draft.finish(this.c, way, meaning, isHalf);
    this.#draft = new Draft();
    this.sink.onArrow({
      ...arrow,
      head,
      size: size ?? arrow.size,
      from: from ?? arrow.from,
    });
  }

  /** What the worker's bounds have dropped may have been a part of any of them. */
  lose() {
    this.#draft = new Draft();
    this.#blocks &&= new BlockReader();
  }

  /** @param {number} t @param {"client" | "server" | null} by */
  close(t, by) {
    if (this.#isHeld || this.#draft.size > 0) {
      const text = "not a whole response";
      const half = meaning("unread", "half", text);
      const head = this.#isHeld ? this.#head : null;
      this.#finish("down", half, head, undefined, undefined, true);
    }
    this.exchange.close(t, by);
  }
}

/** What a recorder has decoded itself. */
class Labelled {
  /** @param {Sink} sink */
  constructor(sink) {
    this.sink = sink;
  }

  /** @param {WirePiece} piece */
  piece({ c, t, way, size, data, label = "", text = "", kind = "other" }) {
    const draft = new Draft();
    draft.add("data", { bytes: decodeBytes(data), from: t, t });
    draft.from = t;
    draft.t = t;
    const [first] = text.split("\n");
    const meant = meaning(kind, label, first ? `${label}: ${first}` : label);
    const arrow = draft.finish(c, way, meant);
    this.sink.onArrow({ ...arrow, size, lines: text });
  }

  lose() {}

  close() {}
}
