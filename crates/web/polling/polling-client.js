// @ts-check
/**
 * Polling as a method of waiting: ask, pause, ask again.
 */

import {
  askStatus,
  publish,
  request,
  REQUEST_TIMEOUT,
  routeOf,
} from "../shared/http.js";
import { followLogPages } from "../shared/log-pages.js";
import { Rhythm } from "./rhythm.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/contract.js").LogPage} LogPage */

// ANCHOR: method
/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at
 *   its end
 * @param {object} [options]
 * @param {Rhythm} [options.rhythm]
 * @param {(page: LogPage) => void} [options.onPage] called with each answer, for a page
 *   that counts them
 * @returns {Method}
 */
export function createPolling(base, { rhythm = new Rhythm(), onPage } = {}) {
  return {
    follow(after, signal) {
      let first = true;
      return followLogPages(after, signal, {
        text: "Polling: asks, pauses, asks again.",
        patience: REQUEST_TIMEOUT,
        ask(after, signal) {
          const url = routeOf("events", base);
          url.searchParams.set("after", after);
          return request(url, { signal });
        },
        onPage,
        async *rest(_, signal) {
          yield* rhythm.rest(first, signal);
          first = false;
        },
      });
    },
    verdict: (after, signal) => askStatus(base, after, signal),
    publish: (kind, data, key) => publish(base, kind, data, key),
  };
}
// ANCHOR_END: method
