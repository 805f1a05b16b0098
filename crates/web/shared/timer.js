// @ts-check
/**
 * Waiting for a while: the one place in which the book's pages set a timer.
 *
 * A browser keeps the time of a timer in 31 bits. A longer one, after 24.8 days, wraps
 * round and fires at once. So a server that asks for a long rest would be asked without
 * a pause.
 */

// A day. Nothing here waits for longer, and a number that is larger by mistake then
// does no harm.
const LONGEST_TIMER = 24 * 60 * 60 * 1000;

/**
 * @param {number} milliseconds
 * @returns {number} what a timer can be set to; the longest for what is no number
 */
export function bounded(milliseconds) {
  return milliseconds <= LONGEST_TIMER ? Math.max(0, milliseconds) : LONGEST_TIMER;
}

/**
 * Calls a function once, after a time; `clearTimeout` calls it off.
 *
 * @param {() => void} callback
 * @param {number} milliseconds
 * @returns {ReturnType<typeof setTimeout>}
 */
export function startTimer(callback, milliseconds) {
  return setTimeout(callback, bounded(milliseconds));
}

/**
 * Waits, or ends early when `signal` is aborted.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = startTimer(end, milliseconds);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    signal.addEventListener("abort", end);
  });
}
