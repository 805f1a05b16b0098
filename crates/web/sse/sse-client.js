// @ts-check
/**
 * Server-Sent Events as a method of waiting: a browser's `EventSource`, and what has to stand around it.
 *
 * `EventSource` reconnects by itself and then sends `Last-Event-ID`, so the first break needs no help.
 * Three things it cannot do. It gives up for good at any status but 200, and script is not told which
 * one it was. It waits for ever on a connection that died without a word. And it comes back after a
 * fixed time, however often that has failed. So the browser gets one try of its own, and another once a
 * connection has proved healthy. Otherwise this module reports the failure, and the follower
 * (`web/reconnect.js`) takes over.
 */

import { parseEvent, parseGap, parseObject } from "../shared/cursor.js";
import { askStatus, cut, publish, randomName } from "../shared/http.js";
import { HEALTHY_AFTER } from "../shared/reconnect.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Wait} Wait */

/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at its end
 * @returns {Method}
 */
export function createSse(base) {
  // Names this page's connections, so that the server can break these and no one else's.
  const connection = randomName();
  // It outlives a connection, and with it the follower's next attempt.
  const browser = { mayRetry: true };

  return {
    connect: (wait) => connect(base, connection, browser, wait),
    verdict: (after, signal) => askStatus(base, after, signal),
    publish: (kind, data, key) => publish(base, kind, data, key),
    cut: () => cut(base, connection),
  };
}

/**
 * @param {URL} base
 * @param {string} connection
 * @param {{ mayRetry: boolean }} browser whether it may come back by itself after the next break
 * @param {Wait} wait
 */
function connect(base, connection, browser, wait) {
  // ANCHOR: open
  const url = new URL("events", base);
  // The cursor goes into the URL because script cannot set a header of an EventSource. When the browser
  // reconnects by itself it asks for the same URL, now outdated, and adds `Last-Event-ID`, which wins.
  url.searchParams.set("after", wait.after);
  url.searchParams.set("connection", connection);
  const source = new EventSource(url);

  /** Since when it is open. @type {number | null} */
  let openedAt = null;
  source.onopen = () => {
    openedAt = performance.now();
    wait.onOpen();
  };

  source.onerror = () => {
    // That it opened is no proof: a server may accept everybody, and then fail.
    const wasOpen = openedAt !== null;
    if (performance.now() - (openedAt ?? Infinity) >= HEALTHY_AFTER) browser.mayRetry = true;
    openedAt = null;
    if (source.readyState === EventSource.CONNECTING && wasOpen && browser.mayRetry) {
      browser.mayRetry = false;
      wait.onRetry("The connection broke. The browser reconnects by itself, with Last-Event-ID.");
      return;
    }
    // CLOSED: the browser gave up for good. CONNECTING: it would try again, as often as it takes and
    // after the same time each time; the follower waits longer after each failure, and at random.
    source.close();
    wait.onFail("The connection could not be opened.");
  };
  // ANCHOR_END: open

  // To go on after what cannot be read might be to skip an event without a word.
  const fail = () => {
    source.close();
    wait.onFail("The server sent what is no event of this contract.");
  };

  source.onmessage = (message) => {
    const event = parseEvent(message.data);
    if (event) wait.onEvent(event);
    else fail();
  };

  // ANCHOR: control
  // The greeting and a heartbeat say the same: the stream lives, it stands here, and its next sign of
  // life is due by then.
  /** @param {MessageEvent<string>} message */
  const onSign = (message) => {
    const every = parseObject(message.data)?.every;
    wait.onHeartbeat(typeof every === "number" && every > 0 ? every : null);
    wait.onCursor(message.lastEventId);
  };
  source.addEventListener("hello", onSign);
  source.addEventListener("heartbeat", onSign);

  source.addEventListener("gap", (message) => {
    const gap = parseGap(message.data);
    if (gap) wait.onGap(gap);
    else fail();
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
