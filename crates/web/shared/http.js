// @ts-check
/**
 * What every method does by plain requests, however it waits: publish, ask for the
 * server's verdict, and describe why a request failed.
 */

import {
  parseObject,
  PROBLEM_JSON,
  problemName,
  readAccepted,
  readStatus,
} from "./contract.js";
import { bounded } from "./timer.js";

/** @typedef {import("./reconnect.js").Verdict} Verdict */

/**
 * How long a request that is answered at once may take, in milliseconds. Ten seconds is
 * longer than any healthy answer and shorter than a reader's patience.
 */
export const REQUEST_TIMEOUT = 10_000;
/**
 * The longest rest that a server may ask for, in milliseconds; a longer one counts as
 * this.
 */
export const LONGEST_WAIT = 60 * 60 * 1000;

/**
 * The URL of a route. The query of `base` goes with each of them: a page may put there
 * what its server shall know of all its requests.
 *
 * @param {string} path
 * @param {URL} base where the server's routes lie, with `/` at the end of its path
 * @returns {URL}
 */
export function routeOf(path, { href, search }) {
  const url = new URL(path, href);
  url.search = search;
  return url;
}

/**
 * Sends a request. Its time-out covers the body of the answer too.
 *
 * @param {URL} url
 * @param {Omit<RequestInit, "signal" | "cache"> & { signal?: AbortSignal, timeout?:
 *   number }} [init] `timeout` is in milliseconds
 * @returns {Promise<Response>} whatever its status
 * @throws {Error} fit to be read, if no answer came; what `signal` was aborted with, if
 *   it was
 */
export async function request(
  url,
  { signal, timeout = REQUEST_TIMEOUT, ...init } = {},
) {
  const late = AbortSignal.timeout(bounded(timeout));
  try {
    // Every answer is about this moment, so none may come from a cache. That includes
    // the answer to a conditional request: the browser's cache would hide a 304 from
    // the script that asked for it.
    return await fetch(url, {
      ...init,
      cache: "no-store",
      signal: signal ? AbortSignal.any([late, signal]) : late,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    const why = late.aborted ? "did not answer in time" : "cannot be reached";
    throw new Error(`The server ${why}.`);
  }
}

/**
 * Reads the whole body of an answer.
 *
 * @param {Response} response
 * @param {AbortSignal} [signal] what the request was sent with
 * @returns {Promise<string>}
 * @throws {Error} fit to be read, if the body broke off; what `signal` was aborted
 *   with, if it was
 */
export async function readBody(response, signal) {
  try {
    return await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The server's answer broke off.");
  }
}

/**
 * Asks `GET status` what the server would answer to a client with a certain cursor.
 *
 * @param {URL} base where the server's routes lie, with `/` at its end
 * @param {string | null} after
 * @param {AbortSignal} signal
 * @param {typeof request} [send] sends the request, with a credential perhaps
 * @returns {Promise<Verdict>} rejects only when `signal` is aborted
 */
export async function askStatus(base, after, signal, send = request) {
  const url = routeOf("status", base);
  if (after !== null) url.searchParams.set("after", after);
  try {
    const response = await send(url, { signal });
    const body = readObject(response, await readBody(response, signal));
    if (!response.ok) return verdictOf(response, body);
    const status = readStatus(body);
    if (status) return { kind: "ready", ...status };
    return { kind: "unreachable", why: "The server's answer is no status." };
  } catch (error) {
    if (signal.aborted) throw error;
    const verdict = /** @type {{ verdict?: Verdict }} */ (error).verdict;
    if (verdict) return verdict;
    return { kind: "unreachable", why: messageOf(error) };
  }
}

/**
 * Publishes an event.
 *
 * @param {URL} base where the server's routes lie
 * @param {string} kind
 * @param {unknown} data any JSON value
 * @param {string} key a repeated key is one event
 * @param {typeof request} [send] as for `askStatus`
 * @returns {Promise<string>} the event's cursor
 * @throws {Error} fit to be read
 */
export async function publish(base, kind, data, key, send = request) {
  const response = await send(routeOf("events", base), {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify({ kind, data }),
  });
  const body = readObject(response, await readBody(response));
  if (!response.ok) throw new Error(describeProblem(response, body));
  const accepted = readAccepted(body);
  if (!accepted) throw new Error("The server's answer has no id.");
  return accepted.id;
}

/**
 * Asks the server to break the connections of a name, for a demonstration.
 *
 * @param {URL} base where the server's routes lie
 * @param {string} connection the name
 * @returns {Promise<void>}
 * @throws {Error} fit to be read
 */
export async function cut(base, connection) {
  const url = routeOf("cut", base);
  url.searchParams.set("connection", connection);
  const response = await request(url, { method: "POST" });
  if (response.ok) return;
  const body = readObject(response, await readBody(response));
  throw new Error(describeProblem(response, body));
}

/**
 * Reads the object in an answer's body, where the answer says that it holds one: a
 * problem if it is no success, JSON if it is. Whatever stands in between answers with
 * pages of its own.
 *
 * @param {Response} response
 * @param {string} body
 * @returns {Record<string, unknown> | null}
 */
export function readObject(response, body) {
  // What follows a semicolon are parameters, such as a charset.
  const type = response.headers.get("Content-Type")?.split(";")[0].trim().toLowerCase();
  const expected = response.ok ? "application/json" : PROBLEM_JSON;
  return type === expected ? parseObject(body) : null;
}

/**
 * Reads an answer that was no success.
 *
 * @param {Response} response
 * @param {Record<string, unknown> | null} problem what `readObject` read
 * @returns {Verdict}
 */
export function verdictOf(response, problem) {
  const { status, headers } = response;
  const name = problemName(problem);
  const why = describeProblem(response, problem);
  if (status >= 500 || status === 408 || status === 429) {
    const retryAfter = readRetryAfter(headers.get("Retry-After"), headers.get("Date"));
    return { kind: "busy", retryAfter, why };
  }
  if (status === 410 && name !== null && typeof problem?.resume === "string") {
    return { kind: "gap", resume: problem.resume };
  }
  if (status === 401 && name === "unauthorized") return { kind: "unauthorized", why };
  // The server itself refused, and would refuse the same request again (RFC 9110
  // §15.5). Any other answer may come from a proxy or a login page on the way.
  if (status >= 400 && name !== null) return { kind: "refused", why, name };
  return { kind: "unreachable", why };
}

const MONTHS = [
  "Jan",
  "Feb",
  "Mar",
  "Apr",
  "May",
  "Jun",
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
];
// The three forms of a date (RFC 9110 §5.6.7). Left to `Date.parse`, the third is one
// of local time, and what else is taken depends on the browser.
const DATES = [
  /^\w{3}, (?<day>\d{2}) (?<month>\w{3}) (?<year>\d{4}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^\w{6,9}, (?<day>\d{2})-(?<month>\w{3})-(?<year>\d{2}) (?<time>\d{2}:\d{2}:\d{2}) GMT$/,
  /^\w{3} (?<month>\w{3}) (?<day>[ \d]\d) (?<time>\d{2}:\d{2}:\d{2}) (?<year>\d{4})$/,
];

/**
 * @param {string | null} text
 * @returns {number | null} milliseconds since 1970; `null` if it is no date of HTTP
 */
function readDate(text) {
  const parts = DATES.map((form) => form.exec(text ?? "")?.groups).find(
    (groups) => groups,
  );
  const month = MONTHS.indexOf(parts?.month ?? "");
  if (!parts || month < 0) return null;
  const year = Number(parts.year);
  const [hour, minute, second] = parts.time.split(":").map(Number);
  const full = year >= 100 ? year : year < 70 ? 2000 + year : 1900 + year;
  return Date.UTC(full, month, Number(parts.day), hour, minute, second);
}

/**
 * Reads `Retry-After` (RFC 9110 §10.2.3).
 *
 * @param {string | null} value
 * @param {string | null} date the answer's `Date`: the time by the server's own clock,
 *   since this machine's may be wrong by any amount
 * @returns {number} milliseconds, an hour at most; 0 if there is none
 */
export function readRetryAfter(value, date) {
  if (value !== null && /^[0-9]+$/.test(value))
    return Math.min(Number(value) * 1000, LONGEST_WAIT);
  const until = readDate(value);
  if (until === null) return 0;
  return Math.min(Math.max(0, until - (readDate(date) ?? Date.now())), LONGEST_WAIT);
}

/**
 * Describes why a request failed: the problem details (RFC 9457) if there are any.
 *
 * @param {{ status: number }} response or a refusal that came in another way
 * @param {Record<string, unknown> | null} body
 * @returns {string}
 */
export function describeProblem(response, body) {
  const title =
    typeof body?.title === "string"
      ? body.title
      : `The server answered ${response.status}`;
  const detail = typeof body?.detail === "string" ? body.detail : "";
  const sentences = [title, detail]
    .filter(Boolean)
    .map((text) => text.replace(/[.\s]*$/, "."));
  return sentences.join(" ");
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @returns {string} 24 characters of `[0-9a-f]`, at random: a name that nobody guesses
 */
export function randomName() {
  // `crypto.randomUUID` exists only where the page came over HTTPS or from this
  // machine. A reader may well serve the book to a telephone in the same room, over
  // plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
