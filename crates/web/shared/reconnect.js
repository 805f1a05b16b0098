// @ts-check
/**
 * Staying connected: what every client of the book does around its method of waiting.
 *
 * A method (polling, long polling, Server-Sent Events, WebSocket) only knows how to
 * wait for the next event. A `Follower` keeps it waiting. It holds the cursor, drops
 * duplicates, notices silence, waits longer after each failure, and stops when the
 * server says that there is nothing more to come.
 */

import { compareCursors, countBetween, isDuplicate, parseCursor } from "./cursor.js";
import { LONGEST_WAIT } from "./http.js";
import { pause, startTimer } from "./timer.js";

/** @typedef {import("./cursor.js").Cursor} Cursor */
/** @typedef {import("./contract.js").LogEvent} LogEvent */
/** @typedef {import("./contract.js").Gap} Gap */

/**
 * What a method learns while it waits, one at a time. Each is a sign of life.
 *
 * - `opened`: the server has answered, and events can come. `text` is for the status
 *   line, where the usual one would not fit.
 * - `event`: one event.
 * - `gap`: events were missed.
 * - `heartbeat`: nothing happened, and the connection lives.
 * - `reconnecting`: the connection broke, and the browser itself opens it again.
 * - `ending`: the server shuts down; it or another one goes on with the log. The last.
 * - `renew`: the credential is over, and nothing was missed. The last.
 * - `denied`: this reader may not listen any more. The last.
 * - `finished`: the log is complete, and nothing follows. The last.
 *
 * `cursor` is how far the log has been read, where no event says it. `every` is the
 * longest silence until the next sign of life, in milliseconds; without it the one that
 * was named last holds.
 *
 * @typedef {{ type: "opened", cursor?: string, every?: number, text?: string }
 *   | { type: "event", event: LogEvent }
 *   | { type: "gap", gap: Gap }
 *   | { type: "heartbeat", cursor?: string, every?: number }
 *   | { type: "reconnecting", why: string }
 *   | { type: "ending" }
 *   | { type: "renew" }
 *   | { type: "denied" }
 *   | { type: "finished" }} Update
 */

/**
 * What the server would answer to a client with a certain cursor.
 *
 * @typedef {{ kind: "ready", earliest: string, latest: string, finished: boolean }
 *   | { kind: "gap", resume: string }
 *   | { kind: "busy", retryAfter: number, why: string }
 *   | { kind: "unauthorized", why: string }
 *   | { kind: "refused", why: string, name?: string }
 *   | { kind: "unreachable", why: string }} Verdict `retryAfter` is in milliseconds;
 *     "unauthorized" may change with another credential; "refused" will not change by
 *     asking again, and `name` is that of the problem
 */

/** Why a wait is over before its log is. Its message is fit to be read. */
export class Failure extends Error {
  /**
   * @param {string} why
   * @param {Verdict} [verdict] what the server said about it; without one the follower
   *   asks for it
   */
  constructor(why, verdict) {
    super(why);
    this.verdict = verdict;
  }
}

/**
 * A failure about which the server need not be asked: try again later.
 *
 * @param {string} why
 */
export function unreachable(why) {
  return new Failure(why, { kind: "unreachable", why });
}

/**
 * A method of waiting for the next event.
 *
 * @typedef {object} Method
 * @property {(after: string, signal: AbortSignal) => AsyncIterable<Update>} follow
 *   waits once, for what comes after a cursor. Throws a `Failure`, or ends, when the
 *   wait is over; `signal` ends it at once
 * @property {(after: string | null, signal: AbortSignal) => Promise<Verdict>} verdict
 *   asks the server once; never rejects, except when aborted
 * @property {(kind: string, data: unknown, key: string) => Promise<string>} publish
 *   publishes an event and gives its cursor; a repeated `key` is one event. Rejects
 *   with an `Error` fit to be read
 * @property {boolean} [renews] whether its next wait may have another credential
 * @property {() => Promise<void>} [cut] asks the server to break this connection, to
 *   watch what follows
 */

/** @typedef {"idle" | "connecting" | "open" | "waiting" | "ended" | "failed"} State */

/**
 * What a follower hands to its page: each event once and in the log's order, the gaps,
 * a heartbeat when only a count or the cursor has changed, and each new state with a
 * text for the status line. `note` is something that happened, where a reader may want
 * to see it among the events.
 *
 * @typedef {Extract<Update, { type: "event" | "gap" | "heartbeat" }>
 *   | { type: "state", state: State, text: string, note?: string }} FollowerUpdate
 */

/**
 * How long a connection must have been open until its failure is a first one again, in
 * milliseconds. A server that accepts everybody and drops them at once must not be
 * asked again each second by all of them, so an open connection alone proves nothing.
 */
export const HEALTHY_AFTER = 5000;

/**
 * Full jitter: a wait is uniform up to a bound that doubles with each failure.
 *
 * Clients that lost the same server at the same moment must not all return at the same
 * moment. A wait of "one second, give or take" keeps them together; one that may be
 * anything from zero spreads them.
 */
export class Backoff {
  /**
   * @param {object} [options]
   * @param {number} [options.base] the first bound, in milliseconds. One second: short
   *   enough for a reader who waits, long enough to spread the clients of one server
   * @param {number} [options.cap] the largest bound, in milliseconds. 30 s: a server
   *   that was away for an hour is found again within half a minute
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
    // Past this the bound no longer grows, and 2 ** failures would in the end be
    // Infinity.
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
 * A connection can die without a word: a laptop changes its network, a proxy forgets a
 * mapping. The browser then waits for hours, because a receiver has nothing to send and
 * so never learns that nobody is there. The server's heartbeats make silence
 * meaningful.
 */
export class Watchdog {
  /**
   * @param {() => void} onSilence
   * @param {number} [every] the heartbeat interval to assume until the server names
   *   one, in milliseconds. 15 s is the contract's default
   */
  constructor(onSilence, every = 15_000) {
    this.onSilence = onSilence;
    this.every = every;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @returns {number} the silence that is too long, in milliseconds */
  get limit() {
    // A heartbeat may be late by a slow network or a busy tab, so one that is missing
    // is no proof. Two are, and a second for the way, however short the interval is.
    return 2 * Math.min(this.every, LONGEST_WAIT) + 1000;
  }

  /**
   * Something came; the silence starts again.
   *
   * @param {number} [every] the interval that the server named, in milliseconds
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
   * The loop that is under way, if any: an earlier one that still ends changes nothing.
   */
  #run = {};
  /**
   * Ends what is under way: a request for the status, a wait, or a rest between two
   * tries.
   */
  #turn = new AbortController();
  /**
   * When the connection opened, in milliseconds of `performance.now()`.
   *
   * @type {number | null}
   */
  #openedAt = null;
  /** Whether a connection has been open before: each later one is a reconnection. */
  #hasBeenOpen = false;
  /**
   * Whether the reader or the page itself ended the last connection: what follows
   * repairs no break, and is not counted.
   */
  #leftByItself = false;
  /** Whether the connection was given up only because the page is hidden. */
  #paused = false;
  /** Whether it was the cursor that the server refused. */
  #refusedCursor = false;
  /**
   * Whether the last answer was that the credential is none, and nothing was open
   * since.
   */
  #unauthorized = false;
  #watchdog;

  /**
   * @param {Method} method
   * @param {object} [options]
   * @param {Backoff} [options.backoff]
   * @param {number} [options.every] see `Watchdog`
   * @param {"earliest" | "latest"} [options.from] where to begin without a cursor: with
   *   the oldest event that is kept, or with the next one
   */
  constructor(method, { backoff = new Backoff(), every, from = "latest" } = {}) {
    this.method = method;
    this.backoff = backoff;
    this.from = from;
    const onSilence = () => this.#release(new Failure("Nothing came for too long."));
    this.#watchdog = new Watchdog(onSilence, every);

    /** @type {State} */
    this.state = "idle";
    /**
     * The place in the log up to which everything has been handed on. It outlives every
     * connection: this is what makes a new connection a continuation of the old one.
     *
     * @type {string | null}
     */
    this.cursor = null;
    this.counts = { received: 0, doubled: 0, lost: 0, gaps: 0, reconnects: 0 };
  }

  /** @returns {boolean} whether the follower is following, or will as soon as it can */
  get active() {
    return (
      this.state === "connecting" || this.state === "open" || this.state === "waiting"
    );
  }

  // ANCHOR: updates
  /**
   * Follows the log, from the cursor at which it was stopped, until it is stopped
   * again, the log is finished, or the server refuses. Nothing where it is following
   * already.
   *
   * @returns {AsyncGenerator<FollowerUpdate, void, void>}
   */
  async *updates() {
    if (this.active) return;
    // The server refused this very cursor. Asking with it again would give the same
    // answer.
    if (this.#refusedCursor) this.cursor = null;
    this.#refusedCursor = false;
    this.#unauthorized = false;
    this.#paused = false;
    this.backoff.reset();
    const run = {};
    this.#run = run;
    let text = "Connecting…";
    try {
      while (this.#run === run) {
        const signal = this.#begin();
        if (this.#paused) {
          yield this.#enter("waiting", "Paused while this page is hidden.");
          await pause(Infinity, signal);
        } else {
          yield this.#enter("connecting", text);
          const failure = yield* this.#attempt(signal);
          if (failure) yield* this.#judge(failure);
          if (this.state === "ended" || this.state === "failed") return;
        }
        text = "Connecting again…";
      }
      // Not where another loop has begun meanwhile.
      if (this.state === "idle") yield this.#enter("idle", "Stopped.");
    } finally {
      if (this.#run === run) this.stop();
    }
  }
  // ANCHOR_END: updates

  /** Stops, and keeps the cursor. */
  stop() {
    this.#release();
    if (!this.active) return;
    this.#run = {};
    this.#paused = false;
    this.#leftByItself = true;
    this.state = "idle";
  }

  /** Gives the connection up for a while, for example because the page is hidden. */
  pause() {
    if (!this.active || this.#paused) return;
    this.#leftByItself = true;
    this.#paused = true;
    this.#release();
  }

  /** Takes the connection up again after `pause`, from the cursor. */
  resume() {
    if (!this.#paused) return;
    this.#paused = false;
    this.#release();
  }

  /** Ends a wait between two tries, for example because the network came back. */
  retryNow() {
    if (this.state === "waiting" && !this.#paused) this.#release();
  }

  /** @returns {AbortSignal} of what begins now */
  #begin() {
    this.#turn = new AbortController();
    return this.#turn.signal;
  }

  /**
   * Ends what is under way.
   *
   * @param {Failure} [failure] why, if nobody wished it
   */
  #release(failure) {
    this.#watchdog.stop();
    this.#noteHealth();
    this.#turn.abort(failure);
  }

  /**
   * Waits once.
   *
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<FollowerUpdate, Failure | null, void>} gives why it is
   *   over; `null` if the log is finished, or the follower itself has ended the wait
   */
  async *#attempt(signal) {
    /** @type {unknown} */
    let end = null;
    try {
      yield* this.#wait(signal);
    } catch (error) {
      end = error;
    }
    // Whatever it then threw: it was the watchdog, or nobody wants the wait any more.
    if (signal.aborted) return signal.reason instanceof Failure ? signal.reason : null;
    this.#release();
    if (end === null || end instanceof Failure) return end;
    throw end;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<FollowerUpdate, void, void>}
   * @throws {Failure} if there is more to come
   */
  async *#wait(signal) {
    if (signal.aborted) return;
    if (this.cursor === null) {
      // A client must never wait without a cursor. If the first connection broke before
      // its first event, nobody could say where to go on, and the events in between
      // would be lost.
      const verdict = await this.#ask(signal);
      if (signal.aborted) return;
      if (verdict.kind !== "ready") throw new Failure("", verdict);
      this.cursor = verdict[this.from];
      yield { type: "heartbeat" };
      if (signal.aborted) return;
    }
    // A connection that never opens is silence too, so the watchdog starts before it.
    this.#watchdog.alive();
    for await (const update of this.method.follow(this.cursor, signal)) {
      if (signal.aborted) return;
      this.#watchdog.alive("every" in update ? update.every : undefined);
      switch (update.type) {
        case "opened":
          this.#moveTo(update.cursor);
          yield this.#opened(update.text);
          break;
        case "event":
          yield this.#deliver(update.event);
          break;
        case "gap":
          yield this.#gap(update.gap);
          break;
        case "heartbeat":
          this.#moveTo(update.cursor);
          yield update;
          break;
        case "reconnecting":
          this.#noteHealth();
          yield this.#enter("connecting", update.why, update.why);
          break;
        case "ending":
          throw unreachable("The server is shutting down.");
        case "renew":
          // The next wait has another credential, if there is one to have.
          throw unreachable("The sign-in is over.");
        case "denied": {
          const why = "You may not listen any more. Sign in again.";
          throw new Failure(why, { kind: "refused", why, name: "forbidden" });
        }
        case "finished":
          yield this.#finish();
          return;
      }
    }
    throw new Failure("The connection ended.");
  }

  #opened(text = "Open: waiting for events.") {
    this.#openedAt = performance.now();
    this.#unauthorized = false;
    let note;
    if (this.#hasBeenOpen) {
      if (!this.#leftByItself) this.counts.reconnects += 1;
      note = `Connected again, from ${this.cursor}.`;
    }
    this.#hasBeenOpen = true;
    this.#leftByItself = false;
    return this.#enter("open", text, note);
  }

  // ANCHOR: deliver
  /**
   * @param {LogEvent} event
   * @returns {FollowerUpdate}
   */
  #deliver(event) {
    const last = this.#parsedCursor();
    const next = /** @type {Cursor} */ (parseCursor(event.id));
    if (isDuplicate(last, next)) {
      // Delivered again after a reconnection, or by a server that stutters. To hand it
      // on would make a client that adds up amounts add one twice.
      this.counts.doubled += 1;
      return { type: "heartbeat" };
    }
    this.counts.received += 1;
    this.counts.lost += countBetween(last, next);
    this.cursor = event.id;
    return { type: "event", event };
  }
  // ANCHOR_END: deliver

  /**
   * @param {Gap} gap
   * @returns {FollowerUpdate}
   */
  #gap(gap) {
    const last = this.#parsedCursor();
    const { epoch, id } = /** @type {Cursor} */ (parseCursor(gap.resume));
    this.counts.gaps += 1;
    // The events up to and including `resume` are gone. In a new log nobody can say how
    // many.
    this.counts.lost += countBetween(last, { epoch, id: id + 1n });
    this.cursor = gap.resume;
    return { type: "gap", gap };
  }

  /** @param {string} [cursor] */
  #moveTo(cursor) {
    const next = cursor === undefined ? null : parseCursor(cursor);
    const last = this.#parsedCursor();
    // Only ever forward, and never into another log: that is a gap, and a gap says so.
    if (!cursor || !next || (last && compareCursors(next, last) !== 1)) return;
    this.cursor = cursor;
  }

  /**
   * Decides what to do after a failure: rests and goes on, or ends.
   *
   * @param {Failure} failure
   * @returns {AsyncGenerator<FollowerUpdate, void, void>}
   */
  async *#judge({ message: why, verdict }) {
    if (!verdict) {
      const signal = this.#begin();
      yield this.#enter("connecting", `${why} Asking the server why…`);
      // Once for each failure, not more: a server in trouble must not be asked twice as
      // often.
      verdict = await this.#ask(signal);
      if (signal.aborted) return;
    }
    switch (verdict.kind) {
      case "ready": {
        const latest = parseCursor(verdict.latest);
        const cursor = this.#parsedCursor();
        const hasAll = latest && cursor && compareCursors(cursor, latest) === 0;
        if (verdict.finished && hasAll) yield this.#finish();
        else yield* this.#rest(why, 0);
        return;
      }
      case "gap":
        // The next wait is told of the gap, with its reason and from where it goes on.
        return yield* this.#rest(why, 0);
      case "busy":
        return yield* this.#rest(verdict.why, verdict.retryAfter);
      case "unreachable":
        return yield* this.#rest(verdict.why, 0);
      case "unauthorized": {
        // Once. A credential that is refused as soon as it was renewed will not be
        // better the next time.
        const inVain = this.#unauthorized || !this.method.renews;
        this.#unauthorized = true;
        if (!inVain) return yield* this.#rest(verdict.why, 0);
        yield this.#enter("failed", verdict.why);
        return;
      }
      case "refused":
        this.#refusedCursor =
          verdict.name === "future-cursor" || verdict.name === "bad-cursor";
        yield this.#enter("failed", verdict.why);
    }
  }

  #finish() {
    return this.#enter("ended", "The log is finished: no more events will come.");
  }

  // ANCHOR: wait
  /**
   * @param {string} why
   * @param {number} atLeast what the server asked for, in milliseconds
   * @returns {AsyncGenerator<FollowerUpdate, void, void>}
   */
  async *#rest(why, atLeast) {
    const signal = this.#begin();
    // What the server asked for is a minimum. The jitter comes on top, or everybody
    // that was told "five seconds" comes back in the same instant.
    const delay = Math.min(atLeast, LONGEST_WAIT) + this.backoff.next();
    yield this.#enter("waiting", `${why} Next try in ${formatSeconds(delay)}.`, why);
    await pause(delay, signal);
  }
  // ANCHOR_END: wait

  /** Forgets the failures if the connection that ends now had been open long enough. */
  #noteHealth() {
    const openedAt = this.#openedAt ?? Infinity;
    if (performance.now() - openedAt >= HEALTHY_AFTER) this.backoff.reset();
    this.#openedAt = null;
  }

  /**
   * @param {AbortSignal} signal
   * @returns {Promise<Verdict>}
   */
  async #ask(signal) {
    try {
      return await this.method.verdict(this.cursor, signal);
    } catch {
      return { kind: "unreachable", why: "The server could not be asked." };
    }
  }

  #parsedCursor() {
    return this.cursor === null ? null : parseCursor(this.cursor);
  }

  /**
   * @param {State} state
   * @param {string} text
   * @param {string} [note]
   * @returns {FollowerUpdate}
   */
  #enter(state, text, note) {
    this.state = state;
    return { type: "state", state, text, note };
  }
}

/** @param {number} milliseconds */
export function formatSeconds(milliseconds) {
  return milliseconds < 1000
    ? "less than a second"
    : `about ${Math.round(milliseconds / 1000)} s`;
}
