// @ts-check
/**
 * What happened while a panel was away: how long that was, how many events were
 * published meanwhile, and whether any was lost.
 *
 * The events say when they were published, by the server's clock. How far that is from
 * this machine's clock, the events that came at once have shown.
 */

/** @typedef {import("./reconnect.js").State} State */

// Of how many events the quickest is taken.
const MAX_LAGS = 20;

/** One break, from the end of a connection to the end of what was late for it. */
export class Break {
  /** How many events were published in it and have come. */
  events = 0;

  /**
   * @param {number} left when the connection ended, in milliseconds since 1970
   * @param {number} back when another was open
   */
  constructor(left, back) {
    this.left = left;
    this.back = back;
  }

  /**
   * @param {number} lost how many events are lost since it began
   * @returns {string}
   */
  describe(lost) {
    const all = this.events + lost;
    const happened = all === 1 ? "1 event" : `${all} events`;
    const missing = lost === 0 ? "none lost" : `${lost} lost`;
    const away = `Away ${formatTime(this.back - this.left)}`;
    if (all === 0) return `${away}. Nothing happened meanwhile.`;
    return `${away}. ${happened} happened meanwhile, ${missing}.`;
  }
}

export class Breaks {
  /** How long the newest events were on their way, by two clocks. @type {number[]} */
  #lags = [];
  /** @type {number | null} */
  #left = null;
  #wasOpen = false;
  /** The newest, as long as there may be more to it. @type {Break | null} */
  current = null;

  /**
   * The connection has another state.
   *
   * @param {State} state
   * @param {number} now in milliseconds since 1970
   * @returns {Break | null} the break that has ended with it
   */
  enter(state, now) {
    const isOpen = state === "open";
    if (this.#wasOpen && !isOpen) this.#left = now;
    this.#wasOpen = isOpen;
    if (!isOpen || this.#left === null) return null;
    this.current = new Break(this.#left, now);
    this.#left = null;
    return this.current;
  }

  /**
   * An event came.
   *
   * @param {string} at when it was published
   * @param {number} now in milliseconds since 1970
   */
  take(at, now) {
    const published = Date.parse(at);
    if (Number.isNaN(published)) return;
    this.#lags = [...this.#lags, now - published].slice(-MAX_LAGS);
    if (!this.current) return;
    if (published + Math.min(...this.#lags) <= this.current.back) {
      this.current.events += 1;
    } else {
      this.current = null;
    }
  }
}

/** @param {number} milliseconds */
function formatTime(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.round(seconds / 60)} min`;
}
