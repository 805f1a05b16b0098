// @ts-check
/**
 * A tab's side of a shared stream: it has a cursor of its own, takes what is new to it,
 * and fetches itself what it has missed. Which tab holds the stream, and whether two do
 * for a moment, makes no difference to what comes out.
 */

import { isDuplicate, parseCursor } from "../shared/cursor.js";
import { Failure, unreachable } from "../shared/reconnect.js";
import { compare, newOf } from "./page-of-log.js";

/** @typedef {import("../shared/queue.js").Queue<Word>} Words */
/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */
/** @typedef {import("./holder.js").Word} Word */

/**
 * @param {Method} method for what the holder does not keep
 * @param {object} options
 * @param {string} options.tab by which this tab is answered
 * @param {string} options.after
 * @param {AbortSignal} options.signal
 * @param {Words} options.words what the holder says
 * @param {(cursor: string) => void} options.ask asks the holder what came after it
 * @returns {AsyncGenerator<Update, void, void>}
 */
export async function* listen(method, { tab, after, signal, words, ask }) {
  let cursor = after;
  let term = 0;
  let isOpen = false;
  let hasAsked = true;
  ask(cursor);
  for await (const word of words) {
    const isNew = word.term > term;
    // Whom it asked is gone.
    if (isNew) hasAsked = false;
    const { gap, to, state, text, next } = word;
    // The holder lives: a sign of life for this tab's watchdog, too.
    yield { type: "heartbeat", every: word.every };

    if (gap && gap.asked === cursor) {
      cursor = gap.resume;
      yield { type: "gap", gap };
    }
    // ANCHOR: take
    const events = newOf(word, cursor);
    if (events === "hole" || events === "other-log") {
      if (to === tab) {
        // The holder does not keep it. The server does, or says that it is gone.
        cursor = yield* catchUp(method, { cursor, until: next, signal });
      } else if (!hasAsked) {
        hasAsked = true;
        ask(cursor);
      }
    } else if (events !== "old") {
      for (const event of events) yield { type: "event", event };
      cursor = next;
      yield { type: "heartbeat", cursor };
    }
    if (to === tab) hasAsked = false;
    // ANCHOR_END: take

    term = word.term;
    // What it says of the stream is true of this tab once it has all of it.
    if (compare(cursor, next) === -1) continue;
    if (state === "ended") return yield { type: "finished" };
    // Each tab asks the server itself what is wrong: its cursor is another.
    if (state === "failed") throw new Failure(text);
    if (state === "open" && !isOpen) yield { type: "opened", text };
    if (state !== "open" && isOpen) {
      const why = isNew ? "Another tab holds the stream from now on." : text;
      yield { type: "reconnecting", why };
    }
    isOpen = state === "open";
  }
}

// ANCHOR: catch-up
/**
 * Reads a stretch of the log over a connection of its own, which then ends.
 *
 * @param {Method} method
 * @param {{ cursor: string, until: string, signal: AbortSignal }} options
 * @returns {AsyncGenerator<Update, string, void>} gives the cursor that is reached
 * @throws {Failure} if it is not reached
 */
async function* catchUp(method, { cursor, until, signal }) {
  if (compare(cursor, until) === null) {
    // Of two logs one is gone. If it is the holder's, it will notice by itself.
    const verdict = await method.verdict(cursor, signal);
    if (verdict.kind !== "gap")
      throw unreachable("The shared stream is of another log.");
  }
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  let hasGap = false;
  try {
    for await (const update of method.follow(cursor, either)) {
      if (update.type === "event") {
        const next = /** @type {import("../shared/cursor.js").Cursor} */ (
          parseCursor(update.event.id)
        );
        if (!isDuplicate(parseCursor(cursor), next)) yield update;
        cursor = update.event.id;
      } else if (update.type === "gap") {
        hasGap = true;
        cursor = update.gap.resume;
        yield update;
      } else if (update.type === "finished") {
        yield update;
      } else if (update.type === "heartbeat") {
        if (update.cursor && compare(update.cursor, cursor) === 1)
          cursor = update.cursor;
        yield update;
      }
      const order = compare(cursor, until);
      if (order === 0 || order === 1 || (order === null && hasGap)) return cursor;
    }
  } finally {
    ending.abort();
  }
  throw new Failure("The connection ended.");
}
// ANCHOR_END: catch-up

/**
 * @param {Update} update
 * @param {string} cursor
 * @returns {string} where a tab stands that stood there, and has had this update
 */
export function cursorAfter(update, cursor) {
  if (update.type === "event") return update.event.id;
  if (update.type === "gap") return update.gap.resume;
  return ("cursor" in update && update.cursor) || cursor;
}
