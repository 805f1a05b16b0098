// @ts-check
/**
 * From the bytes of a connection to messages: HTTP/1.1 (RFC 9112), event streams in its
 * responses, and frames of a WebSocket after a switch (RFC 6455 §5).
 *
 * Each byte becomes part of one arrow. Bytes that cannot be read, because they are
 * something else or because the record has lost some before them, become arrows that
 * are called unread, until a piece begins like a message again.
 */

import { decodeFrame, describeFrame } from "../book/frame.js";
import {
  headerOf,
  isEventStream,
  meaning,
  readRequest,
  readResponse,
  readResponseHead,
  readSocketText,
  readText,
  waitOf,
} from "./arrows.js";
import { BlockReader } from "./blocks.js";
import { concat, Incoming, indexOf } from "./bytes.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./arrows.js").Bar} Bar */
/** @typedef {import("./arrows.js").Meaning} Meaning */
/** @typedef {import("./arrows.js").Span} Span */
/** @typedef {import("./format.js").WireHead} WireHead */

const LINE_END = [0x0d, 0x0a];
const HEAD_END = [0x0d, 0x0a, 0x0d, 0x0a];
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: .*)?$/;
const VERSION = "HTTP/1.";
/** The longest that is waited for: a head, a line, a frame. In bytes. */
const MOST_WAITED = 2 ** 20;
/** How much of an arrow's bytes is kept. */
const MOST_KEPT = 64 * 1024;

/**
 * What a connection reports.
 *
 * @typedef {object} Sink
 * @property {(arrow: Arrow) => void} onArrow
 * @property {(bar: Bar) => void} onBar once, when it opens; it changes when it closes
 */

/** An arrow whose last byte has not come. */
export class Draft {
  /** @type {Uint8Array[]} */
  #kept = [];
  #keptSize = 0;
  /** @type {Span[]} */
  #spans = [];
  size = 0;
  from = 0;
  t = 0;
  /**
   * What it will mean, once what follows its message has come.
   *
   * @type {Meaning | null}
   */
  meaning = null;

  /**
   * @param {Span["what"]} what
   * @param {{ bytes: Uint8Array, from: number, t: number }} taken
   * @param {boolean} [goesOn] whether it goes on with the stretch before it
   */
  add(what, { bytes, from, t }, goesOn = false) {
    if (bytes.length === 0) return;
    if (this.size === 0) this.from = from;
    // What frames a block may come later than it. The block is there all the same.
    if (what !== "chunk-end" || this.size === 0) this.t = t;
    this.size += bytes.length;
    const kept = bytes.subarray(0, MOST_KEPT - this.#keptSize);
    if (kept.length === 0) return;
    const before = this.#spans.at(-1);
    const to = this.#keptSize + kept.length;
    if (goesOn && before?.what === what) before.to = to;
    else this.#spans.push({ what, from: this.#keptSize, to });
    this.#kept.push(kept);
    this.#keptSize = to;
  }

  /**
   * @param {number} c
   * @param {"up" | "down"} way
   * @param {Meaning} meaning
   * @param {boolean} [isHalf]
   * @returns {Arrow}
   */
  finish(c, way, meaning, isHalf = false) {
    const { size, from, t } = this;
    const bytes = concat(this.#kept);
    const spans = this.#spans;
    return {
      ...meaning,
      c,
      way,
      size,
      from,
      t,
      bytes,
      spans,
      isHalf,
      head: null,
      lines: "",
    };
  }
}

/**
 * Opens and closes the bars of a connection, or of a request that a script has seen.
 */
export class Exchange {
  /** Requests without a response. @type {{ head: WireHead, bar: Bar }[]} */
  #waiting = [];
  /** @type {Bar | null} */
  #open = null;

  /** @param {number} c @param {Sink} sink */
  constructor(c, sink) {
    this.c = c;
    this.sink = sink;
  }

  /** @param {WireHead} head @param {number} t */
  request(head, t) {
    const kind = waitOf(head) === null ? "request" : "parked";
    /** @type {Bar} */
    const bar = { c: this.c, kind, from: t, to: null, end: null };
    this.#waiting.push({ head, bar });
    this.sink.onBar(bar);
  }

  /**
   * The head of the final response has come.
   *
   * @param {number} t
   * @returns {WireHead | null} of the request that it answers, where that was seen
   */
  response(t) {
    const asked = this.#waiting.shift();
    if (asked) close(asked.bar, t, "answered");
    return asked?.head ?? null;
  }

  /** @param {"stream" | "socket"} kind @param {number} t */
  open(kind, t) {
    this.#open = { c: this.c, kind, from: t, to: null, end: null };
    this.sink.onBar(this.#open);
  }

  /** The response that went on is over. @param {number} t */
  finish(t) {
    if (this.#open) close(this.#open, t, "finished");
    this.#open = null;
  }

  /** @param {number} t @param {"client" | "server" | null} by */
  close(t, by) {
    const bars = this.#waiting.map(({ bar }) => bar);
    for (const bar of this.#open ? [...bars, this.#open] : bars)
      close(bar, t, by ?? "unknown");
    this.#waiting = [];
    this.#open = null;
  }
}

/** @param {Bar} bar @param {number} to @param {Bar["end"]} end */
function close(bar, to, end) {
  bar.to = to;
  bar.end = end;
}

/** One connection of HTTP/1.1. */
export class Http1 {
  /** @param {number} c @param {Sink} sink */
  constructor(c, sink) {
    this.exchange = new Exchange(c, sink);
    this.up = new Up(c, sink, this.exchange);
    this.down = new Down(c, sink, this.exchange, this.up);
  }

  /**
   * @param {"up" | "down"} way
   * @param {Uint8Array} bytes
   * @param {number} t
   * @param {number} size how many they were; more than there are where some are lost
   */
  push(way, bytes, t, size) {
    this[way].push(bytes, t);
    if (size > bytes.length) this[way].lose(size - bytes.length, t);
  }

  /** The record has lost pieces, of whichever direction. @param {number} t */
  lose(t) {
    this.up.lose(0, t);
    this.down.lose(0, t);
  }

  /** @param {number} t @param {"client" | "server" | null} by */
  close(t, by) {
    this.up.close();
    this.down.close();
    this.exchange.close(t, by);
  }
}

/** What both directions have in common. */
class Direction {
  incoming = new Incoming();
  draft = new Draft();
  /** When the last byte came that was taken. */
  lastTime = 0;
  /** Reads one unit; `false` where more bytes are needed. @type {() => boolean} */
  read = () => false;
  #isLost = false;

  /** @param {number} c @param {Sink} sink @param {"up" | "down"} way */
  constructor(c, sink, way) {
    this.c = c;
    this.sink = sink;
    this.way = way;
  }

  /** Where a message begins. @returns {boolean} */
  readHead() {
    return false;
  }

  /** @param {Uint8Array} bytes @param {number} t */
  push(bytes, t) {
    this.incoming.push(bytes, t);
    if (this.#isLost && this.isHead()) {
      this.#isLost = false;
      this.read = () => this.readHead();
    }
    this.run();
  }

  run() {
    try {
      while (!this.#isLost && this.read());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#isLost = true;
    }
    if (this.incoming.length > MOST_WAITED) this.#isLost = true;
    if (this.#isLost) this.flush("bytes that this view cannot read");
  }

  /** Whether what has come begins a message. */
  isHead() {
    const [line] = readText(this.incoming.bytes).split("\r\n", 1);
    return (this.way === "up" ? REQUEST_LINE : STATUS_LINE).test(line);
  }

  /**
   * Gives up on bytes that begin no message.
   *
   * @returns {false}
   * @throws {RangeError}
   */
  awaitHead() {
    const { bytes } = this.incoming;
    const isLine = indexOf(bytes, LINE_END) > 0;
    const begin = readText(bytes.subarray(0, VERSION.length));
    const isOther = this.way === "down" && !VERSION.startsWith(begin);
    if (isOther || (isLine && !this.isHead()))
      throw new RangeError("It is no message of HTTP/1.1.");
    return false;
  }

  /**
   * Some bytes have come and are not in the record.
   *
   * @param {number} count @param {number} t
   */
  lose(count, t) {
    this.flush("bytes before a hole in the record");
    this.#isLost = true;
    if (count === 0) return;
    const text = `${count} bytes that the record does not hold`;
    const lost = new Draft().finish(this.c, this.way, meaning("unread", "hole", text));
    this.sink.onArrow({ ...lost, size: count, from: t, t });
  }

  /** @param {string} text */
  flush(text) {
    const { incoming, draft } = this;
    if (incoming.length > 0) draft.add("unread", incoming.take(incoming.length));
    if (draft.size > 0) this.finish(meaning("unread", "unread", text));
  }

  /** @param {Meaning} meaning @param {boolean} [isHalf] */
  finish(meaning, isHalf) {
    const { draft } = this;
    this.draft = new Draft();
    this.sink.onArrow(draft.finish(this.c, this.way, meaning, isHalf));
  }

  /**
   * Takes bytes into the arrow.
   *
   * @param {Span["what"]} what
   * @param {number} count
   * @param {boolean} [goesOn]
   */
  take(what, count, goesOn) {
    const taken = this.incoming.take(count);
    this.draft.add(what, taken, goesOn);
    this.lastTime = taken.t;
    return taken;
  }

  /**
   * Takes what has come up to the end of a sequence.
   *
   * @param {Span["what"]} what
   * @param {readonly number[]} sequence
   */
  takeThrough(what, sequence) {
    const at = indexOf(this.incoming.bytes, sequence);
    return at < 0 ? null : this.take(what, at + sequence.length);
  }

  /** Nothing follows. */
  end() {
    const { incoming, draft } = this;
    if (incoming.length > 0) draft.add("unread", incoming.take(incoming.length));
    if (draft.size === 0) return;
    const { meaning: meant } = draft;
    if (meant) return this.finish(meant);
    this.finish(meaning("unread", "half", "not a whole message"), true);
  }
}

/** From the client to the server. */
class Up extends Direction {
  /** @param {number} c @param {Sink} sink @param {Exchange} exchange */
  constructor(c, sink, exchange) {
    super(c, sink, "up");
    this.exchange = exchange;
    this.read = this.readHead;
  }

  /** @override @returns {boolean} */
  readHead() {
    // A server may ignore an empty line before a request (RFC 9112 §2.2); here it is
    // read with what follows.
    const taken = this.takeThrough("head", HEAD_END);
    if (!taken) return this.awaitHead();
    const head = parseRequest(taken.bytes);
    if (!head) throw new RangeError("It is no request.");
    const length = Number(headerOf(head, "content-length") ?? 0);
    if (headerOf(head, "transfer-encoding")) throw new RangeError("It is chunked.");
    /** @type {Uint8Array[]} */
    const body = [];
    let left = length;
    this.read = () => {
      if (left > 0) {
        const count = Math.min(left, this.incoming.length);
        if (count === 0) return false;
        const { bytes } = this.take("data", count, left < length);
        if (length <= MOST_WAITED) body.push(bytes);
        left -= count;
        if (left > 0) return true;
      }
      const { t } = this.draft;
      this.finish(readRequest(head, concat(body)));
      this.exchange.request(head, t);
      // What follows a wish to switch may be of either protocol, until it is answered.
      this.read = headerOf(head, "upgrade") ? () => false : this.readHead;
      return true;
    };
    return true;
  }

  /**
   * A response has come.
   *
   * @param {boolean} isSocket whether it switches to WebSocket
   */
  answered(isSocket) {
    if (isSocket) this.read = createFrameReader(this);
    else if (this.draft.size === 0) this.read = this.readHead;
    this.run();
  }

  close() {
    this.end();
  }
}

/** From the server to the client. */
class Down extends Direction {
  #blocks = new BlockReader();
  /** Whether the body that comes is an event stream. */
  #isStream = false;
  /** @type {WireHead} */
  #head = { headers: [] };
  /** @type {Uint8Array[]} */
  #body = [];
  #bodySize = 0;

  /** @param {number} c @param {Sink} sink @param {Exchange} exchange @param {Up} up */
  constructor(c, sink, exchange, up) {
    super(c, sink, "down");
    this.exchange = exchange;
    this.up = up;
    this.read = this.readHead;
  }

  /** @override @returns {boolean} */
  readHead() {
    const taken = this.takeThrough("head", HEAD_END);
    if (!taken) return this.awaitHead();
    const head = parseResponse(taken.bytes);
    if (!head) throw new RangeError("It is no response.");
    const { status = 0 } = head;
    if (status < 200 && status !== 101) {
      this.finish(readResponseHead(head, "and the final response is still to come"));
      return true;
    }
    const asked = this.exchange.response(taken.t);
    if (status === 101) {
      this.finish(readResponseHead(head, "from here on frames of a WebSocket"));
      this.exchange.open("socket", taken.t);
      this.read = createFrameReader(this);
      this.up.answered(true);
      return true;
    }
    this.#head = head;
    this.#body = [];
    this.#bodySize = 0;
    this.#isStream = isEventStream(head);
    if (this.#isStream) {
      this.#blocks = new BlockReader();
      this.finish(readResponseHead(head, "an event stream follows"));
      this.exchange.open("stream", taken.t);
    }
    this.read = this.#bodyReader(head, asked?.method === "HEAD");
    this.up.answered(false);
    return true;
  }

  /**
   * How the body of a response ends (RFC 9112 §6.3).
   *
   * @param {WireHead} head @param {boolean} isHead
   * @returns {() => boolean}
   */
  #bodyReader(head, isHead) {
    const { status = 0 } = head;
    const length = headerOf(head, "content-length");
    const isEmpty = isHead || status === 204 || status === 304;
    if (isEmpty) return () => this.#endBody();
    if (/\bchunked\b/i.test(headerOf(head, "transfer-encoding") ?? ""))
      return () => this.#readChunk();
    if (length === null) return () => this.#readData(this.incoming.length);
    let left = Number(length);
    return () => {
      if (left === 0) return this.#endBody();
      const before = this.incoming.length;
      const isRead = this.#readData(left);
      left -= before - this.incoming.length;
      return isRead;
    };
  }

  /**
   * Reads data of the body: to the end of a block, where it is an event stream.
   *
   * @param {number} most in bytes
   * @param {boolean} [isChunk] whether a chunk ends there
   * @returns {boolean}
   */
  #readData(most, isChunk = false) {
    const count = Math.min(most, this.incoming.length);
    if (count === 0) return false;
    const offered = this.incoming.bytes.subarray(0, count);
    if (!this.#isStream) {
      this.#bodySize += count;
      if (this.#bodySize <= MOST_WAITED) this.#body.push(offered);
      this.take("data", count, true);
      return true;
    }
    const { used, meaning } = this.#blocks.offer(offered);
    if (used > 0) this.take("data", used, true);
    if (!meaning) return true;
    // The end of its chunk belongs to it.
    if (isChunk && used === most) this.draft.meaning = meaning;
    else this.finish(meaning);
    return true;
  }

  /** @returns {boolean} */
  #readChunk() {
    const taken = this.#takeLine("chunk-size");
    if (!taken) return false;
    const text = readText(taken).trim();
    const size = /^[0-9a-f]+(?=\s*;|$)/i.exec(text);
    if (!size) throw new RangeError("It is no chunk.");
    let left = Number.parseInt(size[0], 16);
    if (left === 0) {
      this.read = () => this.#readTrailers();
      return true;
    }
    this.read = () => {
      if (left > 0) {
        const before = this.incoming.length;
        const isRead = this.#readData(left, true);
        left -= before - this.incoming.length;
        return isRead;
      }
      if (this.incoming.length < LINE_END.length) return false;
      this.take("chunk-end", LINE_END.length);
      if (this.#isStream && this.draft.meaning) this.finish(this.draft.meaning);
      this.read = () => this.#readChunk();
      return true;
    };
    return true;
  }

  /** @returns {boolean} */
  #readTrailers() {
    const line = this.#takeLine("trailers");
    if (!line) return false;
    return line.length > LINE_END.length || this.#endBody();
  }

  /** @param {Span["what"]} what @returns {Uint8Array | null} */
  #takeLine(what) {
    return this.takeThrough(what, LINE_END)?.bytes ?? null;
  }

  /** @returns {true} */
  #endBody() {
    if (this.#isStream) this.#endStream();
    else this.finish(readResponse(this.#head, concat(this.#body)));
    this.read = this.readHead;
    return true;
  }

  #endStream() {
    this.exchange.finish(this.lastTime);
    if (this.draft.size === 0) return;
    const { meaning: meant } = this.draft;
    const text = "the end of the response: a chunk of no bytes";
    this.finish(meant ?? meaning("other", "end of body", text));
  }

  close() {
    // A body without a length ends with its connection.
    const { headers } = this.#head;
    const isToClose =
      headers.length > 0 &&
      headerOf(this.#head, "content-length") === null &&
      headerOf(this.#head, "transfer-encoding") === null;
    if (this.#isStream) {
      const meant = this.#blocks.close();
      if (meant) this.draft.meaning = meant;
    } else if (isToClose && this.draft.size > 0 && this.incoming.length === 0) {
      this.draft.meaning = readResponse(this.#head, concat(this.#body));
    }
    this.end();
  }
}

/**
 * Reads frame after frame.
 *
 * @param {Direction} direction
 * @returns {() => boolean}
 */
function createFrameReader(direction) {
  const { way } = direction;
  /** The payloads of a message so far. @type {Uint8Array[]} */
  let message = [];
  let isText = false;
  return () => {
    const read = decodeFrame(direction.incoming.bytes);
    if (!read) return false;
    const { frame, size } = read;
    direction.take("frame", size);
    const { fin, opcode, payload } = frame;
    const text = describeFrame(frame);
    if (opcode >= 8) {
      const [name] = text.split(",");
      direction.finish(meaning("control", name, `frame: ${text}`));
      return true;
    }
    if (opcode !== 0) {
      message = [];
      isText = opcode === 1;
    }
    message.push(payload);
    if (fin && isText) {
      const meant = readSocketText(way, concat(message));
      const [type, isMasked] = text.split(", ");
      const inFrame = `(frame: ${type}, ${isMasked})`;
      direction.finish({ ...meant, text: `${meant.text} ${inFrame}` });
    } else {
      const label = fin ? "message" : "part of a message";
      direction.finish(meaning("other", label, `frame: ${text}`));
    }
    if (fin) message = [];
    return true;
  };
}

/** @param {Uint8Array} bytes through its empty line */
function parseRequest(bytes) {
  const { first, headers } = parseHead(bytes);
  const line = REQUEST_LINE.exec(first);
  return line && { method: line[1], target: line[2], headers };
}

/** @param {Uint8Array} bytes through its empty line */
function parseResponse(bytes) {
  const { first, headers } = parseHead(bytes);
  const line = STATUS_LINE.exec(first);
  return line && { status: Number(line[1]), headers };
}

/**
 * @param {Uint8Array} bytes
 * @returns {{ first: string, headers: [string, string][] }}
 */
function parseHead(bytes) {
  const [first, ...lines] = readText(bytes).trim().split("\r\n");
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return /** @type {[string, string]} */ ([
      line.slice(0, colon),
      line.slice(colon + 1).trim(),
    ]);
  });
  return { first, headers };
}
