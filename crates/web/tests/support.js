// @ts-check
// What the tests of the browser modules share: a clock, a network and a document that the test
// moves by hand. No test waits.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, mock } from "node:test";
import { Failure } from "../shared/reconnect.js";

/** @typedef {import("../shared/reconnect.js").Follower} Follower */
/** @typedef {import("../shared/reconnect.js").FollowerUpdate} FollowerUpdate */
/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */

/** The address of the server that is not there. */
export const BASE = new URL("http://server.test/live/");

let now = 0;
mock.method(performance, "now", () => now);

/** The requests of this test, in order. @type {Asked[]} */
export let asked = [];

/**
 * A request, answered by the test.
 *
 * @typedef {object} Asked
 * @property {URL} url
 * @property {Headers} headers
 * @property {RequestInit} init
 * @property {AbortSignal} signal
 * @property {number} timeout in milliseconds
 * @property {(response: Response) => Promise<void>} answer
 * @property {() => Promise<void>} fail as a network does
 * @property {() => Promise<void>} expire comes too late
 */

class FakeDocument extends EventTarget {
  visibilityState = "visible";

  /** @param {"visible" | "hidden"} state */
  async turn(state) {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
    await settle();
  }
}

/** The page that the modules are on. */
export let page = new FakeDocument();

/** The time-out that was made last, for the request that follows. */
let late = { milliseconds: 0, controller: new AbortController() };
mock.method(AbortSignal, "timeout", (/** @type {number} */ milliseconds) => {
  late = { milliseconds, controller: new AbortController() };
  return late.controller.signal;
});

mock.method(globalThis, "fetch", (/** @type {URL} */ url, /** @type {RequestInit} */ init) => {
  const { milliseconds: timeout, controller } = late;
  const signal = /** @type {AbortSignal} */ (init.signal);
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    asked.push({
      url,
      headers: new Headers(init.headers),
      init,
      signal,
      timeout,
      answer: (response) => (resolve(response), settle()),
      fail: () => (reject(new TypeError("fetch failed")), settle()),
      expire: () => (controller.abort(new DOMException("late", "TimeoutError")), settle()),
    });
  });
});

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  now = 0;
  asked = [];
  // A new one, to which nothing of an earlier test listens.
  page = new FakeDocument();
  Object.assign(globalThis, { document: page });
});

/** @param {number} milliseconds */
export async function pass(milliseconds) {
  now += milliseconds;
  mock.timers.tick(milliseconds);
  await settle();
}

/**
 * Time passes, and no timer runs, as in a machine or a page that sleeps.
 *
 * @param {number} milliseconds
 */
export function sleep(milliseconds) {
  now += milliseconds;
}

/** Lets every promise that is ready run on, also those of a response's body. */
export async function settle() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** @returns {Asked} the newest request */
export function last() {
  const request = asked.at(-1);
  assert.ok(request, "nothing was asked");
  return request;
}

/** @param {number} id */
export function event(id, epoch = "k3f9x2") {
  return { id: `${epoch}.${id}`, at: "", kind: "tick", data: {} };
}

/**
 * A page after event `after` of the log `k3f9x2`, with the events `ids`.
 *
 * @param {number} after
 * @param {number[]} ids
 * @param {object} [others] members to add or to replace
 */
export function pageOf(after, ids = [], others = {}) {
  return json(200, {
    after: `k3f9x2.${after}`,
    events: ids.map((id) => event(id)),
    next: `k3f9x2.${ids.at(-1) ?? after}`,
    ...others,
  });
}

/**
 * @param {string} name
 * @param {number} status
 * @param {object} [others]
 * @param {Record<string, string>} [headers]
 */
export function problem(name, status, others = {}, headers = {}) {
  return json(
    status,
    { type: `tag:waiting.example,2026:${name}`, title: name, status, ...others },
    headers,
  );
}

/**
 * @param {number} status
 * @param {unknown} value
 * @param {Record<string, string>} [headers]
 */
export function json(status, value, headers = {}) {
  const type = status < 400 ? "application/json" : "application/problem+json";
  return new Response(JSON.stringify(value), {
    status,
    headers: { "Content-Type": type, ...headers },
  });
}

/** What both clients do about what they are told. */
export const policy = JSON.parse(
  readFileSync(new URL("../../client/tests/policy.json", import.meta.url), "utf8"),
);

/** An answer whose body breaks off. */
export function brokenAnswer() {
  return new Response(
    new ReadableStream({ pull: (controller) => controller.error(new TypeError("terminated")) }),
  );
}

/** Waits once by a method, and notes what it yields, in order. */
export class Heard {
  #closing = new AbortController();

  /**
   * @param {Pick<Method, "follow">} method
   * @param {string} [after]
   */
  constructor(method, after = "k3f9x2.5") {
    /** @type {unknown[][]} */
    this.words = [];
    /** How long the watchdog was to wait, in milliseconds. @type {number[]} */
    this.expected = [];
    this.#read(method.follow(after, this.#closing.signal));
  }

  /** @param {AsyncIterable<Update>} updates */
  async #read(updates) {
    try {
      for await (const update of updates) this.#note(update);
    } catch (error) {
      assert.ok(error instanceof Failure, String(error));
      this.words.push(["failure", error.verdict?.kind]);
    }
  }

  /** @param {Update} update */
  #note(update) {
    if ("every" in update && update.every !== undefined) this.expected.push(update.every);
    if ("cursor" in update && update.cursor !== undefined)
      this.words.push(["cursor", update.cursor]);
    if (update.type === "event") this.words.push(["event", update.event.id]);
    else if (update.type === "gap") this.words.push(["gap", update.gap.reason, update.gap.resume]);
    else if (update.type === "opened")
      this.words.push(["opened", ...(update.text ? [update.text] : [])]);
    else if (update.type !== "heartbeat") this.words.push([update.type]);
  }

  close() {
    this.#closing.abort();
  }
}

/**
 * Starts a follower, and notes what it hands on.
 *
 * @param {Follower} follower
 * @returns {FollowerUpdate[]} filled as it comes
 */
export function start(follower) {
  /** @type {FollowerUpdate[]} */
  const updates = [];
  (async () => {
    for await (const update of follower.updates()) updates.push(update);
  })();
  return updates;
}

/** @param {FollowerUpdate[]} updates */
export function idsOf(updates) {
  return updates.flatMap((update) => (update.type === "event" ? [update.event.id] : []));
}
