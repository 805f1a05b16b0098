// @ts-check
/**
 * Following the log by log pages: what polling and long polling have in common.
 *
 * Each answer is a page of the log and names the cursor to ask with next. How a method
 * asks, and whether it rests between two requests, is its own affair.
 */

import { problemName, readGap, readLogPage } from "./contract.js";
import { compareCursors, parseCursor } from "./cursor.js";
import { messageOf, readBody, readObject, verdictOf } from "./http.js";
import { Failure, unreachable } from "./reconnect.js";

/** @typedef {import("./contract.js").LogPage} LogPage */
/** @typedef {import("./reconnect.js").Update} Update */

/**
 * One answer, and what stood around it.
 *
 * @typedef {object} Answer
 * @property {LogPage} page
 * @property {Response} response
 * @property {number} took from the request to the last byte, in milliseconds
 * @property {boolean} first whether it is the first page of this wait
 */

/**
 * How a method asks for log pages.
 *
 * @typedef {object} Asking
 * @property {string} text what the status line shows while this goes well
 * @property {number} patience how long one request may take, in milliseconds
 * @property {(after: string, signal: AbortSignal, first: boolean) => Promise<Response>}
 *   ask sends one request, and gives up after `patience`
 * @property {(answer: Answer, signal: AbortSignal) => AsyncIterable<number>} rest waits
 *   until the next request is due; never called where more is due already. Yields how
 *   long it will still take, in milliseconds, each time that is known anew, and ends
 *   early when `signal` is aborted
 * @property {(page: LogPage) => void} [onPage] called with each page before its events
 *   are handed on
 */

// ANCHOR: follow
/**
 * Asks for one log page after another, and yields what they hold.
 *
 * @param {string} after
 * @param {AbortSignal} signal
 * @param {Asking} asking
 * @returns {AsyncGenerator<Update, void, void>}
 * @throws {Failure}
 */
export async function* followLogPages(after, signal, asking) {
  const { text, patience, ask, rest, onPage } = asking;
  let first = true;
  let afterGap = false;
  // A pause, and a request that is under way, are no silence for the watchdog.
  yield { type: "heartbeat", every: patience };

  while (!signal.aborted) {
    const begin = performance.now();
    let response, body;
    try {
      response = await ask(after, signal, first);
      body = await readBody(response, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Failure) throw error;
      // No answer came. Most likely `status` would get none either.
      throw unreachable(messageOf(error));
    }
    const took = performance.now() - begin;

    if (!response.ok) {
      const problem = readObject(response, body);
      // The reason is the name of the problem.
      const gap =
        response.status === 410 ? readGap(problem, problemName(problem)) : null;
      if (gap?.asked !== undefined && gap.asked !== after) {
        throw unreachable(describeMixUp(gap.asked, after));
      }
      // A gap straight after a gap comes from a log that is trimmed faster than it is
      // read, or from a server in error. Then the next request waits, as after any
      // failure.
      if (!gap || afterGap) {
        const verdict = verdictOf(response, problem);
        const why =
          "why" in verdict ? verdict.why : "The log is trimmed faster than it is read.";
        throw new Failure(why, verdict);
      }
      afterGap = true;
      after = gap.resume;
      yield { type: "gap", gap };
      continue;
    }

    // ANCHOR: page
    const page = readLogPage(readObject(response, body));
    const fault = page ? findFault(page, after) : "The server's answer is no log page.";
    // Not "refused": whatever stands in between, a cache or a hotel's login page, may
    // be gone the next time. The cursor is kept, so that nothing is lost by trying.
    if (!page || fault) throw unreachable(fault);

    onPage?.(page);
    if (first) yield { type: "opened", text };
    for (const event of page.events) yield { type: "event", event };
    // Also where no event came: the page may have stepped over ids that the log left
    // out.
    yield { type: "heartbeat", cursor: page.next, every: patience };
    if (page.finished) return yield { type: "finished" };
    if (!page.more) {
      for await (const left of rest({ page, response, took, first }, signal)) {
        yield { type: "heartbeat", every: left + patience };
      }
    }
    after = page.next;
    first = false;
    afterGap = false;
    // ANCHOR_END: page
  }
}
// ANCHOR_END: follow

/**
 * @param {LogPage} page
 * @param {string} after the cursor that was asked with
 * @returns {string} what is wrong with this answer to that request, or an empty text
 */
function findFault({ after: answered, next, more }, after) {
  // Each cursor has one spelling, so a text that differs is another cursor.
  if (answered !== after) return describeMixUp(answered, after);
  const from = parseCursor(after);
  const to = parseCursor(next);
  const step = from && to && compareCursors(to, from);
  // Otherwise the same request would be sent without an end, and without a pause.
  if (step === 1 || (step === 0 && !more)) return "";
  return `The server leads from ${after} to ${next}.`;
}

/**
 * @param {string} answered
 * @param {string} asked
 * @returns {string}
 */
function describeMixUp(answered, asked) {
  const other = `after ${answered}, not ${asked}`;
  const cause = "A cache on the way may ignore the query.";
  return `This answer belongs to another request: ${other}. ${cause}`;
}
