// @ts-check
/**
 * Polling as a method of waiting: ask, pause, ask again.
 */

import { Credentials } from "../shared/credentials.js";
import {
  askStatus,
  publish,
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
 * @param {import("../shared/credentials.js").Renew} [options.renew] for a server that
 *   asks who is there: its `headers` go with each request
 * @param {boolean} [options.withCredentials] see `Credentials`
 * @returns {Method}
 */
export function createPolling(base, options = {}) {
  const { rhythm = new Rhythm(), onPage } = options;
  const credentials = new Credentials(options);
  const send = credentials.request;
  return {
    follow(after, signal) {
      let first = true;
      return followLogPages(after, signal, {
        text: "Polling: asks, pauses, asks again.",
        patience: REQUEST_TIMEOUT,
        ask(after, signal) {
          const url = routeOf("events", base);
          url.searchParams.set("after", after);
          return send(url, { signal });
        },
        onPage,
        async *rest(_, signal) {
          yield* rhythm.rest(first, signal);
          first = false;
        },
      });
    },
    verdict: (after, signal) => askStatus(base, after, signal, send),
    renews: credentials.renews,
    publish: (kind, data, key) => publish(base, kind, data, key, send),
  };
}
// ANCHOR_END: method
