// @ts-check
/**
 * What a view knows of one source: arrows, bars and closings in the order of their
 * times, and what is counted up to the time that the view has reached.
 */

import { BARS } from "./arrows.js";
import { Decoder } from "./decode.js";
import { countBytes } from "./explain.js";
import { Totals } from "./totals.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./arrows.js").Bar} Bar */
/** @typedef {import("./decode.js").Closing} Closing */
/** @typedef {import("./format.js").WireRecord} WireRecord */

/** How many arrows a picture and a text have at most; what is older is only counted. */
export const MOST_DRAWN = 200;
/** How many may wait for a view that is paused, or slow. */
const MOST_WAITING = 2000;

export class Track {
  /** In the order of their times. @type {Arrow[]} */
  #arrows = [];
  /** How many of them the view has reached. */
  #reached = 0;
  /** @type {Bar[]} */
  #bars = [];
  /** @type {Closing[]} */
  #closings = [];
  #decoder;
  /** Everything is kept, so that the view can go back. */
  #isWhole;
  /** Whether the record has lost pieces. */
  #isHoled = false;
  /** The record's time at which the view begins. */
  #zero = 0;
  /** @type {Totals | null} */
  totals = null;
  started = "";
  /** The latest time of the record, in milliseconds. */
  now = 0;

  /** @param {{ isWhole?: boolean }} [options] of a recording, which is all there is */
  constructor({ isWhole = false } = {}) {
    this.#isWhole = isWhole;
    this.#decoder = new Decoder({
      onArrow: (arrow) => insert(this.#arrows, arrow),
      onBar: (bar) => this.#bars.push(bar),
      onClose: (closing) => insert(this.#closings, closing),
      onLose: () => (this.#isHoled = true),
    });
  }

  /** @param {WireRecord} record that goes on with the one before */
  push(record) {
    const { pieces, connections } = record;
    if (!this.totals) {
      // A server may have run for days before the first piece. A recording says itself
      // where it begins.
      const first = pieces[0]?.t ?? record.now;
      this.#zero = this.#isWhole ? 0 : first;
      this.started = new Date(Date.parse(record.started) + this.#zero).toISOString();
      this.totals = new Totals(this.started);
      // An empty record begins nowhere yet.
      if (!this.#isWhole && pieces.length === 0) this.totals = null;
    }
    const zero = this.#zero;
    this.now = Math.max(this.now, record.now - zero);
    this.#decoder.push({
      ...record,
      pieces: pieces.map((piece) => ({ ...piece, t: piece.t - zero })),
      connections: connections.map((connection) => ({
        ...connection,
        closed: connection.closed === null ? null : connection.closed - zero,
      })),
    });
    if (!this.totals) return;
    if (this.#isHoled) this.totals.lose();
    this.#forget();
  }

  /**
   * Counts what has come up to a time.
   *
   * @param {number} t
   */
  reach(t) {
    if (!this.totals) return;
    const before = this.#arrows[this.#reached - 1];
    if (this.#isWhole && before && before.t > t) {
      this.totals = new Totals(this.started);
      if (this.#isHoled) this.totals.lose();
      this.#reached = 0;
    }
    while (this.#reached < this.#arrows.length && this.#arrows[this.#reached].t <= t)
      this.totals.add(this.#arrows[this.#reached++]);
    this.#forget();
  }

  /** Forgets what is neither drawn any more nor still to be drawn. */
  #forget() {
    if (this.#isWhole || !this.totals) return;
    const late = this.#arrows.length - this.#reached - MOST_WAITING;
    for (let count = 0; count < late; count++)
      this.totals.add(this.#arrows[this.#reached++]);
    const old = this.#reached - MOST_DRAWN;
    if (old > 0) {
      this.#arrows.splice(0, old);
      this.#reached -= old;
    }
    if (this.#closings.length > MOST_DRAWN)
      this.#closings.splice(0, this.#closings.length - MOST_DRAWN);
    const ended = this.#bars.filter(({ to }) => to !== null).length - MOST_DRAWN;
    if (ended > 0) {
      const old = new Set(this.#bars.filter(({ to }) => to !== null).slice(0, ended));
      this.#bars = this.#bars.filter((bar) => !old.has(bar));
    }
  }

  /** The last arrows that the view has reached. */
  get arrows() {
    return this.#arrows.slice(Math.max(0, this.#reached - MOST_DRAWN), this.#reached);
  }

  /** How many arrows are remembered. */
  get kept() {
    return this.#arrows.length;
  }

  /** How many have come that the view has not reached. */
  get waiting() {
    return this.#arrows.length - this.#reached;
  }

  /** @param {number} t @returns {Bar[]} that have begun by then */
  barsAt(t) {
    return this.#bars.filter(({ from }) => from <= t).slice(-MOST_DRAWN);
  }

  /** @param {number} t @returns {Closing[]} */
  closingsAt(t) {
    return this.#closings.filter((closing) => closing.t <= t).slice(-MOST_DRAWN);
  }

  /**
   * The same as text.
   *
   * @param {number} t
   * @returns {{ t: number, text: string }[]} the last lines, in order
   */
  linesAt(t) {
    const arrows = this.arrows.map((arrow) => ({ t: arrow.t, text: sayArrow(arrow) }));
    const closings = this.closingsAt(t).map((closing) => ({
      t: closing.t,
      text: sayClosing(closing, this.#openAt(closing)),
    }));
    return [...arrows, ...closings]
      .sort((one, other) => one.t - other.t)
      .slice(-MOST_DRAWN);
  }

  /** @param {Closing} closing @returns {Bar | undefined} what it ended */
  #openAt({ c, t }) {
    return this.#bars.find(
      (bar) => bar.c === c && bar.to === t && bar.end !== "finished",
    );
  }
}

/**
 * @template {{ t: number }} Item
 * @param {Item[]} items
 * @param {Item} item
 */
function insert(items, item) {
  const before = items.findLastIndex(({ t }) => t <= item.t);
  items.splice(before + 1, 0, item);
}

/** @param {number} t in milliseconds */
export function formatTime(t) {
  return `${(t / 1000).toFixed(3)} s`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  return bytes < 10_000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

/** @param {number | null} delay in milliseconds */
export function formatDelay(delay) {
  if (delay === null) return "–";
  return delay < 10_000 ? `${Math.round(delay)} ms` : `${(delay / 1000).toFixed(1)} s`;
}

/** @param {Arrow} arrow @returns {string} without its time */
export function sayArrow({ way, size, text, c, isHalf }) {
  const to = way === "up" ? "To the server" : "To the client";
  const half = isHalf ? ", and broke off" : "";
  return `${to}, ${countBytes(size)}: ${text}${half} (connection ${c})`;
}

/** @param {Closing} closing @param {Bar | undefined} bar */
export function sayClosing({ c, by }, bar) {
  const who = by ? `The ${by} closed` : "Nobody knows who closed";
  const cut = bar ? `, which ended ${BARS[bar.kind]}` : "";
  return `${who} connection ${c}${cut}`;
}
