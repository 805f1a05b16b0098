// @ts-check
/**
 * The herd: what becomes of many clients that lose their server in one moment.
 *
 * A model in virtual time, as the race is: nothing is sent and no clock is read, so the
 * same setting gives the same crowd, at once. Its clients rest by the clients' own
 * `Backoff`, and heed `Retry-After` as they do. The server takes one connection after
 * the other. It knows no lost packet and no proxy, and a client that is back stays. All
 * times are in milliseconds, and the server is lost at 0.
 */

import { createRandom, SERVER } from "../race/model.js";
import { Backoff } from "../shared/reconnect.js";

/**
 * How long a client rests after a try that failed.
 *
 * @typedef {"second" | "five" | "doubling" | "retry" | "jitter" | "told"} Policy
 */

/**
 * @typedef {object} Setting
 * @property {Policy} policy
 * @property {number} clients
 * @property {number} away how long there is no server
 * @property {number} work what the server takes to let one client in
 * @property {number} refusal what it takes to refuse one
 * @property {number} room how many may wait for their turn; who comes then is refused
 * @property {boolean} saysWhen whether a refusal has a `Retry-After`, drawn
 * @property {number} patience how long a client waits for its turn until it gives up
 * @property {{ least: number, most: number }} way from a client to the server and back,
 *   for each client drawn once
 * @property {number} lasts when to stop looking
 * @property {number} seed decides all that is drawn
 */

/**
 * What happened in one step of time.
 *
 * @typedef {object} Step
 * @property {number} tries requests that were sent
 * @property {number} back clients that are connected again at its end
 */

/**
 * What became of a herd.
 *
 * @typedef {object} Herd
 * @property {Setting} setting
 * @property {Step[]} steps one for each `STEP`, until the last that has a try
 * @property {number} tries all that were sent
 * @property {number} peak the most in one step
 * @property {number} peakBack the most in one step once the server is there again
 * @property {number} refused tries that the server refused
 * @property {number} abandoned connections that it let in for clients that had left
 * @property {number} back clients that are connected again
 * @property {number | null} halfBack when half of them were
 * @property {number | null} allBack when the last of them was; `null` if one is missing
 */

/** How long a step is. */
export const STEP = 100;

/** What `Retry-After` is drawn from, in seconds, by the servers of the book. */
export const RETRY_AFTER = { least: 1, most: 10 };

/** What a herd begins with. The page says what each of the numbers means. */
export const DEFAULT = Object.freeze(
  /** @type {Setting} */ ({
    policy: "second",
    clients: 10_000,
    away: 10_000,
    work: 1,
    refusal: 0.2,
    room: 1000,
    saysWhen: false,
    patience: 5000,
    way: { least: 20, most: 120 },
    lasts: 70_000,
    seed: 1,
  }),
);

/** What the book shows in a figure: the server is away. @type {Partial<Setting>[]} */
export const SHOWN = [
  { policy: "second" },
  { policy: "five" },
  { policy: "doubling" },
  { policy: "retry" },
  { policy: "second", saysWhen: true },
  { policy: "jitter" },
];

/** And in a table: another server is there at once. @type {Partial<Setting>[]} */
export const REPLACED = [
  { policy: "second", saysWhen: true, away: 0 },
  { policy: "jitter", saysWhen: true, away: 0 },
  { policy: "told", saysWhen: true, away: 0 },
];

/** @typedef {() => number} Rest how long until the next try */

/**
 * By how much the time over which a server that ends spreads its clients is longer than
 * the next one needs to let them in.
 */
export const SPREAD = 1.25;

/**
 * The rests of one client.
 *
 * @type {Record<Policy, (random: () => number, setting: Setting) => Rest>}
 */
const RESTS = {
  second: () => () => 1000,
  five: () => () => 5000,
  // The bound itself, where the clients of the book draw from below it.
  doubling: () => restsOf(new Backoff({ random: () => 1 })),
  retry(random) {
    // The server has drawn it for this stream, and the browser keeps to it.
    const { least, most } = SERVER.retry;
    const rest = least + random() * (most - least);
    return () => rest;
  },
  jitter: (random) => restsOf(new Backoff({ random })),
  told(random, { clients, work }) {
    const rest = restsOf(new Backoff({ random }));
    const told = random() * SPREAD * clients * work;
    let isFirst = true;
    return () => {
      if (!isFirst) return rest();
      isFirst = false;
      return told;
    };
  },
};

/** @param {Backoff} backoff @returns {Rest} */
function restsOf(backoff) {
  return () => backoff.next();
}

/** What is to happen, the soonest first: a heap. */
class Agenda {
  /** @type {number[]} */
  #times = [];
  /** @type {number[]} */
  #clients = [];

  /** @param {number} time @param {number} client */
  add(time, client) {
    const times = this.#times;
    const clients = this.#clients;
    let place = times.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (times[parent] <= time) break;
      times[place] = times[parent];
      clients[place] = clients[parent];
      place = parent;
    }
    times[place] = time;
    clients[place] = client;
  }

  /** @returns {[time: number, client: number] | null} */
  take() {
    const times = this.#times;
    const clients = this.#clients;
    if (times.length === 0) return null;
    /** @type {[number, number]} */
    const first = [times[0], clients[0]];
    const time = /** @type {number} */ (times.pop());
    const client = /** @type {number} */ (clients.pop());
    const { length } = times;
    if (length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && times[child + 1] < times[child]) child += 1;
      if (times[child] >= time) break;
      times[place] = times[child];
      clients[place] = clients[child];
      place = child;
    }
    times[place] = time;
    clients[place] = client;
    return first;
  }
}

/**
 * Runs a herd until all are back.
 *
 * @param {Setting} setting
 * @returns {Herd}
 */
export function simulate(setting) {
  const { away, work, refusal, room, patience, lasts } = setting;
  const random = createRandom(setting.seed);
  const agenda = new Agenda();
  /** @type {Rest[]} */
  const rests = [];
  /** @type {number[]} */
  const ways = [];
  /** @type {number[]} */
  const tries = [];
  /** @type {number[]} */
  const returns = [];
  const { least, most } = setting.way;
  for (let client = 0; client < setting.clients; client++) {
    rests.push(RESTS[setting.policy](random, setting));
    ways.push((least + random() * (most - least)) / 2);
    // Half of a way after the server was lost, its client knows it.
    agenda.add(2 * ways[client] + rests[client](), client);
  }

  // When the server has done what it has taken on.
  let free = away;
  let refused = 0;
  let abandoned = 0;
  // The agenda has the time at which a try reaches the server.
  for (;;) {
    const next = agenda.take();
    if (!next || next[0] > lasts) break;
    const [now, client] = next;
    const way = ways[client];
    tries.push(now - way);
    /** @param {number} known when the client knows @param {number} [atLeast] */
    const again = (known, atLeast = 0) =>
      agenda.add(known + atLeast + rests[client]() + way, client);
    if (now < away) {
      again(now + way);
      continue;
    }
    free = Math.max(free, now);
    if (free - now >= room * work) {
      // It was refused, and that too is work.
      free += refusal;
      refused += 1;
      again(now + way, setting.saysWhen ? drawRetryAfter(random) : 0);
      continue;
    }
    free += work;
    if (free - now + 2 * way <= patience) {
      returns.push(free + way);
      continue;
    }
    // The server cannot see that nobody waits any more.
    abandoned += 1;
    again(now - way + patience);
  }

  const end = Math.max(0, ...[tries, returns].map((times) => largest(times)));
  const steps = Array.from({ length: Math.floor(end / STEP) + 1 }, () => ({
    tries: 0,
    back: 0,
  }));
  for (const time of tries) steps[Math.floor(time / STEP)].tries += 1;
  for (const time of returns) steps[Math.floor(time / STEP)].back += 1;
  let back = 0;
  for (const step of steps) {
    back += step.back;
    step.back = back;
  }
  const after = steps.slice(Math.floor(away / STEP));
  return {
    setting,
    steps,
    tries: tries.length,
    peak: largest(steps.map(({ tries }) => tries)),
    peakBack: largest(after.map(({ tries }) => tries)),
    refused,
    abandoned,
    back,
    halfBack: middle(returns, setting.clients),
    allBack: back === setting.clients ? largest(returns) : null,
  };
}

/** @param {() => number} random @returns {number} whole seconds, in milliseconds */
function drawRetryAfter(random) {
  const { least, most } = RETRY_AFTER;
  return 1000 * (least + Math.floor(random() * (most - least + 1)));
}

/**
 * When half of all were there.
 *
 * @param {number[]} times
 * @param {number} all
 * @returns {number | null}
 */
function middle(times, all) {
  const half = Math.ceil(all / 2);
  if (times.length < half) return null;
  return times.toSorted((one, other) => one - other)[half - 1];
}

/** @param {number[]} numbers */
function largest(numbers) {
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}
