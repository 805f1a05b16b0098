// @ts-check
/**
 * Long polling as a method of waiting: ask, and let the server answer when there is something.
 *
 * The question is that of polling. One header more, `Prefer: wait=N` (RFC 7240 §4.3), says that the
 * client would rather wait for N seconds than be told that nothing has happened.
 */

import { askStatus, cut, publish, randomName, request } from "../shared/http.js";
import { followPages } from "../shared/pages.js";
import { pause } from "../shared/timer.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/pages.js").Page} Page */

// In seconds. The longest wait that does not meet the time-outs on the way: proxies and load balancers
// give up on a silent response after 30 s or more.
const WAIT = 25;
// How much longer than the server the client waits, in milliseconds. Who gives up first decides what is
// known: a server that gives up answers, and a client that gives up has learnt nothing. So the client must
// be last, by more than a slow network takes.
const GRACE = 10_000;
// The shortest pause after an empty page that nobody waited with, in milliseconds; the longest is twice
// that. Whoever asked again at once would ask as fast as the network goes.
const UNWAITED = 1000;

// ANCHOR: method
/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at its end
 * @param {object} [options]
 * @param {(page: Page) => void} [options.onPage] told of each answer, for a page that counts them
 * @param {() => number} [options.random] uniform in [0, 1)
 * @returns {Method}
 */
export function createLongPolling(base, { onPage, random = Math.random } = {}) {
  // Names this page's requests, so that the server can break these and no one else's.
  const connection = randomName();

  return {
    connect: (wait) =>
      followPages(wait, {
        words: "Open: waiting for events.",
        patience: WAIT * 1000 + GRACE,
        // ANCHOR: ask
        ask(after, signal, first) {
          const url = new URL("events", base);
          url.searchParams.set("after", after);
          url.searchParams.set("connection", connection);
          // The first question does not wait. Its answer shows at once that the server is there; a parked
          // one would leave that open for as long as nothing happens.
          if (first) return request(url, { signal });
          const headers = { Prefer: `wait=${WAIT}` };
          return request(url, { signal, headers, timeout: WAIT * 1000 + GRACE });
        },
        // ANCHOR_END: ask
        onPage,
        // ANCHOR: rest
        async rest({ page, response, took, first }, signal, expect) {
          if (first || page.events.length > 0 || wasWaited(response, took)) return;
          const length = UNWAITED * (1 + random());
          expect(length);
          await pause(length, signal);
        },
        // ANCHOR_END: rest
      }),
    verdict: (after, signal) => askStatus(base, after, signal),
    publish: (kind, data, key) => publish(base, kind, data, key),
    cut: () => cut(base, connection),
  };
}
// ANCHOR_END: method

/**
 * Whether the server waited with an empty page. It says so, and the time has passed: half of what it
 * granted is enough, or a second. A server may know nothing of `Prefer`; and a page that some cache has
 * kept says that it was waited for, and comes at once.
 *
 * @param {Response} response
 * @param {number} took from the question to the last byte, in milliseconds
 */
export function wasWaited(response, took) {
  const applied = response.headers.get("Preference-Applied") ?? "";
  const granted = Number(/(?:^|,)\s*wait\s*=\s*([0-9]+)\s*(?:,|$)/i.exec(applied)?.[1] ?? 0);
  return granted > 0 && took >= Math.min(granted * 500, 1000);
}
