// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Backoff, Failure, Follower } from "../shared/reconnect.js";
import { BASE, Heard, json, last, pass, policy, settle, start } from "./support.js";
import { createSse } from "../sse/sse-client.js";

/** The streams of this test, in order. @type {FakeEventSource[]} */
let sources = [];

/** A stream whose other end is the test. */
class FakeEventSource extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;

  /**
   * @param {URL} url
   * @param {EventSourceInit} [init]
   */
  constructor(url, init) {
    super();
    this.url = url;
    this.init = init;
    this.readyState = FakeEventSource.CONNECTING;
    /** @type {(() => void) | null} */
    this.onopen = null;
    /** @type {(() => void) | null} */
    this.onerror = null;
    /** @type {((message: MessageEvent) => void) | null} */
    this.onmessage = null;
    sources.push(this);
  }

  open() {
    this.readyState = FakeEventSource.OPEN;
    this.onopen?.();
  }

  /** It breaks, and the browser would come back by itself. */
  async break() {
    this.readyState = FakeEventSource.CONNECTING;
    this.onerror?.();
    await settle();
  }

  close() {
    this.readyState = FakeEventSource.CLOSED;
  }
}

beforeEach(() => {
  sources = [];
  Object.assign(globalThis, { EventSource: FakeEventSource });
});

function source() {
  const newest = sources.at(-1);
  assert.ok(newest, "no stream was opened");
  return newest;
}

test("the browser comes back by itself once, and again only after a connection that stood", async () => {
  const method = createSse(BASE);
  let heard = new Heard(method);
  await settle();
  for (const [open, expected] of /** @type {const} */ ([
    [200, "reconnecting"],
    [200, "failure"],
  ])) {
    source().open();
    await pass(open);
    await source().break();
    assert.equal(heard.words.at(-1)?.[0], expected);
  }
  assert.equal(source().readyState, FakeEventSource.CLOSED);
  // The same page's next stream is no new beginning.
  for (const [open, expected] of /** @type {const} */ ([
    [200, "failure"],
    [4999, "failure"],
    [5000, "reconnecting"],
    [5000, "reconnecting"],
    [4999, "failure"],
  ])) {
    if (source().readyState === FakeEventSource.CLOSED) heard = new Heard(method);
    await settle();
    source().open();
    await pass(open);
    await source().break();
    assert.equal(heard.words.at(-1)?.[0], expected, `open for ${open} ms`);
  }
});

test("what cannot be read ends the stream, so that no event is skipped", async () => {
  for (const [type, data] of [
    ["message", "no JSON"],
    ["message", '{"id":"k3f9x2.6"}'],
    ["gap", "{}"],
    ["hello", '{"every":2000}'],
    ["heartbeat", "{}"],
    ["end", '{"reason":1}'],
  ]) {
    const heard = new Heard(createSse(BASE));
    await settle();
    source().open();
    const message = new MessageEvent(type, { data });
    if (type === "message") source().onmessage?.(message);
    else source().dispatchEvent(message);
    await settle();
    assert.deepEqual(heard.words.at(-1), ["failure", undefined], data);
    assert.equal(source().readyState, FakeEventSource.CLOSED);
  }
});

test("the greeting and a heartbeat move the cursor and name the interval before there is an event", async () => {
  const heard = new Heard(createSse(BASE));
  await settle();
  source().open();
  for (const [type, lastEventId] of [
    ["hello", "k3f9x2.6"],
    ["heartbeat", "k3f9x2.9"],
  ]) {
    const data = JSON.stringify({ cursor: lastEventId, every: 2000 });
    source().dispatchEvent(new MessageEvent(type, { data, lastEventId }));
    await settle();
    assert.equal(heard.expected.at(-1), 2000);
    assert.deepEqual(heard.words.at(-1), ["cursor", lastEventId]);
  }
});

test("the end of a stream is no break", async () => {
  for (const [reason, expected] of [
    ["finished", "finished"],
    ["shutdown", "ending"],
  ]) {
    const heard = new Heard(createSse(BASE));
    await settle();
    source().open();
    source().dispatchEvent(new MessageEvent("end", { data: JSON.stringify({ reason }) }));
    // At once, or the browser would come back when the response ends.
    assert.equal(source().readyState, FakeEventSource.CLOSED);
    await source().break();
    assert.deepEqual(heard.words, [["opened"], [expected]]);
  }
});

test("a stream that never opened is the follower's to try again", async () => {
  const heard = new Heard(createSse(BASE));
  await settle();
  await source().break();
  assert.deepEqual(heard.words, [["failure", undefined]]);
  assert.equal(source().readyState, FakeEventSource.CLOSED);
});

test("streams that open and die at once are asked for less and less often", async () => {
  const follower = new Follower(createSse(BASE), { backoff: new Backoff({ random: () => 1 }) });
  const ready = { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false };
  start(follower);
  await settle();
  await last().answer(json(200, ready));
  // Its own try.
  source().open();
  await source().break();
  for (const delay of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    source().open();
    await pass(200);
    await source().break();
    await last().answer(json(200, ready));
    const count = sources.length;
    await pass(delay - 1);
    assert.equal(sources.length, count);
    await pass(1);
    assert.equal(sources.length, count + 1, `after ${delay} ms`);
  }
  follower.stop();
});

test("an end says by its reason whether to come back", async () => {
  for (const { reason, then } of policy.ends) {
    const follower = new Follower(createSse(BASE), { backoff: new Backoff({ random: () => 0 }) });
    follower.cursor = "k3f9x2.5";
    start(follower);
    await settle();
    const before = sources.length;
    source().open();
    const data = JSON.stringify({ reason });
    source().dispatchEvent(new MessageEvent("end", { data }));
    await settle();
    assert.equal(source().readyState, FakeEventSource.CLOSED, reason);
    await pass(200);
    const expected = { stop: "ended", denied: "failed" }[String(then)] ?? "connecting";
    assert.equal(follower.state, expected, reason);
    assert.equal(sources.length - before, expected === "connecting" ? 1 : 0, reason);
    assert.equal(follower.cursor, "k3f9x2.5", reason);
    follower.stop();
  }
});

test("each stream has a ticket of its own, and the browser gets no try with a used one", async () => {
  let tickets = 0;
  const renew = async () => ({ query: { ticket: `t${(tickets += 1)}` } });
  const follower = new Follower(createSse(BASE, { renew, withCredentials: true }), {
    backoff: new Backoff({ random: () => 0 }),
  });
  follower.cursor = "k3f9x2.5";
  start(follower);
  for (const ticket of ["t1", "t2", "t3"]) {
    await settle();
    assert.equal(source().url.searchParams.get("ticket"), ticket);
    assert.equal(source().init?.withCredentials, true);
    source().open();
    // Healthy: without a ticket the browser would have its try.
    await pass(6000);
    await source().break();
    assert.equal(source().readyState, FakeEventSource.CLOSED);
    assert.equal(last().url.searchParams.get("ticket"), null, "not for the status");
    await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
    await pass(200);
  }
  follower.stop();
});

test("who gets no ticket comes back later, or stops where that is the last word", async () => {
  let error = new Error("The sign-in does not answer.");
  const renew = () => Promise.reject(error);
  const follower = new Follower(createSse(BASE, { renew }), {
    backoff: new Backoff({ random: () => 0 }),
  });
  follower.cursor = "k3f9x2.5";
  start(follower);
  await settle();
  assert.equal(follower.state, "waiting");
  error = new Failure("Signed out.", { kind: "refused", why: "Signed out." });
  await pass(200);
  assert.equal(follower.state, "failed");
  assert.equal(sources.length, 0);
});
