// @ts-check
/**
 * One stream for all tabs of an application, by whichever way the browser has.
 */

import { shareByLock } from "./by-lock.js";
import { shareByWorker } from "./by-worker.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */

/** @typedef {"lock" | "worker" | "alone"} Way */

/**
 * The ways that this browser has. Web Locks need a secure context: HTTPS, or localhost.
 *
 * @param {any} [scope]
 * @returns {Way[]} the best first
 */
export function waysOf(scope = globalThis) {
  const hasLocks = Boolean(scope.navigator?.locks);
  /** @type {Way[]} */
  const ways = ["alone"];
  if (hasLocks && scope.SharedWorker) ways.unshift("worker");
  if (hasLocks && scope.BroadcastChannel) ways.unshift("lock");
  return ways;
}

// ANCHOR: share
/**
 * Lets all tabs that share a name wait over one stream.
 *
 * @param {Method} method any of the book's clients
 * @param {object} options
 * @param {string} options.name of the stream: one for each user and log
 * @param {string | URL} [options.worker] the script of a shared worker, for the way
 *   "worker"
 * @param {Way} [options.way] the best that there is, if none is asked for
 * @param {(isHolder: boolean) => void} [options.onHold] told when this tab begins or
 *   ceases to hold the stream
 * @returns {Method} to be followed as any other
 */
export function share(method, { name, worker, way = waysOf()[0], onHold }) {
  if (!waysOf().includes(way)) return method;
  if (way === "lock") return shareByLock(method, { name, onHold });
  if (way === "worker" && worker) return shareByWorker(method, { worker });
  // A stream of its own: what every tab had before.
  return method;
}
// ANCHOR_END: share
