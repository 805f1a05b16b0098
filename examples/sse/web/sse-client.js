// @ts-check
/**
 * Server-Sent Events as a method of waiting: a browser's `EventSource`, and what has to stand around it.
 *
 * `EventSource` reconnects by itself and then sends `Last-Event-ID`, so the first break needs no help.
 * Three things it cannot do. It gives up for good at any status but 200, and script is not told which
 * one it was. It waits for ever on a connection that died without a word. And it comes back after a
 * fixed time, however often that has failed. So the browser gets one try of its own. If that fails,
 * this module reports the failure, and the follower (`web/reconnect.js`) takes over.
 */

import { parseEvent, parseGap, parseObject } from "./web/cursor.js";

/** @typedef {import("./web/reconnect.js").Method} Method */
/** @typedef {import("./web/reconnect.js").Wait} Wait */
/** @typedef {import("./web/reconnect.js").Verdict} Verdict */

// A request that only asks or publishes is answered at once or not at all. Ten seconds is longer than
// any healthy answer and shorter than a reader's patience.
const REQUEST_TIMEOUT = 10_000;

/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at its end
 * @returns {Method & { cut(): Promise<void> }}
 */
export function createSse(base) {
  // Names this page's connections, so that the server can break these and no one else's.
  const connection = randomName();

  return {
    connect: (wait) => connect(base, connection, wait),

    async verdict(after, signal) {
      const url = new URL("status", base);
      if (after !== null) url.searchParams.set("after", after);
      let response;
      try {
        response = await request(url, { signal });
      } catch (error) {
        if (signal.aborted) throw error;
        return { kind: "unreachable", why: "The server cannot be reached." };
      }
      return readVerdict(response, signal);
    },

    async publish(kind, data, key) {
      const response = await request(new URL("events", base), {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify({ kind, data }),
      });
      const body = parseObject(await response.text());
      if (!response.ok) throw new Error(explain(response, body));
      if (typeof body?.id !== "string") throw new Error("The server's answer has no id.");
      return body.id;
    },

    async cut() {
      const url = new URL("cut", base);
      url.searchParams.set("connection", connection);
      const response = await request(url, { method: "POST" });
      if (!response.ok) throw new Error(explain(response, parseObject(await response.text())));
    },
  };
}

/**
 * @param {URL} base
 * @param {string} connection
 * @param {Wait} wait
 */
function connect(base, connection, wait) {
  // ANCHOR: open
  const url = new URL("events", base);
  // The cursor goes into the URL because script cannot set a header of an EventSource. When the browser
  // reconnects by itself it asks for the same URL, now outdated, and adds `Last-Event-ID`, which wins.
  url.searchParams.set("after", wait.after);
  url.searchParams.set("connection", connection);
  const source = new EventSource(url);

  // Whether a break now would be the first since the connection was last open.
  let mayRetry = false;

  source.onopen = () => {
    mayRetry = true;
    wait.onOpen();
  };

  source.onerror = () => {
    if (source.readyState === EventSource.CONNECTING && mayRetry) {
      mayRetry = false;
      wait.onRetry("The connection broke. The browser reconnects by itself, with Last-Event-ID.");
      return;
    }
    // CLOSED: the browser gave up for good. CONNECTING: it would try again, as often as it takes and
    // after the same time each time; the follower waits longer after each failure, and at random.
    source.close();
    wait.onFail("The connection could not be opened.");
  };
  // ANCHOR_END: open

  source.onmessage = (message) => {
    const event = parseEvent(message.data);
    if (event) wait.onEvent(event);
  };

  // ANCHOR: control
  source.addEventListener("heartbeat", (message) => {
    const every = parseObject(message.data)?.every;
    wait.onHeartbeat(typeof every === "number" && every > 0 ? every : null);
  });

  source.addEventListener("gap", (message) => {
    const gap = parseGap(message.data);
    if (gap) wait.onGap(gap);
  });

  source.addEventListener("end", (message) => {
    // Closed before the response ends, or the browser would take the end for a break and come back.
    source.close();
    const finished = parseObject(message.data)?.reason === "finished";
    wait.onEnd(finished ? "finished" : "shutdown");
  });
  // ANCHOR_END: control

  return { close: () => source.close() };
}

/**
 * Reads what `GET status?after=` answered.
 *
 * @param {Response} response
 * @param {AbortSignal} signal
 * @returns {Promise<Verdict>}
 */
async function readVerdict(response, signal) {
  let body;
  try {
    body = parseObject(await response.text());
  } catch (error) {
    if (signal.aborted) throw error;
    return { kind: "unreachable", why: "The server's answer broke off." };
  }
  if (response.ok && typeof body?.latest === "string") {
    return { kind: "ready", latest: body.latest, finished: body.finished === true };
  }
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
function readRetryAfter(value) {
  if (value === null) return 0;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - Date.now());
}

/**
 * Says in words why a request failed: the problem details (RFC 9457) if there are any.
 *
 * @param {Response} response
 * @param {Record<string, unknown> | null} body
 * @returns {string}
 */
export function explain(response, body) {
  const title = typeof body?.title === "string" ? body.title : `The server answered ${response.status}`;
  const detail = typeof body?.detail === "string" ? body.detail : "";
  const sentences = [title, detail].filter(Boolean).map((text) => text.replace(/[.\s]*$/, "."));
  return sentences.join(" ");
}

/**
 * @param {URL} url
 * @param {RequestInit & { signal?: AbortSignal }} [init]
 */
async function request(url, { signal, ...init } = {}) {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT);
  try {
    // Every answer is about this moment, so none may come from a cache.
    return await fetch(url, { ...init, cache: "no-store", signal: either(timeout, signal) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(timeout.aborted ? "The server did not answer in time." : "The server cannot be reached.");
  }
}

/**
 * @param {AbortSignal} first
 * @param {AbortSignal} [second]
 */
function either(first, second) {
  return second ? AbortSignal.any([first, second]) : first;
}

/** @returns {string} 24 characters of `[0-9a-f]`, at random */
export function randomName() {
  // `crypto.randomUUID` exists only where the page came over HTTPS or from this machine. A reader may
  // well serve the book to a telephone in the same room, over plain HTTP.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
