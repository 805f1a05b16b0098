// @ts-check
/**
 * The race: what four methods, and one client without a cursor, do with the same
 * events.
 *
 * A model in virtual time. Nothing is sent and no clock is read, so the same setting
 * gives the same race, at once. Its clients try again by the book's own policy
 * (`shared/reconnect.js`), its servers do what the book's do by default, and the bytes
 * are those that the lab has counted. It knows no lost packet, no bandwidth, and no
 * other client. All times are in milliseconds.
 */

import { drawShare } from "../polling/rhythm.js";
import { Backoff, HEALTHY_AFTER } from "../shared/reconnect.js";

/** @typedef {import("../figures/measured.js").Costs} Costs */
/** @typedef {import("../figures/measured.js").Wire} Wire */

/**
 * What befalls the line or the server. A cut loses what is on the way, and both sides
 * see it. A server that restarts says goodbye first, and its log outlives it.
 *
 * @typedef {{ kind: "cut" | "restart", at: number, lasts: number }} Fault
 */

/**
 * What a race is made from.
 *
 * @typedef {object} Setting
 * @property {number} lasts
 * @property {number} rate events a second on average, at random
 * @property {number} interval from an answer to the next poll, on average
 * @property {number} roundTrip
 * @property {Fault[]} faults in their order
 * @property {number} seed decides all that is drawn
 * @property {Wire} wire what each method sends, in bytes
 * @property {number} eventBytes the JSON of an event
 * @property {number} handshakes round trips until a new connection can carry a request
 * @property {number} work what a server takes until it writes
 */

/** An event of the log. @typedef {{ number: number, at: number }} LogEvent */

/**
 * Something on its way. What a cut has caught ends where it was caught.
 *
 * @typedef {object} Arrow
 * @property {"client" | "server"} from
 * @property {"request" | "answer" | "event" | "hello" | "heartbeat" | "pong" | "end"
 *   | "handshake" | "refusal"} kind
 * @property {number} at
 * @property {number} until
 * @property {number} bytes
 * @property {LogEvent[]} events
 * @property {boolean} isCaught
 */

/**
 * How one client fared.
 *
 * @typedef {object} Lane
 * @property {LaneName} name
 * @property {Arrow[]} arrows
 * @property {{ from: number, to: number }[]} open when a request or a stream is open at
 *   the server
 * @property {{ from: number, to: number }[]} rests the waits between two tries
 * @property {{ event: LogEvent, at: number }[]} receipts
 * @property {{ event: LogEvent, at: number }[]} losses events that will never come, and
 *   since when
 */

/**
 * @typedef {"polling" | "long-polling" | "sse" | "websocket" | "no-cursor"} LaneName
 */

/** @typedef {{ setting: Setting, events: LogEvent[], lanes: Lane[] }} Race */

/** What the servers of the book do by default; of `park` and `retry` one is drawn. */
export const SERVER = {
  /** How long a long poll that has an event waits for more. */
  linger: 20,
  /** How long a long poll without an event is parked, in whole seconds. */
  park: { least: 20, most: 25 },
  /** The longest silence of a stream. */
  heartbeat: 15_000,
  /** After how long a browser comes back to an event stream. */
  retry: { least: 1000, most: 2000 },
};

/** A farewell of a stream: its block, or the frame of a close. In bytes. */
const FAREWELL = 60;

/**
 * Numbers that look random, the same for the same seed (mulberry32).
 *
 * @param {number} seed
 * @returns {() => number} uniform in [0, 1)
 */
export function createRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * When something happens, on average so often and independent of what was before.
 *
 * @param {number} rate a second
 * @param {number} lasts
 * @param {() => number} random
 * @returns {LogEvent[]}
 */
export function drawEvents(rate, lasts, random) {
  /** @type {LogEvent[]} */
  const events = [];
  const next = () => (-1000 * Math.log(1 - random())) / rate;
  for (let at = next(); at < lasts; at += next())
    events.push({ number: events.length + 1, at });
  return events;
}

/** Time that passes when nothing else is left to do. */
class Timeline {
  now = 0;
  /** In their order. @type {{ at: number, action: () => void }[]} */
  #due = [];

  /**
   * @param {number} at
   * @param {() => void} action
   */
  schedule(at, action) {
    const place = this.#due.findLastIndex((other) => other.at <= at) + 1;
    this.#due.splice(place, 0, { at, action });
  }

  /** @param {number} end */
  run(end) {
    for (;;) {
      const next = this.#due.shift();
      if (!next || next.at > end) break;
      this.now = next.at;
      next.action();
    }
    this.now = end;
  }
}

/** When a client tries again: the policy of `shared/reconnect.js`, by virtual time. */
export class Recovery {
  /** @type {number | null} */
  #openedAt = -Infinity;
  #backoff;

  /** @param {() => number} random */
  constructor(random) {
    this.#backoff = new Backoff({ random });
  }

  /** @param {number} now */
  open(now) {
    this.#openedAt ??= now;
  }

  /**
   * @param {number} now
   * @returns {boolean} whether the connection that ends had proved healthy
   */
  close(now) {
    const healthy = now - (this.#openedAt ?? Infinity) >= HEALTHY_AFTER;
    if (healthy) this.#backoff.reset();
    this.#openedAt = null;
    return healthy;
  }

  /** @returns {number} how long to wait before the next try */
  next() {
    return this.#backoff.next();
  }
}

/** One client and its server. At the beginning they have been connected for long. */
class Client {
  /** @type {Arrow[]} */
  arrows = [];
  /** @type {Lane["open"]} */
  open = [];
  /** @type {Lane["rests"]} */
  rests = [];
  /** @type {Lane["receipts"]} */
  receipts = [];
  /** @type {Lane["losses"]} */
  losses = [];

  time = new Timeline();
  /** The number of the last event that the client has. */
  cursor = 0;
  isConnected = true;
  /** Whether the next exchange is the first of its connection. */
  isNew = false;
  /** Changes when a connection ends: what is on the way does not arrive any more. */
  #connection = 0;
  /** Whether the client waits for the other side, and not for its own clock. */
  isWaiting = false;
  /** Whether it asks the server why a connection broke. */
  #isAskingWhy = false;
  /** Since when something is open at the server. @type {number | null} */
  #openSince = null;

  /**
   * @param {Setting} setting
   * @param {LogEvent[]} events
   * @param {Costs} costs
   * @param {() => number} random
   */
  constructor(setting, events, costs, random) {
    this.setting = setting;
    this.events = events;
    this.costs = costs;
    this.random = random;
    this.recovery = new Recovery(random);
    for (const event of events)
      this.time.schedule(event.at, () => this.onPublished(event));
    for (const fault of setting.faults)
      this.time.schedule(fault.at, () => this.#onFault(fault));
  }

  /** Begins in the middle: connected, and with all that was published before. */
  begin() {}

  /** Tries anew, after a rest. */
  attempt() {}

  /** @param {LogEvent} _event */
  onPublished(_event) {}

  /** The server ends, and says so to whoever is connected. */
  onServerEnd() {}

  /** What is open at the server is gone with the line. */
  onCut() {}

  /**
   * What a cut has caught.
   *
   * @param {LogEvent[]} _events
   * @param {number} _at
   */
  onCaught(_events, _at) {}

  /** @param {LaneName} name @returns {Lane} */
  run(name) {
    const { lasts } = this.setting;
    this.begin();
    this.time.run(lasts);
    if (this.#openSince !== null) this.setOpen(false);
    const { arrows, open, receipts, losses } = this;
    const rests = this.rests.map(({ from, to }) => ({ from, to: Math.min(to, lasts) }));
    return { name, arrows, open, rests, receipts, losses };
  }

  /** @returns {LogEvent[]} what the log holds after the cursor */
  due() {
    /** @type {LogEvent[]} */
    const due = [];
    // Numbers are places: event 1 is the first.
    for (let place = this.cursor; place < this.events.length; place++) {
      const event = this.events[place];
      if (event.at > this.time.now) break;
      due.push(event);
    }
    return due;
  }

  /** @param {LogEvent[]} events */
  receive(events) {
    for (const event of events) {
      this.receipts.push({ event, at: this.time.now });
      this.cursor = event.number;
    }
  }

  /** @param {boolean} isOpen at the server */
  setOpen(isOpen) {
    const { now } = this.time;
    if (this.#openSince !== null) this.open.push({ from: this.#openSince, to: now });
    this.#openSince = isOpen ? now : null;
  }

  /**
   * Does something after a time, unless the connection has ended by then.
   *
   * @param {number} delay
   * @param {() => void} action
   * @param {() => void} [otherwise]
   */
  later(delay, action, otherwise) {
    const connection = this.#connection;
    this.time.schedule(this.time.now + delay, () => {
      if (connection === this.#connection) action();
      else otherwise?.();
    });
  }

  /**
   * Sends something. `then` follows when it arrives, and never if a cut catches it.
   *
   * @param {Arrow["from"]} from
   * @param {Arrow["kind"]} kind
   * @param {number} bytes
   * @param {LogEvent[]} events
   * @param {() => void} then
   * @returns {Arrow}
   */
  send(from, kind, bytes, events, then) {
    const at = this.time.now;
    const way = this.setting.roundTrip / 2;
    const cut = this.setting.faults.find(
      (fault) => fault.kind === "cut" && fault.at > at && fault.at <= at + way,
    );
    const isCaught = cut !== undefined;
    const until = cut?.at ?? at + way;
    const arrow = { from, kind, at, until, bytes, events, isCaught };
    this.arrows.push(arrow);
    if (isCaught) this.onCaught(events, until);
    if (from === "client") this.isWaiting = true;
    this.later(way, then);
    return arrow;
  }

  /**
   * Sends a request and hands it to the server that is there; where none is, it fails.
   *
   * @param {number} bytes
   * @param {() => void} serve
   * @returns {Arrow}
   */
  request(bytes, serve) {
    return this.send("client", "request", bytes, [], () => {
      if (this.#is("restart")) this.#refuse();
      else serve();
    });
  }

  /**
   * @param {number} bytes
   * @param {LogEvent[]} events
   * @param {() => void} then once it is there
   */
  answer(bytes, events, then) {
    const send = () => {
      this.send("server", "answer", bytes, events, () => {
        this.settle();
        then();
      });
    };
    const { work } = this.setting;
    this.later(work, send, () => this.onCaught(events, this.time.now));
  }

  /** What was waited for is there. */
  settle() {
    this.isWaiting = false;
    this.isNew = false;
  }

  /**
   * Opens a connection.
   *
   * @param {() => void} then
   */
  connect(then) {
    // Whoever has no line sees that at once.
    if (this.#is("cut")) return this.fail(true);
    this.#connection += 1;
    /** @param {number} left */
    const shakeHands = (left) => {
      if (left === 0) {
        this.isConnected = true;
        this.isNew = true;
        return then();
      }
      this.send("client", "handshake", 0, [], () => {
        if (this.#is("restart")) return this.#refuse();
        this.send("server", "handshake", 0, [], () => shakeHands(left - 1));
      });
    };
    shakeHands(this.setting.handshakes);
  }

  /** Ends the connection, with whatever is on it. */
  disconnect() {
    this.#connection += 1;
    this.isConnected = false;
  }

  /**
   * A try has failed, or a connection has ended.
   *
   * @param {boolean} isKnown whether the client knows why, and need not ask
   */
  fail(isKnown) {
    this.recovery.close(this.time.now);
    this.isWaiting = false;
    this.disconnect();
    if (isKnown || this.#isAskingWhy) this.#rest();
    else this.#askWhy();
  }

  /** @param {number} delay until the next try */
  tryAgainIn(delay) {
    const { now } = this.time;
    this.rests.push({ from: now, to: now + delay });
    this.time.schedule(now + delay, () => this.attempt());
  }

  #rest() {
    this.#isAskingWhy = false;
    this.tryAgainIn(this.recovery.next());
  }

  /** A request for the status, on a connection of its own. */
  #askWhy() {
    this.#isAskingWhy = true;
    const { opening_up: up, opening_down: down } = this.setting.wire.polling;
    this.connect(() => {
      this.request(up, () =>
        this.answer(down, [], () => {
          this.disconnect();
          this.#rest();
        }),
      );
    });
  }

  #refuse() {
    this.send("server", "refusal", 0, [], () => this.fail(!this.asksWhy));
  }

  /** Whether a refused try leaves the client to ask why. */
  get asksWhy() {
    return false;
  }

  /** @param {Fault} fault */
  #onFault({ kind }) {
    if (kind === "restart") return this.onServerEnd();
    this.onCut();
    if (this.isWaiting) this.fail(!this.asksWhy);
    else this.disconnect();
  }

  /**
   * Whether such a fault lasts now.
   *
   * @param {Fault["kind"]} kind
   */
  #is(kind) {
    const { now } = this.time;
    return this.setting.faults.some(
      (fault) => fault.kind === kind && fault.at <= now && now < fault.at + fault.lasts,
    );
  }
}

/** Asks, pauses, asks again. */
class Polling extends Client {
  /** Whether no pause was made since the connection opened. */
  #isFresh = true;

  begin() {
    this.#pause();
  }

  attempt() {
    if (this.isConnected) this.#ask();
    else this.connect(() => this.#ask());
  }

  onServerEnd() {
    // A kept connection is closed, and the next poll opens another one.
    this.isConnected = false;
  }

  /** @param {boolean} isKnown */
  fail(isKnown) {
    this.#isFresh = true;
    super.fail(isKnown);
  }

  #pause() {
    const share = drawShare(this.#isFresh, this.random);
    this.#isFresh = false;
    const due = this.time.now + share * this.setting.interval;
    this.time.schedule(due, () => this.attempt());
  }

  #ask() {
    const { isNew, costs } = this;
    this.request(isNew ? costs.opening_up : costs.quiet_up, () => {
      const events = this.due();
      const each = this.setting.eventBytes + costs.event_down;
      const around = isNew ? costs.opening_down : costs.quiet_down;
      this.answer(around + events.length * each, events, () => {
        this.recovery.open(this.time.now);
        this.receive(events);
        this.#pause();
      });
    });
  }
}

/** Asks, and lets the server answer when there is something. */
class LongPolling extends Client {
  /** The request that the server keeps, by its number. @type {number | null} */
  parked = null;
  #requests = 0;

  begin() {
    this.ask();
  }

  attempt() {
    this.connect(() => this.ask());
  }

  onPublished() {
    const { parked } = this;
    if (parked === null) return;
    // Others may follow soon, and then one answer is enough.
    this.later(SERVER.linger, () => {
      if (parked === this.parked) this.reply(this.due());
    });
  }

  onServerEnd() {
    // Whoever is parked gets an empty page, and asks again.
    if (this.parked !== null) this.reply(this.due());
    this.isConnected = false;
  }

  onCut() {
    this.#unpark();
  }

  ask() {
    const { isNew, costs } = this;
    this.request(isNew ? costs.opening_up : costs.event_up, () => {
      const events = this.due();
      // The first request of a connection does not wait.
      if (events.length > 0 || isNew) this.reply(events, isNew);
      else this.#park();
    });
  }

  /**
   * @param {LogEvent[]} events
   * @param {boolean} [isNew]
   */
  reply(events, isNew = false) {
    this.#unpark();
    const { costs } = this;
    const isQuiet = events.length === 0;
    const around = isQuiet ? costs.quiet_down : costs.event_down;
    const bytes = isNew ? costs.opening_down : around;
    // Over HTTP/2 a client that waits in vain for so long has answered pings.
    const pongs = isQuiet && !isNew ? costs.quiet_up - costs.event_up : 0;
    if (pongs > 0) this.send("client", "pong", pongs, [], () => {});
    this.answer(bytes + events.length * this.setting.eventBytes, events, () => {
      this.recovery.open(this.time.now);
      this.receive(events);
      if (this.isConnected) this.ask();
      else this.attempt();
    });
  }

  #park() {
    this.#requests += 1;
    const request = this.#requests;
    this.parked = request;
    this.setOpen(true);
    const { least, most } = SERVER.park;
    const seconds = least + Math.floor(this.random() * (most - least + 1));
    this.later(seconds * 1000, () => {
      if (this.parked === request) this.reply([]);
    });
  }

  #unpark() {
    if (this.parked === null) return;
    this.parked = null;
    this.setOpen(false);
  }
}

/**
 * Long polling as it is often written: asks for news, not for what came after an event.
 * What happens while nobody waits is told to nobody.
 */
class NoCursor extends LongPolling {
  /** @param {LogEvent} [event] */
  onPublished(event) {
    if (!event) return;
    if (this.parked !== null) this.reply([event]);
    else this.losses.push({ event, at: this.time.now });
  }

  due() {
    return [];
  }

  /**
   * @param {LogEvent[]} events
   * @param {number} at
   */
  onCaught(events, at) {
    for (const event of events) this.losses.push({ event, at });
  }
}

/** A response, or a socket, that does not end. */
class Stream extends Client {
  /** Whether the server has it open. */
  #isOpen = false;
  /** Changes with all that is sent: a heartbeat fills only a silence. */
  #sent = 0;
  /** Whether the client had it open when it broke. */
  wasOpen = false;

  begin() {
    this.#isOpen = true;
    this.wasOpen = true;
    this.isWaiting = true;
    this.setOpen(true);
    this.#awaitSilence();
  }

  attempt() {
    this.connect(() => {
      this.request(this.costs.opening_up, () => this.#greet());
    });
  }

  /** @param {LogEvent} event */
  onPublished(event) {
    if (!this.#isOpen) return;
    this.later(this.setting.work, () => {
      this.#send("event", this.eventBytes(1), [event]);
    });
  }

  onServerEnd() {
    if (!this.#isOpen) return;
    this.#close();
    this.send("server", "end", FAREWELL, [], () => this.fail(true));
  }

  onCut() {
    this.#close();
  }

  get asksWhy() {
    return true;
  }

  /** @param {boolean} isKnown */
  fail(isKnown) {
    this.wasOpen = false;
    super.fail(isKnown);
  }

  /** The server has answered. */
  onOpen() {}

  /** @param {number} count */
  eventBytes(count) {
    return count * (this.setting.eventBytes + this.costs.event_down);
  }

  #greet() {
    this.#isOpen = true;
    this.setOpen(true);
    const events = this.due();
    const bytes = this.costs.opening_down + this.eventBytes(events.length);
    this.#send("hello", bytes, events, () => {
      this.isNew = false;
      this.wasOpen = true;
      this.recovery.open(this.time.now);
      this.onOpen();
    });
  }

  #close() {
    if (this.#isOpen) this.setOpen(false);
    this.#isOpen = false;
  }

  /**
   * @param {Arrow["kind"]} kind
   * @param {number} bytes
   * @param {LogEvent[]} [events]
   * @param {() => void} [then]
   */
  #send(kind, bytes, events = [], then = () => {}) {
    this.send("server", kind, bytes, events, () => {
      then();
      this.receive(events);
    });
    this.#awaitSilence();
  }

  #awaitSilence() {
    this.#sent += 1;
    const sent = this.#sent;
    this.later(SERVER.heartbeat, () => {
      if (sent !== this.#sent || !this.#isOpen) return;
      const { quiet_up: up, quiet_down: down } = this.costs;
      this.#send("heartbeat", down, [], () => {
        if (up > 0) this.send("client", "pong", up, [], () => {});
      });
    });
  }
}

/** A stream that the browser itself takes up again, once. */
class Sse extends Stream {
  #mayRetry = true;
  #retry = this.#drawRetry();

  onOpen() {
    this.#retry = this.#drawRetry();
  }

  /** @param {boolean} isKnown */
  fail(isKnown) {
    const { wasOpen } = this;
    if (isKnown || !wasOpen) return super.fail(isKnown);
    if (this.recovery.close(this.time.now)) this.#mayRetry = true;
    if (!this.#mayRetry) return super.fail(isKnown);
    this.#mayRetry = false;
    this.wasOpen = false;
    this.settle();
    this.disconnect();
    this.tryAgainIn(this.#retry);
  }

  #drawRetry() {
    const { least, most } = SERVER.retry;
    return least + this.random() * (most - least);
  }
}

/** @type {[LaneName, typeof Client, keyof Wire][]} */
const LANES = [
  ["polling", Polling, "polling"],
  ["long-polling", LongPolling, "long_polling"],
  ["sse", Sse, "sse"],
  ["websocket", Stream, "websocket"],
  ["no-cursor", NoCursor, "long_polling"],
];

/**
 * Runs one client over given events.
 *
 * @param {LaneName} name
 * @param {Setting} setting
 * @param {LogEvent[]} events
 * @param {number} seed of what the client and its server draw
 * @returns {Lane}
 */
export function runLane(name, setting, events, seed) {
  const found = LANES.find(([other]) => other === name);
  if (!found) throw new Error(`There is no lane ${name}.`);
  const [, Kind, costs] = found;
  return new Kind(setting, events, setting.wire[costs], createRandom(seed)).run(name);
}

/**
 * Runs a race. What comes before a fault is the same without it.
 *
 * @param {Setting} setting
 * @returns {Race}
 */
export function simulate(setting) {
  const { rate, lasts, seed } = setting;
  const events = drawEvents(rate, lasts, createRandom(seed));
  const lanes = LANES.map(([name], place) =>
    runLane(name, setting, events, seed + 1 + place),
  );
  return { setting, events, lanes };
}

/**
 * What a lane has come to at a time.
 *
 * @typedef {object} Standing
 * @property {number} requests
 * @property {number} up bytes
 * @property {number} down bytes
 * @property {number} received events
 * @property {number} missing events that are published and not there yet
 * @property {number} lost events that will never come
 * @property {number | null} lateness of those received, on average
 * @property {number | null} latest the most
 */

/**
 * @param {Race} race
 * @param {Lane} lane
 * @param {number} now
 * @returns {Standing}
 */
export function standingAt({ events }, lane, now) {
  let requests = 0;
  let up = 0;
  let down = 0;
  for (const { from, kind, at, bytes } of lane.arrows) {
    if (at > now) continue;
    if (kind === "request") requests += 1;
    if (from === "client") up += bytes;
    else down += bytes;
  }
  const delays = lane.receipts
    .filter(({ at }) => at <= now)
    .map(({ event, at }) => at - event.at);
  const received = delays.length;
  const lost = lane.losses.filter(({ at }) => at <= now).length;
  const published = events.filter(({ at }) => at <= now).length;
  const sum = delays.reduce((total, delay) => total + delay, 0);
  return {
    requests,
    up,
    down,
    received,
    missing: published - received - lost,
    lost,
    lateness: received > 0 ? sum / received : null,
    latest: received > 0 ? Math.max(...delays) : null,
  };
}
