// @ts-check
/**
 * Staying connected: what every client of the book does around its method of waiting.
 *
 * A method (polling, long polling, Server-Sent Events, WebSocket) only knows how to wait for the next
 * event. A `Follower` keeps it waiting. It holds the cursor, drops duplicates, notices silence, waits
 * longer after each failure, and stops when the server says that there is nothing more to come.
 */

import { compareCursors, countBetween, isDuplicate, parseCursor } from "./cursor.js";
import { LONGEST_WAIT } from "./http.js";
import { startTimer } from "./timer.js";

/** @typedef {import("./cursor.js").WireEvent} WireEvent */
/** @typedef {import("./cursor.js").Gap} Gap */

/**
 * What a method tells its follower. After `onEnd` and `onFail` it says nothing more.
 *
 * @typedef {object} Wait
 * @property {string} after the cursor to go on from
 * @property {(words?: string) => void} onOpen the server has answered: events can come. `words` say how
 *   the method waits from now on
 * @property {(event: WireEvent) => void} onEvent
 * @property {(cursor: string) => void} onCursor the cursor moved and no event came with it
 * @property {(gap: Gap) => void} onGap
 * @property {(every: number | null) => void} onHeartbeat a sign of life; the next one is due within
 *   `every` milliseconds (`null`: as before)
 * @property {(reason: "shutdown" | "finished") => void} onEnd the server said that it ends this wait
 * @property {(why: string) => void} onRetry the wait broke off, and the browser itself starts it again
 * @property {(why: string, verdict?: Verdict) => void} onFail the wait is over. A method that could
 *   see why passes the verdict; otherwise the follower asks for it
 */

/**
 * What the server would say to a client with a certain cursor.
 *
 * @typedef {{ kind: "ready", earliest: string, latest: string, finished: boolean }
 *   | { kind: "gap", resume: string }
 *   | { kind: "busy", retryAfter: number, why: string }
 *   | { kind: "refused", why: string, name?: string }
 *   | { kind: "unreachable", why: string }} Verdict
 *   `retryAfter` is in milliseconds; "refused" will not change by asking again, and `name` is that of the
 *   problem
 */

/**
 * A method of waiting for the next event.
 *
 * @typedef {object} Method
 * @property {(wait: Wait) => { close(): void }} connect starts to wait; `close` ends the wait at once,
 *   and the method then says nothing more
 * @property {(after: string | null, signal: AbortSignal) => Promise<Verdict>} verdict asks the server
 *   once; never rejects, except when aborted
 * @property {(kind: string, data: unknown, key: string) => Promise<string>} publish publishes an event
 *   and gives its cursor; a repeated `key` is one event. Rejects with an `Error` fit to be read
 * @property {() => Promise<void>} [cut] asks the server to break this connection, to watch what follows
 */

/** @typedef {"idle" | "connecting" | "open" | "waiting" | "ended" | "failed"} State */

/**
 * Who is told what the follower sees. Every function is optional.
 *
 * @typedef {object} Observer
 * @property {(state: State, text: string) => void} [onState]
 * @property {(event: WireEvent) => void} [onEvent] each event once, in the log's order
 * @property {(gap: Gap) => void} [onGap]
 * @property {(text: string) => void} [onNote] something that a person may want to know
 * @property {() => void} [onChange] the counts or the cursor changed
 */

/**
 * How long a connection must have been open until its failure is a first one again, in milliseconds. A
 * server that accepts everybody and drops them at once must not be asked again each second by all of them,
 * so an open connection alone proves nothing.
 */
export const HEALTHY_AFTER = 5000;

/**
 * Full jitter: a wait is uniform up to a bound that doubles with each failure.
 *
 * Clients that lost the same server at the same moment must not all return at the same moment. A wait
 * of "one second, give or take" keeps them together; one that may be anything from zero spreads them.
 */
export class Backoff {
  /**
   * @param {object} [options]
   * @param {number} [options.base] the first bound, in milliseconds. One second: short enough for a
   *   reader who waits, long enough to spread the clients of one server
   * @param {number} [options.cap] the largest bound, in milliseconds. 30 s: a server that was away for
   *   an hour is found again within half a minute
   * @param {() => number} [options.random] uniform in [0, 1)
   */
  constructor({ base = 1000, cap = 30_000, random = Math.random } = {}) {
    this.base = base;
    this.cap = cap;
    this.random = random;
    this.failures = 0;
  }

  /** @returns {number} how long to wait before the next try, in milliseconds */
  next() {
    const bound = Math.min(this.cap, this.base * 2 ** this.failures);
    // Past this the bound no longer grows, and 2 ** failures would in the end be Infinity.
    if (bound < this.cap) this.failures += 1;
    // A draw of nearly nothing would be no wait at all.
    return Math.max(this.base / 10, this.random() * bound);
  }

  /** Forgets the failures, because the connection proved healthy. */
  reset() {
    this.failures = 0;
  }
}

/**
 * Notices that nothing came for too long.
 *
 * A connection can die without a word: a laptop changes its network, a proxy forgets a mapping. The
 * browser then waits for hours, because a receiver has nothing to send and so never learns that nobody
 * is there. The server's heartbeats make silence meaningful.
 */
export class Watchdog {
  /**
   * @param {() => void} onSilence
   * @param {number} [every] the heartbeat interval to assume until the server names one, in
   *   milliseconds. 15 s is the contract's default
   */
  constructor(onSilence, every = 15_000) {
    this.onSilence = onSilence;
    this.every = every;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @returns {number} the silence that is too long, in milliseconds */
  get limit() {
    // A heartbeat may be late by a slow network or a busy tab, so one that is missing is no proof. Two are,
    // and a second for the way, however short the interval is.
    return 2 * Math.min(this.every, LONGEST_WAIT) + 1000;
  }

  /**
   * Something came; the silence starts again.
   *
   * @param {number | null} [every] the interval that the server named, in milliseconds
   */
  alive(every) {
    if (every) this.every = every;
    this.stop();
    this.timer = startTimer(this.onSilence, this.limit);
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

/** Keeps one method waiting, from a first cursor to the end of the log. */
export class Follower {
  /**
   * @param {Method} method
   * @param {Observer} observer
   * @param {object} [options]
   * @param {Backoff} [options.backoff]
   * @param {number} [options.every] see `Watchdog`
   * @param {"earliest" | "latest"} [options.from] where to begin without a cursor: with the oldest event
   *   that is kept, or with the next one
   */
  constructor(method, observer, { backoff = new Backoff(), every, from = "latest" } = {}) {
    this.method = method;
    this.from = from;
    this.observer = observer;
    this.backoff = backoff;
    this.watchdog = new Watchdog(() => this.#failed("Nothing came for too long."), every);

    /** @type {State} */
    this.state = "idle";
    /**
     * The place in the log up to which everything has been handed to the observer. It outlives every
     * connection: this is what makes a new connection a continuation of the old one.
     *
     * @type {string | null}
     */
    this.cursor = null;
    this.counts = { received: 0, doubled: 0, lost: 0, gaps: 0, reconnects: 0 };

    /** The wait that is under way, if any. @type {{ close(): void } | null} */
    this.handle = null;
    /**
     * Which attempt is under way. A late word of an earlier one (an answer that was already in flight,
     * a timer that was already due) carries an older number and is ignored.
     */
    this.attempt = 0;
    /** Ends the question to the server that is under way. @type {AbortController | null} */
    this.asking = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** When the connection opened, in milliseconds of `performance.now()`. @type {number | null} */
    this.openedAt = null;
    /** Whether a connection has been open before: each later one is a reconnection. */
    this.hasBeenOpen = false;
    /** Whether the reader or the page itself ended the last connection: what follows repairs no break, and is not counted. */
    this.rested = false;
    /** Whether the connection was given up only because nobody looks. */
    this.paused = false;
    /** Whether it was the cursor that the server refused. */
    this.refusedCursor = false;
  }

  /** @returns {boolean} whether the follower is following, or will as soon as it can */
  get active() {
    return this.state === "connecting" || this.state === "open" || this.state === "waiting";
  }

  /** Starts, or goes on from the cursor at which it was stopped. */
  start() {
    if (this.active) return;
    // The server refused this very cursor. Asking with it again would give the same answer.
    if (this.refusedCursor) this.cursor = null;
    this.refusedCursor = false;
    this.paused = false;
    this.backoff.reset();
    this.#connect("Connecting…");
  }

  /** Stops, and keeps the cursor. */
  stop() {
    if (this.state === "idle") return;
    this.rested = true;
    this.paused = false;
    this.#release();
    this.#setState("idle", "Stopped.");
  }

  /** Gives the connection up for a while, for example because the page is hidden. */
  pause() {
    if (!this.active || this.paused) return;
    this.rested = true;
    this.paused = true;
    this.#release();
    this.#setState("waiting", "Paused while this page is hidden.");
  }

  /** Takes the connection up again after `pause`, from the cursor. */
  resume() {
    if (!this.paused) return;
    this.paused = false;
    this.#connect("Connecting again…");
  }

  /** Ends a wait between two tries, for example because the network came back. */
  retryNow() {
    if (this.state === "waiting" && !this.paused) this.#connect("Connecting again…");
  }

  /** @param {string} text */
  async #connect(text) {
    this.#release();
    const attempt = this.attempt;
    this.#setState("connecting", text);

    if (this.cursor === null) {
      // A client must never wait without a cursor. If the first connection broke before its first
      // event, nobody could say where to go on, and the events in between would be lost.
      const verdict = await this.#ask();
      if (attempt !== this.attempt || !verdict) return;
      if (verdict.kind !== "ready") return this.#judge(verdict, "");
      this.#moveTo(verdict[this.from]);
    }

    // A connection that never opens is silence too, so the watchdog starts before it.
    this.watchdog.alive();
    const current = () => attempt === this.attempt;
    const handle = this.method.connect({
      after: /** @type {string} */ (this.cursor),
      onOpen: (words) => current() && this.#opened(words),
      onEvent: (event) => current() && this.#take(event),
      onCursor: (cursor) => current() && this.#moveTo(cursor),
      onGap: (gap) => current() && this.#gap(gap),
      onHeartbeat: (every) => current() && this.watchdog.alive(every),
      onEnd: (reason) => current() && this.#ended(reason),
      onRetry: (why) => current() && this.#retrying(why),
      onFail: (why, verdict) => current() && this.#failed(why, verdict),
    });
    // The method may have failed before it returned. Its handle then belongs to nobody.
    if (current()) this.handle = handle;
    else handle.close();
  }

  #opened(words = "Open: waiting for events.") {
    this.watchdog.alive();
    this.openedAt = performance.now();
    if (this.hasBeenOpen) {
      if (!this.rested) this.counts.reconnects += 1;
      this.observer.onNote?.(`Connected again, from ${this.cursor}.`);
      this.observer.onChange?.();
    }
    this.hasBeenOpen = true;
    this.rested = false;
    this.#setState("open", words);
  }

  // ANCHOR: take
  /** @param {WireEvent} event */
  #take(event) {
    this.watchdog.alive();
    const next = parseCursor(event.id);
    if (!next) return;
    const last = this.#parsedCursor();
    if (isDuplicate(last, next)) {
      // Delivered again after a reconnection, or by a server that stutters. To hand it on would make a
      // client that adds up amounts add one twice.
      this.counts.doubled += 1;
    } else {
      this.counts.received += 1;
      this.counts.lost += countBetween(last, next);
      this.cursor = event.id;
      this.observer.onEvent?.(event);
    }
    this.observer.onChange?.();
  }
  // ANCHOR_END: take

  /** @param {Gap} gap */
  #gap(gap) {
    this.watchdog.alive();
    const last = this.#parsedCursor();
    const resume = parseCursor(gap.resume);
    this.counts.gaps += 1;
    // The events up to and including `resume` are gone. In a new log nobody can say how many.
    if (resume) this.counts.lost += countBetween(last, { epoch: resume.epoch, id: resume.id + 1n });
    this.cursor = gap.resume;
    this.observer.onGap?.(gap);
    this.observer.onChange?.();
  }

  /** @param {string} cursor */
  #moveTo(cursor) {
    const next = parseCursor(cursor);
    const last = this.#parsedCursor();
    // Only ever forward, and never into another log: that is a gap, and a gap says so.
    if (!next || (last && compareCursors(next, last) !== 1)) return;
    this.cursor = cursor;
    this.observer.onChange?.();
  }

  /** @param {"shutdown" | "finished"} reason */
  #ended(reason) {
    if (reason === "finished") return this.#finish();
    this.#wait("The server is shutting down.", 0);
  }

  /** @param {string} why */
  #retrying(why) {
    this.watchdog.alive();
    this.#noteHealth();
    this.observer.onNote?.(why);
    this.#setState("connecting", why);
  }

  /**
   * @param {string} why
   * @param {Verdict} [known]
   */
  async #failed(why, known) {
    this.#noteHealth();
    this.#release();
    const attempt = this.attempt;
    this.#setState("connecting", `${why} Asking the server why…`);
    // Once for each failure, not more: a server in trouble must not be asked twice as often.
    const verdict = known ?? (await this.#ask());
    if (attempt !== this.attempt || !verdict) return;
    this.#judge(verdict, why);
  }

  /**
   * @param {Verdict} verdict
   * @param {string} why what happened before the verdict
   */
  #judge(verdict, why) {
    switch (verdict.kind) {
      case "ready": {
        const latest = parseCursor(verdict.latest);
        const cursor = this.#parsedCursor();
        if (verdict.finished && latest && cursor && compareCursors(cursor, latest) === 0) {
          return this.#finish();
        }
        return this.#wait(why, 0);
      }
      case "gap":
        // The next wait is told of the gap, with its reason and from where it goes on.
        return this.#wait(why, 0);
      case "busy":
        return this.#wait(verdict.why, verdict.retryAfter);
      case "unreachable":
        return this.#wait(verdict.why, 0);
      case "refused":
        this.#release();
        this.refusedCursor = verdict.name === "future-cursor" || verdict.name === "bad-cursor";
        return this.#setState("failed", verdict.why);
    }
  }

  #finish() {
    this.#release();
    this.#setState("ended", "The log is finished: no more events will come.");
  }

  // ANCHOR: wait
  /**
   * @param {string} why
   * @param {number} atLeast what the server asked for, in milliseconds
   */
  #wait(why, atLeast) {
    this.#noteHealth();
    this.#release();
    // What the server asked for is a minimum. The jitter comes on top, or everybody that was told
    // "five seconds" comes back in the same instant.
    const delay = Math.min(atLeast, LONGEST_WAIT) + this.backoff.next();
    this.observer.onNote?.(why);
    this.#setState("waiting", `${why} Next try in ${formatSeconds(delay)}.`);
    this.timer = startTimer(() => this.#connect("Connecting again…"), delay);
  }
  // ANCHOR_END: wait

  /** Forgets the failures if the connection that ends now had been open long enough. */
  #noteHealth() {
    if (this.openedAt !== null && performance.now() - this.openedAt >= HEALTHY_AFTER) {
      this.backoff.reset();
    }
    this.openedAt = null;
  }

  /** Lets go of everything that is under way, and makes its late words count for nothing. */
  #release() {
    this.attempt += 1;
    this.watchdog.stop();
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = null;
    this.handle?.close();
    this.handle = null;
  }

  /** @returns {Promise<Verdict | null>} `null` if the question was given up */
  async #ask() {
    const asking = new AbortController();
    this.asking = asking;
    try {
      return await this.method.verdict(this.cursor, asking.signal);
    } catch {
      return asking.signal.aborted
        ? null
        : { kind: "unreachable", why: "The server could not be asked." };
    }
  }

  #parsedCursor() {
    return this.cursor === null ? null : parseCursor(this.cursor);
  }

  /**
   * @param {State} state
   * @param {string} text
   */
  #setState(state, text) {
    this.state = state;
    this.observer.onState?.(state, text);
  }
}

/** @param {number} milliseconds */
export function formatSeconds(milliseconds) {
  return milliseconds < 1000 ? "less than a second" : `about ${Math.round(milliseconds / 1000)} s`;
}
