// @ts-check
/**
 * Long polling as a method of waiting: ask, and let the server answer when there is
 * something.
 *
 * The request is that of polling. One header more, `Prefer: wait=N` (RFC 7240 §4.3),
 * asks the server to wait for up to N seconds when there is nothing to send.
 */

import { Credentials } from "../shared/credentials.js";
import {
  askStatus,
  cut,
  publish,
  randomName,
  routeOf,
} from "../shared/http.js";
import { followLogPages } from "../shared/log-pages.js";
import { pause } from "../shared/timer.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/contract.js").LogPage} LogPage */

// In seconds. The longest wait that does not meet the time-outs on the way: proxies and
// load balancers give up on a silent response after 30 s or more.
const WAIT = 25;
// How much longer than the server the client waits, in milliseconds. A server that
// gives up answers, and a client that gives up learns nothing, so the client must be
// the last, by more than a slow network takes.
const GRACE = 10_000;
// The shortest pause after an empty page that did not wait, in milliseconds; the
// longest is twice that. Without it the client would ask as fast as the network goes.
const UNWAITED = 1000;

// ANCHOR: method
/**
 * Makes the method for one server.
 *
 * @param {URL} base the absolute URL under which the server's routes lie, with `/` at
 *   its end
 * @param {object} [options]
 * @param {(page: LogPage) => void} [options.onPage] called with each answer, for a page
 *   that counts them
 * @param {() => number} [options.random] uniform in [0, 1)
 * @param {import("../shared/credentials.js").Renew} [options.renew] for a server that
 *   asks who is there: its `headers` go with each request
 * @param {boolean} [options.withCredentials] see `Credentials`
 * @returns {Method}
 */
export function createLongPolling(base, options = {}) {
  const { onPage, random = Math.random } = options;
  const credentials = new Credentials(options);
  const send = credentials.request;
  // Names this page's requests, so that the server can break these and no one else's.
  const connection = randomName();

  return {
    follow: (after, signal) =>
      followLogPages(after, signal, {
        text: "Open: waiting for events.",
        patience: WAIT * 1000 + GRACE,
        // ANCHOR: ask
        ask(after, signal, first) {
          const url = routeOf("events", base);
          url.searchParams.set("after", after);
          url.searchParams.set("connection", connection);
          // The first request does not wait. Its answer shows at once that the server
          // is there; one that waits would leave that open until something happens.
          if (first) return send(url, { signal });
          const headers = { Prefer: `wait=${WAIT}` };
          return send(url, { signal, headers, timeout: WAIT * 1000 + GRACE });
        },
        // ANCHOR_END: ask
        onPage,
        // ANCHOR: rest
        async *rest({ page, response, took, first }, signal) {
          if (first || page.events.length > 0 || wasWaited(response, took)) return;
          const length = UNWAITED * (1 + random());
          yield length;
          await pause(length, signal);
        },
        // ANCHOR_END: rest
      }),
    verdict: (after, signal) => askStatus(base, after, signal, send),
    renews: credentials.renews,
    publish: (kind, data, key) => publish(base, kind, data, key, send),
    cut: () => cut(base, connection),
  };
}
// ANCHOR_END: method

/**
 * Whether the server waited before it sent an empty page: its header says so, and time
 * has passed, half of what it granted or a second. A server may ignore `Prefer`, and a
 * page from a cache has the header and comes at once.
 *
 * @param {Response} response
 * @param {number} took from the request to the last byte, in milliseconds
 */
export function wasWaited(response, took) {
  const applied = response.headers.get("Preference-Applied") ?? "";
  const wait = /(?:^|,)\s*wait\s*=\s*([0-9]+)\s*(?:,|$)/i.exec(applied);
  const granted = Number(wait?.[1] ?? 0);
  return granted > 0 && took >= Math.min(granted * 500, 1000);
}
