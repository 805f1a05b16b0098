// @ts-check
/**
 * The whiteboard without its pixels: what a stroke is, how a pen makes strokes, what
 * the log of strokes adds up to, and what this page has drawn and not yet seen come
 * back.
 */

import { isDuplicate, parseCursor } from "../shared/cursor.js";
import { randomName } from "../shared/http.js";
import { startTimer } from "../shared/timer.js";
import { Refused } from "./websocket-client.js";

/** @typedef {import("../shared/contract.js").LogEvent} LogEvent */

/**
 * A stroke, as the data of an event carries it.
 *
 * @typedef {object} Stroke
 * @property {string} colour one of `COLOURS`
 * @property {number} width in thousandths of the board's width
 * @property {[x: number, y: number][]} points in thousandths of the board's width and
 *   height, from its upper left corner
 */

/**
 * The largest coordinate. Whole thousandths: a pixel or less on any screen, and three
 * digits on the wire.
 */
export const SIZE = 1000;
/**
 * By name, because each page has its own shade of each, for its light or its dark
 * ground.
 */
export const COLOURS = ["ink", "red", "orange", "green", "blue", "purple"];
/** The widths to choose from, in thousandths of the board's width. */
export const WIDTHS = { thin: 4, medium: 10, thick: 24 };
// The widest line that others may draw here: one twentieth of the board.
const MAX_WIDTH = 50;
/**
 * How many points a stroke has at most. A longer line is sent in pieces, and so is seen
 * while it is drawn.
 */
export const MAX_POINTS = 100;
// How far the next point is from the last, at least. A pointer reports up to a thousand
// points a second; a line of points that are three thousandths apart looks the same.
const MIN_STEP = 3;
/**
 * How many strokes a board shows. The newest: as many as its log keeps, so that a page
 * that was there early and one that came late show the same.
 */
export const MAX_STROKES = 1000;
// How much may wait for a connection. A minute of busy drawing; what is beyond has to
// be drawn again.
const MAX_UNSENT = 100;
// How many publishes are under way at once. More than one, so that a slow line does
// not slow the pen down; few, to spare a server in trouble.
const IN_FLIGHT = 8;
// When what failed while the connection lived is tried again, in milliseconds.
const RETRY = 1000;

// ANCHOR: read
/**
 * Reads a stroke. Anybody may have published it, and anything may be in it.
 *
 * @param {any} data
 * @returns {Stroke | null} within its bounds, whatever was sent; `null` if it is no
 *   stroke at all
 */
export function readStroke(data) {
  if (!Array.isArray(data?.points)) return null;
  /** @type {Stroke["points"]} */
  const points = [];
  for (const point of data.points.slice(0, MAX_POINTS)) {
    if (!Array.isArray(point) || !isNumber(point[0]) || !isNumber(point[1]))
      return null;
    points.push([clamp(point[0], 0, SIZE), clamp(point[1], 0, SIZE)]);
  }
  if (points.length === 0) return null;
  return {
    // Drawn all the same: a newer page may have more colours than this one.
    colour: COLOURS.includes(data.colour) ? data.colour : COLOURS[0],
    width: clamp(isNumber(data.width) ? data.width : WIDTHS.thin, 1, MAX_WIDTH),
    points,
  };
}
// ANCHOR_END: read

/** @param {unknown} value @returns {value is number} */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 * @returns {number} a whole number
 */
function clamp(value, least, most) {
  return Math.min(most, Math.max(least, Math.round(value)));
}

/** Makes strokes of the way that a pen takes over the board. */
export class Pen {
  /**
   * @param {Pick<Stroke, "colour" | "width">} style
   * @param {(stroke: Stroke) => void} onStroke called with each stroke when it is
   *   complete
   */
  constructor({ colour, width }, onStroke) {
    this.style = { colour, width };
    this.onStroke = onStroke;
    /** The points of the stroke that is being drawn. @type {Stroke["points"]} */
    this.points = [];
    /**
     * Whether a stroke before this one was full, and this one goes on from its last
     * point.
     */
    this.continues = false;
  }

  /** @returns {Stroke} as far as it has come */
  get stroke() {
    return { ...this.style, points: this.points };
  }

  /**
   * Moves on.
   *
   * @param {number} x
   * @param {number} y as in a stroke, but not necessarily whole, nor on the board
   */
  moveTo(x, y) {
    /** @type {[number, number]} */
    const point = [clamp(x, 0, SIZE), clamp(y, 0, SIZE)];
    const last = this.points.at(-1);
    if (
      last &&
      Math.max(Math.abs(point[0] - last[0]), Math.abs(point[1] - last[1])) < MIN_STEP
    )
      return;
    this.points.push(point);
    if (this.points.length < MAX_POINTS) return;
    this.onStroke(this.stroke);
    this.points = [point];
    this.continues = true;
  }

  /** Lifts the pen. A pen that has not moved has made a dot. */
  lift() {
    const isRest = this.continues && this.points.length === 1;
    if (this.points.length > 0 && !isRest) this.onStroke(this.stroke);
    this.points = [];
    this.continues = false;
  }
}

// ANCHOR: board
/** What the log of a board adds up to: the newest strokes since it was last cleared. */
export class Board {
  constructor() {
    /** By cursor, oldest first. @type {Map<string, Stroke>} */
    this.strokes = new Map();
  }

  /**
   * @param {LogEvent} event of any kind; those that mean nothing here change nothing
   */
  apply({ id, kind, data }) {
    if (kind === "clear") return this.clear();
    const stroke = kind === "stroke" ? readStroke(data) : null;
    if (!stroke) return;
    this.strokes.set(id, stroke);
    const [oldest] = this.strokes.keys();
    if (this.strokes.size > MAX_STROKES) this.strokes.delete(oldest);
  }

  clear() {
    this.strokes.clear();
  }
}
// ANCHOR_END: board

/**
 * Something that this page has published and that has not come back yet.
 *
 * @typedef {object} Unsent
 * @property {string} key the same each time it is sent
 * @property {string} kind
 * @property {unknown} data
 * @property {boolean} underWay whether it was sent and has no answer
 * @property {string | null} cursor where the log has it, once the server has answered
 */

// ANCHOR: outbox
/**
 * Keeps what was drawn here until it comes back as an event. What was sent and has no
 * answer may have arrived or not; sent again with the same key it is one event in
 * either case.
 */
export class Outbox {
  /**
   * @param {(kind: string, data: unknown, key: string) => Promise<string>} publish
   * @param {object} observer
   * @param {() => void} observer.onChange what waits has changed
   * @param {(why: string) => void} observer.onRefused something will never be taken,
   *   and is dropped
   * @param {() => string | null} observer.cursor how far the log has been read
   */
  constructor(publish, observer) {
    this.publish = publish;
    this.observer = observer;
    /** Oldest first. @type {Map<string, Unsent>} */
    this.unsent = new Map();
    /** Whether there is a connection. */
    this.open = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /**
   * @param {string} kind
   * @param {unknown} data
   * @returns {boolean} `false` if so much waits already that it is not taken
   */
  add(kind, data) {
    if (this.unsent.size >= MAX_UNSENT) return false;
    const key = randomName();
    this.unsent.set(key, { key, kind, data, underWay: false, cursor: null });
    this.observer.onChange();
    this.flush();
    return true;
  }

  /** @param {boolean} open whether there is a connection from now on */
  setOpen(open) {
    this.open = open;
    if (open) this.flush();
    else clearTimeout(this.timer);
  }

  /** Sends what waits, in order. */
  flush() {
    if (!this.open) return;
    const all = [...this.unsent.values()];
    const free = IN_FLIGHT - all.filter((unsent) => unsent.underWay).length;
    const next = all.filter((unsent) => !unsent.underWay && unsent.cursor === null);
    for (const unsent of next.slice(0, free)) this.#send(unsent);
  }

  /** @param {Unsent} unsent */
  async #send(unsent) {
    unsent.underWay = true;
    try {
      unsent.cursor = await this.publish(unsent.kind, unsent.data, unsent.key);
      // The event follows its answer, unless this was the answer to a second try.
      if (this.#hasCome(unsent.cursor)) this.unsent.delete(unsent.key);
    } catch (error) {
      if (error instanceof Refused) {
        this.unsent.delete(unsent.key);
        this.observer.onRefused(error.message);
      } else {
        unsent.underWay = false;
        clearTimeout(this.timer);
        // If it was the connection that failed, its return sends everything again.
        this.timer = startTimer(() => this.flush(), RETRY);
        return;
      }
    }
    unsent.underWay = false;
    this.observer.onChange();
    this.flush();
  }

  /** @param {string} id */
  #hasCome(id) {
    const cursor = this.observer.cursor();
    const at = parseCursor(id);
    return at !== null && isDuplicate(cursor === null ? null : parseCursor(cursor), at);
  }

  /** @param {string} cursor of an event that has come */
  onEvent(cursor) {
    for (const unsent of this.unsent.values()) {
      if (unsent.cursor === cursor) this.unsent.delete(unsent.key);
    }
  }

  /** Forgets what the log has taken: after a gap its event may never come. */
  onGap() {
    for (const unsent of this.unsent.values()) {
      if (unsent.cursor !== null) this.unsent.delete(unsent.key);
    }
  }
}
// ANCHOR_END: outbox
