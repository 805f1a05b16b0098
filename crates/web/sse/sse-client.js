// @ts-check
/**
 * Server-Sent Events as a method of waiting: a browser's `EventSource`, and what it
 * lacks.
 *
 * `EventSource` reconnects by itself and then sends `Last-Event-ID`, so the first break
 * needs no help. Three things it cannot do. It gives up for good at any status but 200,
 * and script does not learn which one it was. It waits for ever on a connection that
 * died without a word. And it comes back after a fixed time, however often that has
 * failed. So the browser gets one try of its own, and another once a connection has
 * proved healthy. Otherwise this module reports the failure, and the follower
 * (`shared/reconnect.js`) takes over.
 */

import {
  parseObject,
  readEnd,
  readEvent,
  readGap,
  readHeartbeat,
  readHello,
} from "../shared/contract.js";
import { Credentials } from "../shared/credentials.js";
import { askStatus, cut, publish, randomName, routeOf } from "../shared/http.js";
import { Queue } from "../shared/queue.js";
import { Failure, HEALTHY_AFTER } from "../shared/reconnect.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */

/** What the follower is told of each reason to end. */
const LAST = /** @type {const} */ ({
  shutdown: "ending",
  unknown: "ending",
  finished: "finished",
  renew: "renew",
  denied: "denied",
});

/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at
 *   its end
 * @param {object} [options] for a server that asks who is there
 * @param {import("../shared/credentials.js").Renew} [options.renew] its `query` goes
 *   into the stream's address
 * @param {boolean} [options.withCredentials] see `Credentials`
 * @returns {Method}
 */
export function createSse(base, { renew, withCredentials } = {}) {
  // Names this page's connections, so that the server can break these and no one
  // else's.
  const connection = randomName();
  // It outlives a connection, and with it the follower's next attempt.
  const browser = { mayRetry: true };
  const credentials = new Credentials({ renew, withCredentials });
  const send = credentials.request;

  const route = () => {
    const url = routeOf("events", base);
    url.searchParams.set("connection", connection);
    return url;
  };
  return {
    follow: (after, signal) =>
      credentials.renews
        ? followWithTicket(route(), credentials, after, signal)
        : follow(route(), credentials, browser, after, signal),
    verdict: (after, signal) => askStatus(base, after, signal, send),
    publish: (kind, data, key) => publish(base, kind, data, key, send),
    renews: credentials.renews,
    cut: () => cut(base, connection),
  };
}

// ANCHOR: ticket
/**
 * Follows with a ticket in the address. The browser's own reconnect would ask for the
 * same address, whose ticket is used by then: it would be refused with 401, and the
 * browser would give up for good. So it gets no try of its own here.
 *
 * @param {URL} url
 * @param {Credentials} credentials
 * @param {string} after
 * @param {AbortSignal} signal
 * @returns {AsyncIterable<Update>}
 */
async function* followWithTicket(url, credentials, after, signal) {
  await credentials.forConnection(url, signal);
  yield* follow(url, credentials, null, after, signal);
}
// ANCHOR_END: ticket

/**
 * @param {URL} url
 * @param {{ withCredentials: boolean }} init
 * @param {{ mayRetry: boolean } | null} browser whether it may come back by itself
 *   after the next break; `null` if it never may
 * @param {string} after
 * @param {AbortSignal} signal
 * @returns {AsyncIterable<Update>}
 */
function follow(url, { withCredentials }, browser, after, signal) {
  // ANCHOR: open
  // The cursor goes into the URL because script cannot set a header of an EventSource.
  // When the browser reconnects by itself it asks for the same URL, now outdated, and
  // adds `Last-Event-ID`, which wins.
  url.searchParams.set("after", after);
  const source = new EventSource(url, { withCredentials });
  /** @type {Queue<Update>} */
  const updates = new Queue(signal, () => source.close());

  /** Since when it is open. @type {number | null} */
  let openedAt = null;
  source.onopen = () => {
    openedAt = performance.now();
    updates.push({ type: "opened" });
  };

  source.onerror = () => {
    // That it opened is no proof: a server may accept everybody, and then fail.
    const wasOpen = openedAt !== null;
    const healthy = performance.now() - (openedAt ?? Infinity) >= HEALTHY_AFTER;
    if (healthy && browser) browser.mayRetry = true;
    openedAt = null;
    if (source.readyState === EventSource.CONNECTING && wasOpen && browser?.mayRetry) {
      browser.mayRetry = false;
      const why =
        "The connection broke. The browser reconnects by itself, with Last-Event-ID.";
      return updates.push({ type: "reconnecting", why });
    }
    // CLOSED: the browser gave up for good. CONNECTING: it would try again, as often as
    // it takes and after the same time each time; the follower waits longer after each
    // failure, and at random.
    updates.fail(new Failure("The connection could not be opened."));
  };
  // ANCHOR_END: open

  /** @param {Update | null} update what a message says; `null` if it cannot be read */
  const push = (update) => {
    if (update) return updates.push(update);
    // To go on might be to skip an event without a word.
    updates.fail(new Failure("The server sent what is no event of this contract."));
  };

  source.onmessage = ({ data }) => {
    const event = readEvent(parseObject(data));
    push(event && { type: "event", event });
  };

  // ANCHOR: control
  // The greeting and a heartbeat say the same: the stream lives, it stands here, and
  // its next sign of life is due by then.
  source.addEventListener("hello", ({ data }) => {
    const hello = readHello(parseObject(data));
    push(hello && { type: "heartbeat", ...hello });
  });

  source.addEventListener("heartbeat", ({ data, lastEventId: cursor }) => {
    const heartbeat = readHeartbeat(parseObject(data));
    push(heartbeat && { type: "heartbeat", cursor, ...heartbeat });
  });

  source.addEventListener("gap", ({ data }) => {
    const gap = readGap(parseObject(data));
    push(gap && { type: "gap", gap });
  });

  source.addEventListener("end", ({ data }) => {
    const end = readEnd(parseObject(data));
    push(end && { type: LAST[end.reason] });
    // Closes the source before the response ends, or the browser would take the end for
    // a break and come back.
    updates.end();
  });
  // ANCHOR_END: control

  return updates;
}
