// @ts-check
/**
 * The event stream format, read from the body of a `fetch()` response.
 *
 * `EventSource` can only send a GET request without headers of your own. A page that
 * has to POST, or to send a token, reads the same format from `fetch()`, and then the
 * parser is its own affair. This one follows the text of WHATWG HTML, §9.2.5 and
 * §9.2.6:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */

/**
 * @typedef {object} StreamEvent
 * @property {string} type `message` unless the stream named another
 * @property {string} data
 * @property {string} lastEventId the last id that the stream has set, here or earlier
 */

// An event is kept in memory until its end has come, and a stream need not send an end.
// One mebi (2^20) of UTF-16 code units is far more than any event of this book, and
// little for a page.
const MAX_EVENT_LENGTH = 2 ** 20;

/** Turns chunks of bytes, split anywhere, into events. */
export class EventStreamParser {
  /**
   * @param {(event: StreamEvent) => void} onEvent
   * @param {object} [options]
   * @param {number} [options.maxEventLength] the longest event to keep, in UTF-16 code
   *   units
   */
  constructor(onEvent, { maxEventLength = MAX_EVENT_LENGTH } = {}) {
    this.onEvent = onEvent;
    this.maxEventLength = maxEventLength;
    /** The id that a reconnection has to name. */
    this.lastEventId = "";
    /**
     * The reconnection time that the stream asked for, in milliseconds.
     *
     * @type {number | null}
     */
    this.retry = null;

    // Keeps the bytes of a character that was split between two chunks, replaces what
    // is not UTF-8, and drops one byte-order mark at the very beginning: the "UTF-8
    // decode" that the text asks for.
    this.decoder = new TextDecoder("utf-8");
    /** The beginning of a line whose end has not come yet. */
    this.line = "";
    /**
     * Whether the last character was a CR. An LF that follows belongs to it, even in a
     * later chunk.
     */
    this.sawCr = false;
    this.type = "";
    this.data = "";
    /**
     * The id of this block. It becomes the last event id when the block ends, and not
     * before.
     */
    this.id = "";
  }

  /**
   * Takes the next bytes, and reports each event that they complete.
   *
   * @param {Uint8Array} chunk
   * @throws {RangeError} if an event grows too long
   */
  push(chunk) {
    const text = this.decoder.decode(chunk, { stream: true });
    let start = 0;
    if (this.sawCr && text.length > 0) {
      if (text[0] === "\n") start = 1;
      this.sawCr = false;
    }
    // A CR ends its line at once. To wait for what follows would hold back the event
    // until the next one, if that LF never comes.
    for (let i = start; i < text.length; i++) {
      const character = text[i];
      if (character !== "\n" && character !== "\r") continue;
      this.#endLine(this.line + text.slice(start, i));
      this.line = "";
      if (character === "\r") {
        if (i + 1 === text.length) this.sawCr = true;
        else if (text[i + 1] === "\n") i += 1;
      }
      start = i + 1;
    }
    this.line += text.slice(start);
    this.#checkLength();
  }

  // There is no method for the end of the stream. A block that no empty line has closed
  // is discarded, because nobody knows whether all of it has come.

  /** @param {string} line */
  #endLine(line) {
    if (line === "") return this.#endBlock();
    const colon = line.indexOf(":");
    // A comment. It keeps a connection from looking idle, and nothing else.
    if (colon === 0) return;
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? "" : line.slice(colon + 1);
    // One space after the colon is for the reader of the stream. A second one is data.
    if (value.startsWith(" ")) value = value.slice(1);

    switch (field) {
      case "event":
        this.type = value;
        break;
      case "data":
        this.data += value + "\n";
        this.#checkLength();
        break;
      case "id":
        // The id comes back in a header, and NUL can stand in none.
        if (!value.includes("\0")) this.id = value;
        break;
      case "retry":
        if (/^[0-9]+$/.test(value)) this.retry = Number(value);
        break;
      // Any other field is ignored, so that the format can grow.
    }
  }

  #endBlock() {
    this.lastEventId = this.id;
    const { type, data } = this;
    this.type = "";
    this.data = "";
    // Without a data field there is no event. A block may set the id alone.
    if (data === "") return;
    this.onEvent({
      type: type || "message",
      data: data.slice(0, -1),
      lastEventId: this.lastEventId,
    });
  }

  #checkLength() {
    if (this.line.length + this.data.length > this.maxEventLength) {
      throw new RangeError(
        `An event is longer than ${this.maxEventLength} UTF-16 code units.`,
      );
    }
  }
}

// ANCHOR: read
/**
 * Reads the events of a response's body, one after another.
 *
 * Leaving the loop early cancels the body, which closes the request.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<StreamEvent, void, void>}
 * @throws {RangeError} if an event grows too long
 */
export async function* readEvents(body) {
  /** @type {StreamEvent[]} */
  let events = [];
  const parser = new EventStreamParser((event) => events.push(event));
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.push(value);
      const ready = events;
      events = [];
      yield* ready;
    }
  } finally {
    // Without this a loop that was left early would go on receiving what nobody reads.
    // Nothing is to be done if the body has already failed: the reader threw that
    // error, or the caller aborted.
    await reader.cancel().catch(() => {});
  }
}
// ANCHOR_END: read
