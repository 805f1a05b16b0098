// @ts-check
/**
 * Polling as a method of waiting: ask, pause, ask again.
 */

import { askStatus, publish, request, REQUEST_TIMEOUT } from "../shared/http.js";
import { followPages } from "../shared/pages.js";
import { Rhythm } from "./rhythm.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/pages.js").Page} Page */

// ANCHOR: method
/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at its end
 * @param {object} [options]
 * @param {Rhythm} [options.rhythm]
 * @param {(page: Page) => void} [options.onPage] told of each answer, for a page that counts them
 * @returns {Method}
 */
export function createPolling(base, { rhythm = new Rhythm(), onPage } = {}) {
  return {
    connect(wait) {
      let first = true;
      return followPages(wait, {
        words: "Polling: asks, pauses, asks again.",
        patience: REQUEST_TIMEOUT,
        ask(after, signal) {
          const url = new URL("events", base);
          url.searchParams.set("after", after);
          return request(url, { signal });
        },
        onPage,
        async rest(_, signal, expect) {
          await rhythm.rest(first, signal, expect);
          first = false;
        },
      });
    },
    verdict: (after, signal) => askStatus(base, after, signal),
    publish: (kind, data, key) => publish(base, kind, data, key),
  };
}
// ANCHOR_END: method
