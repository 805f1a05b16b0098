// @ts-check
/** What a view counts over all arrows up to a time. */

import { parseCursor } from "../shared/cursor.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("../shared/contract.js").Gap} Gap */

/** Delays of which the percentiles are taken: the last of them. */
export const MOST_DELAYS = 1000;
/** Stretches of ids without a hole. More of them than this is no log of this book. */
const MOST_STRETCHES = 1000;

/**
 * Which ids of one log have come.
 */
export class Ids {
  /**
   * Stretches that have come, in ascending order, with a hole between any two.
   *
   * @type {{ from: bigint, to: bigint }[]}
   */
  #come = [];
  /**
   * Stretches that the server has said are missed.
   *
   * @type {{ from: bigint, to: bigint }[]}
   */
  #missed = [];
  /** Whether all of it is still known. */
  isSure = true;

  /**
   * @param {bigint} id
   * @returns {boolean} `false` if it has come before
   */
  add(id) {
    const stretches = this.#come;
    const at = stretches.findLastIndex(({ from }) => from <= id);
    const before = stretches[at];
    if (before && id <= before.to) return false;
    const after = stretches[at + 1];
    const joinsBefore = before !== undefined && before.to === id - 1n;
    const joinsAfter = after !== undefined && after.from === id + 1n;
    if (joinsBefore && joinsAfter) {
      before.to = after.to;
      stretches.splice(at + 1, 1);
    } else if (joinsBefore) {
      before.to = id;
    } else if (joinsAfter) {
      after.from = id;
    } else {
      stretches.splice(at + 1, 0, { from: id, to: id });
    }
    if (stretches.length > MOST_STRETCHES) {
      stretches.shift();
      this.isSure = false;
    }
    return true;
  }

  /**
   * A gap was told: these do not come.
   *
   * @param {bigint} after
   * @param {bigint} through
   */
  miss(after, through) {
    if (through <= after || this.#missed.length >= MOST_STRETCHES) return;
    this.#missed.push({ from: after + 1n, to: through });
  }

  /** @returns {number} ids between the first and the last that came, and not told of */
  get lost() {
    let lost = 0n;
    for (const [place, { from }] of this.#come.entries()) {
      const before = this.#come[place - 1];
      if (!before) continue;
      for (let id = before.to + 1n; id < from; id++) {
        const told = this.#missed.find((gap) => gap.from <= id && id <= gap.to);
        // On to the end of what the gap covers.
        if (told) id = told.to;
        else lost += 1n;
        if (lost > MOST_LOST) return Number(MOST_LOST);
      }
    }
    return Number(lost);
  }
}

/** Counted one by one; a stranger's log may leave out more. */
const MOST_LOST = 100_000n;

/**
 * The smallest value that at least this share of the values does not exceed.
 *
 * @param {readonly number[]} values
 * @param {number} share
 * @returns {number | null} `null` if there is none
 */
export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Counts arrows, one after the other. */
export class Totals {
  requests = 0;
  up = 0;
  down = 0;
  events = 0;
  doubled = 0;
  gaps = 0;
  /** Whether no byte is missing that could have held an event. */
  isWhole = true;
  /** By epoch. @type {Map<string, Ids>} */
  #logs = new Map();
  /** In milliseconds, the last ones. @type {number[]} */
  #delays = [];
  /** When the view began to see, by the recorder's clock. @type {number | null} */
  #begin = null;

  /** @param {string} started the recorder's clock at t = 0 */
  constructor(started) {
    this.started = Date.parse(started);
  }

  /** @param {Arrow} arrow */
  add(arrow) {
    const { way, kind, size, events, gap, t } = arrow;
    this.#begin ??= this.started + t;
    this[way] += size;
    if (kind === "request") this.requests += 1;
    if (kind === "unread") this.isWhole &&= arrow.isHalf;
    for (const event of events) this.#addEvent(event, this.started + t);
    if (gap) this.#addGap(gap);
  }

  /** The record has lost some pieces. */
  lose() {
    this.isWhole = false;
  }

  /**
   * @param {import("../shared/contract.js").LogEvent} event
   * @param {number} seen
   */
  #addEvent({ id, at }, seen) {
    this.events += 1;
    const cursor = parseCursor(id);
    if (!cursor) return;
    if (!this.#idsOf(cursor.epoch).add(cursor.id)) {
      this.doubled += 1;
      return;
    }
    const published = Date.parse(at);
    // What is older than the view has waited for nobody here.
    if (!(published >= (this.#begin ?? Infinity))) return;
    this.#delays.push(seen - published);
    if (this.#delays.length > MOST_DELAYS) this.#delays.shift();
  }

  /** @param {Gap} gap */
  #addGap({ asked, resume }) {
    this.gaps += 1;
    const from = asked === undefined ? null : parseCursor(asked);
    const to = parseCursor(resume);
    if (from && to && from.epoch === to.epoch)
      this.#idsOf(to.epoch).miss(from.id, to.id);
  }

  /** @param {string} epoch */
  #idsOf(epoch) {
    let ids = this.#logs.get(epoch);
    if (!ids) {
      ids = new Ids();
      this.#logs.set(epoch, ids);
      const [first] = this.#logs.keys();
      if (this.#logs.size > 10) this.#logs.delete(first);
    }
    return ids;
  }

  /** @returns {number | null} `null` where nobody knows: the record has a hole */
  get lost() {
    const logs = [...this.#logs.values()];
    if (!this.isWhole || !logs.every(({ isSure }) => isSure)) return null;
    return logs.reduce((sum, { lost }) => sum + lost, 0);
  }

  /** @param {number} share @returns {number | null} in milliseconds */
  delay(share) {
    return percentile(this.#delays, share);
  }
}
