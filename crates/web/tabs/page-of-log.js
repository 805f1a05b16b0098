// @ts-check
/**
 * What passes from the holder of a stream to the tabs: pages of the log, each with the
 * cursor that it follows on. So a tab sees for itself what it has had, and what it has
 * missed.
 */

import { compareCursors, isDuplicate, parseCursor } from "../shared/cursor.js";

/** @typedef {import("../shared/contract.js").LogEvent} LogEvent */

/**
 * All events after one cursor and up to another. Without events, that there were none.
 *
 * @typedef {{ after: string, next: string, events: LogEvent[] }} Page
 */

// What a tab can have missed and still be told without asking the server: a handful of
// seconds of a busy log. Of an older place the server itself is asked.
const MAX_KEPT = 256;

/**
 * @param {string} a
 * @param {string} b
 * @returns {-1 | 0 | 1 | null} `null` if they belong to different logs
 */
export function compare(a, b) {
  const [first, second] = [parseCursor(a), parseCursor(b)];
  return first && second && compareCursors(first, second);
}

// ANCHOR: new
/**
 * What of a page is new to a tab.
 *
 * @param {Page} page
 * @param {string} cursor up to where the tab has had everything
 * @returns {LogEvent[] | "old" | "hole" | "other-log"} "hole": something lies between
 *   the cursor and the page
 */
export function newOf({ after, next, events }, cursor) {
  const begin = compare(after, cursor);
  const end = compare(next, cursor);
  if (begin === null || end === null) return "other-log";
  if (end !== 1) return "old";
  if (begin === 1) return "hole";
  const last = parseCursor(cursor);
  return events.filter(({ id }) => {
    const at = parseCursor(id);
    return at !== null && !isDuplicate(last, at);
  });
}
// ANCHOR_END: new

/** The newest pages, without a hole. */
export class Kept {
  /** @type {Page | null} */
  #page = null;

  /** @param {Page} page one that does not follow on the others takes their place */
  add({ after, next, events }) {
    if (this.#page && compare(next, this.#page.next) === -1) return;
    const { events: before, after: first } =
      this.#page?.next === after ? this.#page : { events: [], after };
    const all = [...before, ...events];
    const dropped = all.slice(0, Math.max(0, all.length - MAX_KEPT));
    const begin = dropped.at(-1)?.id ?? first;
    this.#page = { after: begin, next, events: all.slice(dropped.length) };
  }

  /**
   * @param {string} cursor
   * @returns {Page | null} what came after it; `null` if not all of that is kept
   */
  after(cursor) {
    if (!this.#page) return null;
    const { next } = this.#page;
    if (compare(next, cursor) === 0) return { after: cursor, next, events: [] };
    const events = newOf(this.#page, cursor);
    return typeof events === "string" ? null : { after: cursor, next, events };
  }
}
