// @ts-check
/**
 * What every method does by plain requests, however it waits: it publishes, asks for the server's
 * verdict, and says in words why a request failed.
 */

import { parseObject } from "./cursor.js";

/** @typedef {import("./reconnect.js").Verdict} Verdict */

/**
 * How long a request that is answered at once may take, in milliseconds. Ten seconds is longer than any
 * healthy answer and shorter than a reader's patience.
 */
export const REQUEST_TIMEOUT = 10_000;

/**
 * Sends a request. Its time-out covers the body of the answer too.
 *
 * @param {URL} url
 * @param {Omit<RequestInit, "signal" | "cache"> & { signal?: AbortSignal, timeout?: number }} [init]
 *   `timeout` is in milliseconds
 * @returns {Promise<Response>} whatever its status
 * @throws {Error} fit to be read, if no answer came; what `signal` was aborted with, if it was
 */
export async function request(url, { signal, timeout = REQUEST_TIMEOUT, ...init } = {}) {
  const late = AbortSignal.timeout(timeout);
  try {
    // Every answer is about this moment, so none may come from a cache. That includes the answer to a
    // conditional request: the browser's cache would hide a 304 from the script that asked for it.
    return await fetch(url, {
      ...init,
      cache: "no-store",
      signal: signal ? AbortSignal.any([late, signal]) : late,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(late.aborted ? "The server did not answer in time." : "The server cannot be reached.");
  }
}

/**
 * Reads the whole body of an answer.
 *
 * @param {Response} response
 * @param {AbortSignal} [signal] what the request was sent with
 * @returns {Promise<string>}
 * @throws {Error} fit to be read, if the body broke off; what `signal` was aborted with, if it was
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
 * Asks `GET status` what the server would say to a client with a certain cursor.
 *
 * @param {URL} base where the server's routes lie, with `/` at its end
 * @param {string | null} after
 * @param {AbortSignal} signal
 * @returns {Promise<Verdict>} rejects only when `signal` is aborted
 */
export async function askStatus(base, after, signal) {
  const url = new URL("status", base);
  if (after !== null) url.searchParams.set("after", after);
  try {
    const response = await request(url, { signal });
    const body = parseObject(await readBody(response, signal));
    if (response.ok && typeof body?.latest === "string" && typeof body.earliest === "string") {
      return { kind: "ready", earliest: body.earliest, latest: body.latest, finished: body.finished === true };
    }
    return verdictOf(response, body);
  } catch (error) {
    if (signal.aborted) throw error;
    return { kind: "unreachable", why: wordsOf(error) };
  }
}

/**
 * Publishes an event.
 *
 * @param {URL} base where the server's routes lie
 * @param {string} kind
 * @param {unknown} data any JSON value
 * @param {string} key a repeated key is one event
 * @returns {Promise<string>} the event's cursor
 * @throws {Error} fit to be read
 */
export async function publish(base, kind, data, key) {
  const response = await request(new URL("events", base), {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify({ kind, data }),
  });
  const body = parseObject(await readBody(response));
  if (!response.ok) throw new Error(explain(response, body));
  if (typeof body?.id !== "string") throw new Error("The server's answer has no id.");
  return body.id;
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
  const url = new URL("cut", base);
  url.searchParams.set("connection", connection);
  const response = await request(url, { method: "POST" });
  if (!response.ok) throw new Error(explain(response, parseObject(await readBody(response))));
}

/**
 * What an answer that was no success says to its client.
 *
 * @param {Response} response
 * @param {Record<string, unknown> | null} body
 * @returns {Verdict}
 */
export function verdictOf(response, body) {
  if (response.status === 410 && typeof body?.resume === "string") {
    return { kind: "gap", resume: body.resume };
  }
  const why = explain(response, body);
  if (response.status === 429 || response.status === 503) {
    return { kind: "busy", retryAfter: readRetryAfter(response.headers.get("Retry-After")), why };
  }
  // Asked in another way this may be answered; asked in the same way it will not (RFC 9110 §15.5).
  if (response.status >= 400 && response.status < 500 && response.status !== 408) {
    return { kind: "refused", why };
  }
  return { kind: "unreachable", why };
}

/**
 * Reads `Retry-After` (RFC 9110 §10.2.3).
 *
 * @param {string | null} value
 * @returns {number} milliseconds; 0 if there is none
 */
export function readRetryAfter(value) {
  if (value === null) return 0;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

/**
 * Says in words why a request failed: the problem details (RFC 9457) if there are any.
 *
 * @param {{ status: number }} response or a refusal that came in another way
 * @param {Record<string, unknown> | null} body
 * @returns {string}
 */
export function explain(response, body) {
  const title = typeof body?.title === "string" ? body.title : `The server answered ${response.status}`;
  const detail = typeof body?.detail === "string" ? body.detail : "";
  const sentences = [title, detail].filter(Boolean).map((text) => text.replace(/[.\s]*$/, "."));
  return sentences.join(" ");
}

/** @param {unknown} error */
export function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @returns {string} 24 characters of `[0-9a-f]`, at random: a name that nobody guesses */
export function randomName() {
  // `crypto.randomUUID` exists only where the page came over HTTPS or from this machine. A reader may
  // well serve the book to a telephone in the same room, over plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
