// @ts-check
/**
 * What went between the pages and the servers, of requests with `tap=KEY` in their query, for a
 * page that draws its own traffic. The worker answers `GET in-browser/wire?tap=KEY&after=N` with
 * it, in the form and with the bounds of a server: `tap.rs` of the crate `serving` has the reasons.
 *
 * A request has no connection here, and no bytes. It is kept as what the worker sees of it, and is
 * a connection of its own: a `request`, a `response`, its `body` piece by piece, and the `end`.
 */

/** @typedef {"up" | "down"} Way */
/** @typedef {"client" | "server"} Side */

/**
 * @typedef {object} What
 * @property {"request" | "response" | "body" | "end"} [part]
 * @property {object} [head]
 */

/**
 * @typedef {object} Numbers
 * @property {number} number
 * @property {number} c
 * @property {number} t
 * @property {Way} way
 * @property {number} size
 * @property {Uint8Array} data
 * @property {number} weight what the bound on bytes counts
 */

/** @typedef {{ id: number, opened: number, closed: number | null, by: Side | null }} Connection */

export const MAX_KEYS = 64;
export const MAX_CONNECTIONS = 256;
export const MAX_PIECES = 4096;
export const MAX_BYTES = 256 * 1024;
export const MAX_PIECE = 16 * 1024;
/** In milliseconds. */
export const UNREAD = 60_000;

const KEY = /^[A-Za-z0-9]{16,64}$/;

export class Tap {
  /** @type {Map<string, TapRecord>} */
  #records = new Map();

  /**
   * Begins to watch a request, if its query asks for it.
   *
   * @param {URL} url
   */
  open({ searchParams }) {
    const key = searchParams.get("tap") ?? "";
    if (!KEY.test(key)) return null;
    this.#dropUnread();
    let record = this.#records.get(key);
    if (!record) {
      if (this.#records.size >= MAX_KEYS) {
        const all = [...this.#records];
        const oldest = all.reduce((one, other) => (other[1].read < one[1].read ? other : one));
        this.#records.delete(oldest[0]);
      }
      record = new TapRecord();
      this.#records.set(key, record);
    }
    return record.open();
  }

  /**
   * What is kept under a key, of the pieces those from a number on.
   *
   * @param {URL} url
   */
  answer({ searchParams }) {
    const after = Number(searchParams.get("after") ?? 0);
    const headers = { "Cache-Control": "no-store" };
    if (!Number.isInteger(after)) return new Response(null, { status: 400, headers });
    this.#dropUnread();
    const record = this.#records.get(searchParams.get("tap") ?? "");
    record?.heard();
    return Response.json((record ?? new TapRecord()).json(after), { headers });
  }

  #dropUnread() {
    const now = performance.now();
    for (const [key, { read }] of this.#records)
      if (now - read >= UNREAD) this.#records.delete(key);
  }
}

/** What is kept under one key. */
class TapRecord {
  #started = new Date();
  #start = performance.now();
  read = this.#start;
  /** @type {Connection[]} */
  #connections = [];
  #count = 0;
  /** @type {(Numbers & What)[]} */
  #pieces = [];
  #next = 0;
  #bytes = 0;
  #dropped = 0;

  heard() {
    this.read = performance.now();
  }

  #now() {
    return Math.round((performance.now() - this.#start) * 1000) / 1000;
  }

  open() {
    if (this.#connections.length >= MAX_CONNECTIONS) {
      const closed = this.#connections.findIndex((it) => it.closed !== null);
      const [{ id }] = this.#connections.splice(Math.max(closed, 0), 1);
      this.#drop(this.#pieces.filter(({ c }) => c === id));
    }
    const id = ++this.#count;
    /** @type {Connection} */
    const connection = { id, opened: this.#now(), closed: null, by: null };
    this.#connections.push(connection);
    return {
      /**
       * @param {Way} way
       * @param {Uint8Array} bytes
       * @param {What} [what]
       */
      keep: (way, bytes, what = {}) => {
        if (this.#connections.includes(connection)) this.#keep(id, way, bytes, what);
      },
      /** The first to close is kept. @param {Side} by */
      close: (by) => {
        if (connection.closed !== null) return;
        connection.closed = this.#now();
        connection.by = by;
      },
    };
  }

  /**
   * @param {number} c
   * @param {Way} way
   * @param {Uint8Array} bytes
   * @param {What} what
   */
  #keep(c, way, bytes, what) {
    // A copy: the piece itself is handed on.
    const data = bytes.slice(0, MAX_PIECE);
    const weight = data.length + (JSON.stringify(what.head)?.length ?? 0);
    const t = this.#now();
    const number = this.#next++;
    this.#pieces.push({ number, c, t, way, size: bytes.length, ...what, data, weight });
    this.#bytes += weight;
    while (this.#pieces.length > MAX_PIECES || this.#bytes > MAX_BYTES)
      this.#drop(this.#pieces.slice(0, 1));
  }

  /** @param {(Numbers & What)[]} which */
  #drop(which) {
    const gone = new Set(which);
    this.#pieces = this.#pieces.filter((piece) => !gone.has(piece));
    for (const { weight } of which) this.#bytes -= weight;
    this.#dropped += which.length;
  }

  /** @param {number} after */
  json(after) {
    const pieces = this.#pieces.filter(({ number }) => number >= after);
    return {
      version: 1,
      source: "worker",
      started: this.#started.toISOString(),
      now: this.#now(),
      next: this.#next,
      dropped: this.#dropped,
      connections: this.#connections,
      pieces: pieces.map(({ number, weight, data, ...rest }) => ({
        ...rest,
        data: btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join("")),
      })),
    };
  }
}
