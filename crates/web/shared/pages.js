// @ts-check
/**
 * Following the log by pages: what polling and long polling have in common.
 *
 * Each answer is a page of the log and names the cursor to ask with next. How a method asks, and whether
 * it rests between two questions, is its own affair.
 */

import { compareCursors, parseCursor, readEvent, readGap } from "./cursor.js";
import { problemName, readBody, readObject, verdictOf, wordsOf } from "./http.js";

/** @typedef {import("./cursor.js").WireEvent} WireEvent */
/** @typedef {import("./reconnect.js").Wait} Wait */
/** @typedef {import("./reconnect.js").Verdict} Verdict */

/**
 * A page of the log, as the wire carries it.
 *
 * @typedef {object} Page
 * @property {string} after the cursor before its first event: which question it answers
 * @property {WireEvent[]} events
 * @property {string} next the cursor to ask with next
 * @property {boolean} more whether more is due than this page holds
 * @property {boolean} finished whether nothing will ever follow
 */

/**
 * One answer, and what stood around it.
 *
 * @typedef {object} Answer
 * @property {Page} page
 * @property {Response} response
 * @property {number} took from the question to the last byte, in milliseconds
 * @property {boolean} first whether it is the first page of this wait
 */

/**
 * How a method asks for pages.
 *
 * @typedef {object} Manner
 * @property {string} words what the status line says while this goes well
 * @property {number} patience how long one question may take, in milliseconds
 * @property {(after: string, signal: AbortSignal, first: boolean) => Promise<Response>} ask sends one
 *   question, and gives up after `patience`
 * @property {(answer: Answer, signal: AbortSignal, expect: (silence: number) => void) => Promise<void>} rest
 *   waits until the next question is due; never called where more is due already. `expect` says how long
 *   this will take, in milliseconds, each time that is known anew. Ends early when `signal` is aborted
 * @property {(page: Page) => void} [onPage] told of each page before its events are
 */

// ANCHOR: follow
/**
 * Asks for one page after another, and tells `wait` what they hold.
 *
 * @param {Wait} wait
 * @param {Manner} manner
 * @returns {{ close(): void }}
 */
export function followPages(wait, manner) {
  const closing = new AbortController();
  const { signal } = closing;
  follow(wait, manner, signal).catch((error) => {
    if (signal.aborted) return;
    // No answer came. Whoever asked `status` now would most likely be told the same, so nobody does.
    const why = wordsOf(error);
    wait.onFail(why, { kind: "unreachable", why });
  });
  return { close: () => closing.abort() };
}

/**
 * @param {Wait} wait
 * @param {Manner} manner
 * @param {AbortSignal} signal
 */
async function follow(wait, { words, patience, ask, onPage, rest }, signal) {
  let after = wait.after;
  let first = true;
  let afterGap = false;
  // The watchdog is there for what dies without a word. A pause, and a question that is under way, are
  // no such silence.
  const expect = (/** @type {number} */ silence) => wait.onHeartbeat(silence + patience);
  // Not "refused": whatever stands in between, a cache or a hotel's login page, may be gone the next time.
  // The cursor is kept, so that nothing is lost by trying.
  const fail = (/** @type {string} */ why) => wait.onFail(why, { kind: "unreachable", why });
  expect(0);

  while (!signal.aborted) {
    const begin = performance.now();
    const response = await ask(after, signal, first);
    const body = await readBody(response, signal);
    const took = performance.now() - begin;

    if (!response.ok) {
      const problem = readObject(response, body);
      // The reason is the name of the problem.
      const gap = response.status === 410 ? readGap(problem, problemName(problem)) : null;
      if (gap?.asked !== undefined && gap.asked !== after) return fail(misled(gap.asked, after));
      // A gap straight after a gap comes from a log that is trimmed faster than it is read, or from a
      // server in error. Then the next question waits, as after any failure.
      if (!gap || afterGap) {
        const verdict = verdictOf(response, problem);
        return wait.onFail("why" in verdict ? verdict.why : "The log is trimmed faster than it is read.", verdict);
      }
      afterGap = true;
      after = gap.resume;
      wait.onGap(gap);
      continue;
    }

    // ANCHOR: page
    const page = parsePage(readObject(response, body));
    const fault = page ? findFault(page, after) : "The server's answer is no page of events.";
    if (!page || fault) return fail(fault);

    onPage?.(page);
    if (first) wait.onOpen(words);
    for (const event of page.events) wait.onEvent(event);
    // Also where no event came: the page may have stepped over ids that the log left out.
    wait.onCursor(page.next);
    if (page.finished) return wait.onEnd("finished");
    expect(0);
    if (!page.more) await rest({ page, response, took, first }, signal, expect);
    after = page.next;
    first = false;
    afterGap = false;
    // ANCHOR_END: page
  }
}
// ANCHOR_END: follow

/**
 * Reads a page from a JSON object.
 *
 * @param {Record<string, unknown> | null} value
 * @returns {Page | null} `null` if it is not a page of the contract
 */
export function parsePage(value) {
  if (!value || !Array.isArray(value.events)) return null;
  const { after, next } = value;
  if (typeof after !== "string" || !parseCursor(after)) return null;
  if (typeof next !== "string" || !parseCursor(next)) return null;
  const events = value.events.map(readEvent);
  if (!events.every((event) => event !== null)) return null;
  return { after, events, next, more: value.more === true, finished: value.finished === true };
}

/**
 * @param {Page} page
 * @param {string} after the cursor that was asked with
 * @returns {string} what is wrong with this answer to that question, or an empty text
 */
function findFault({ after: answered, next, more }, after) {
  // Each cursor has one spelling, so a text that differs is another cursor.
  if (answered !== after) return misled(answered, after);
  const from = parseCursor(after);
  const to = parseCursor(next);
  const step = from && to && compareCursors(to, from);
  // Otherwise the same question would be asked without an end, and without a pause.
  if (step === 1 || (step === 0 && !more)) return "";
  return `The server leads from ${after} to ${next}.`;
}

/**
 * @param {string} answered
 * @param {string} asked
 * @returns {string}
 */
function misled(answered, asked) {
  return `This answer belongs to another question: after ${answered}, not ${asked}. A cache on the way may ignore the query.`;
}
