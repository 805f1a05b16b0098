// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Backoff, Follower, Watchdog } from "../shared/reconnect.js";
import { event, pass, settle } from "./support.js";

/** @typedef {import("../shared/reconnect.js").Wait} Wait */
/** @typedef {import("../shared/reconnect.js").Verdict} Verdict */

/** A method whose connections and answers the test moves by hand. */
class FakeMethod {
  constructor() {
    /** @type {(Wait & { closed: boolean })[]} */
    this.waits = [];
    /** @type {(string | null)[]} */
    this.asked = [];
    /** @type {Verdict} */
    this.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false };
  }

  /** @param {Wait} wait */
  connect(wait) {
    const entry = { ...wait, closed: false };
    this.waits.push(entry);
    return { close: () => void (entry.closed = true) };
  }

  /** @param {string | null} after */
  async verdict(after) {
    this.asked.push(after);
    return this.answer;
  }

  async publish() {
    return "";
  }

  get wait() {
    const last = this.waits.at(-1);
    assert.ok(last, "connected");
    return last;
  }
}

/** @param {{ random?: () => number }} [options] */
async function started({ random = () => 0.5 } = {}) {
  const method = new FakeMethod();
  /** @type {string[]} */
  const events = [];
  const follower = new Follower(method, { onEvent: (e) => events.push(e.id) }, { backoff: new Backoff({ random }) });
  follower.start();
  await settle();
  method.wait.onOpen();
  return { method, follower, events };
}

test("a back-off doubles its bound up to the cap, uses all of it, and starts again after health", () => {
  const upper = new Backoff({ base: 1000, cap: 5000, random: () => 1 });
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => upper.next()), [1000, 2000, 4000, 5000, 5000, 5000]);
  upper.reset();
  assert.equal(upper.next(), 1000);
  const lower = new Backoff({ random: () => 0 });
  assert.deepEqual([lower.next(), lower.next()], [100, 100], "never nothing");
});

test("a watchdog fires after two silent intervals and a second, not before, and once", () => {
  let fired = 0;
  const watchdog = new Watchdog(() => (fired += 1), 1000);
  watchdog.alive();
  mock.timers.tick(2900);
  watchdog.alive(2000);
  mock.timers.tick(4900);
  assert.equal(fired, 0);
  mock.timers.tick(200);
  assert.equal(fired, 1);
  mock.timers.tick(100_000);
  assert.equal(fired, 1);
});

test("the first wait has a cursor", async () => {
  const { method, follower } = await started();
  assert.deepEqual(method.asked, [null]);
  assert.equal(method.wait.after, "k3f9x2.5");
  assert.equal(follower.state, "open");
});

test("the status says how the method waits", async () => {
  const method = new FakeMethod();
  /** @type {string[]} */
  const texts = [];
  const follower = new Follower(method, { onState: (_, text) => texts.push(text) });
  follower.start();
  await settle();
  method.wait.onOpen("Polling.");
  method.wait.onOpen();
  assert.deepEqual(texts, ["Connecting…", "Polling.", "Open: waiting for events."]);
});

test("events are handed on once, in order, and move the cursor", async () => {
  const { method, follower, events } = await started();
  for (const id of [6, 7, 7, 6, 8]) method.wait.onEvent(event(id));
  assert.deepEqual(events, ["k3f9x2.6", "k3f9x2.7", "k3f9x2.8"]);
  assert.equal(follower.cursor, "k3f9x2.8");
  assert.deepEqual(follower.counts, { received: 3, doubled: 2, lost: 0, gaps: 0, reconnects: 0 });
});

test("an event that was skipped without a word counts as lost", async () => {
  const { method, follower } = await started();
  method.wait.onEvent(event(9));
  assert.equal(follower.counts.lost, 3);
});

test("a gap moves the cursor to where it goes on, and counts what was lost", async () => {
  const { method, follower } = await started();
  method.wait.onGap({ reason: "expired", asked: "k3f9x2.5", resume: "k3f9x2.9" });
  method.wait.onEvent(event(10));
  assert.equal(follower.counts.lost, 4);
  method.wait.onGap({ reason: "new-log", asked: "k3f9x2.10", resume: "aaaaaa.0" });
  method.wait.onEvent(event(1, "aaaaaa"));
  assert.equal(follower.cursor, "aaaaaa.1");
  assert.deepEqual(follower.counts, { received: 2, doubled: 0, lost: 4, gaps: 2, reconnects: 0 });
});

test("after a failure the server is asked once, and the next wait goes on from the cursor", async () => {
  const { method, follower } = await started();
  method.wait.onEvent(event(6));
  method.wait.onFail("broken");
  await settle();
  assert.deepEqual(method.asked, [null, "k3f9x2.6"]);
  assert.equal(method.waits[0].closed, true);
  assert.equal(follower.state, "waiting");
  await pass(499);
  assert.equal(method.waits.length, 1);
  await pass(1);
  assert.equal(method.waits.length, 2);
  assert.equal(method.wait.after, "k3f9x2.6");
  method.wait.onOpen();
  assert.equal(follower.counts.reconnects, 1);
});

test("each failure doubles the wait, also when the connection had been open for a moment", async () => {
  const { method } = await started({ random: () => 1 });
  for (const delay of [1000, 2000, 4000]) {
    const count = method.waits.length;
    method.wait.onFail("broken");
    await settle();
    await pass(delay - 1);
    assert.equal(method.waits.length, count);
    await pass(1);
    assert.equal(method.waits.length, count + 1);
    method.wait.onOpen();
  }
});

test("a connection that was open for long starts the waits again", async () => {
  const { method } = await started({ random: () => 1 });
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 6; j++) {
      await pass(1000);
      method.wait.onHeartbeat(null);
    }
    const count = method.waits.length;
    method.wait.onFail("broken");
    await settle();
    await pass(1000);
    assert.equal(method.waits.length, count + 1);
    method.wait.onOpen();
  }
});

test("a busy server is given the time that it asked for, and the jitter on top", async () => {
  const { method } = await started();
  method.answer = { kind: "busy", retryAfter: 7000, why: "full" };
  method.wait.onFail("broken");
  await settle();
  await pass(7499);
  assert.equal(method.waits.length, 1);
  await pass(1);
  assert.equal(method.waits.length, 2);
});

test("silence ends the wait, and heartbeats are no silence", async () => {
  const { method, follower } = await started();
  for (let i = 0; i < 10; i++) {
    await pass(15_000);
    method.wait.onHeartbeat(15_000);
  }
  assert.equal(follower.state, "open");
  await pass(31_000);
  assert.equal(method.waits[0].closed, true);
  assert.equal(follower.state, "waiting");
});

test("a connection that never opens is silence", async () => {
  const method = new FakeMethod();
  const follower = new Follower(method, {});
  follower.start();
  await settle();
  await pass(31_000);
  assert.equal(follower.state, "waiting");
});

test("a shutdown is followed by another try, without asking why", async () => {
  const { method, follower } = await started();
  method.wait.onEnd("shutdown");
  await settle();
  assert.equal(follower.state, "waiting");
  assert.deepEqual(method.asked, [null]);
  await pass(500);
  assert.equal(method.waits.length, 2);
});

test("a finished log ends it for good", async () => {
  const { method, follower } = await started();
  method.wait.onEnd("finished");
  await pass(1_000_000);
  assert.equal(follower.state, "ended");
  assert.equal(method.waits.length, 1);
});

test("a finished log ends it only when everything was had", async () => {
  const { method, follower } = await started();
  method.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.7", finished: true };
  method.wait.onFail("broken");
  await settle();
  assert.equal(follower.state, "waiting");
  await pass(500);
  method.wait.onEvent(event(6));
  method.wait.onEvent(event(7));
  method.wait.onFail("204");
  await settle();
  assert.equal(follower.state, "ended");
});

test("a refusal ends it, and the next start forgets the cursor if it was that", async () => {
  const { method, follower } = await started();
  method.wait.onFail("wrong", { kind: "refused", why: "wrong" });
  await pass(1_000_000);
  assert.equal(follower.state, "failed");
  follower.start();
  await settle();
  assert.equal(method.wait.after, "k3f9x2.5");
  method.answer = { kind: "refused", why: "future", name: "future-cursor" };
  method.wait.onFail("broken");
  await pass(1_000_000);
  assert.equal(follower.state, "failed");
  assert.equal(method.waits.length, 2);
  method.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.2", finished: false };
  follower.start();
  await settle();
  assert.equal(method.wait.after, "k3f9x2.2");
});

test("stop closes the wait and keeps the cursor, and a late word changes nothing", async () => {
  const { method, follower, events } = await started();
  follower.stop();
  assert.equal(method.waits[0].closed, true);
  method.waits[0].onEvent(event(6));
  method.waits[0].onFail("late");
  await pass(1_000_000);
  assert.equal(follower.state, "idle");
  assert.deepEqual(events, []);
  follower.start();
  await settle();
  assert.equal(method.wait.after, "k3f9x2.5");
});

test("a stop between two tries calls the next one off", async () => {
  const { method, follower } = await started();
  method.wait.onFail("broken");
  await settle();
  assert.equal(follower.state, "waiting");
  follower.stop();
  await pass(1_000_000);
  assert.equal(method.waits.length, 1);
});

test("a hidden page lets go, does not come back by itself, and goes on from its cursor", async () => {
  const { method, follower } = await started();
  follower.pause();
  assert.equal(method.waits[0].closed, true);
  follower.retryNow();
  await pass(1_000_000);
  assert.equal(method.waits.length, 1);
  follower.resume();
  await settle();
  assert.equal(method.waits.length, 2);
  assert.equal(method.wait.after, "k3f9x2.5");
});

test("a page that was stopped does not start because it is shown again", async () => {
  const { method, follower } = await started();
  follower.pause();
  follower.stop();
  follower.resume();
  await settle();
  assert.equal(follower.state, "idle");
  assert.equal(method.waits.length, 1);
});

test("a method that fails before connect returns is not left open", async () => {
  const method = new FakeMethod();
  let closed = 0;
  method.connect = (wait) => {
    wait.onFail("at once");
    return { close: () => void (closed += 1) };
  };
  const follower = new Follower(method, {});
  follower.start();
  await settle();
  assert.equal(follower.state, "waiting");
  assert.equal(closed, 1);
});

test("who wants the whole log begins with the earliest event that is kept", async () => {
  const method = new FakeMethod();
  method.answer = { kind: "ready", earliest: "k3f9x2.2", latest: "k3f9x2.5", finished: false };
  const follower = new Follower(method, {}, { from: "earliest" });
  follower.start();
  await settle();
  assert.equal(method.wait.after, "k3f9x2.2");
  // Only at the beginning: it goes on from where it was.
  method.wait.onEvent(event(3));
  follower.stop();
  follower.start();
  assert.equal(method.wait.after, "k3f9x2.3");
});

test("a reader's own stop and a hidden page are no breaks, and what mends a break is counted", async () => {
  const { method, follower } = await started();
  follower.stop();
  follower.start();
  await settle();
  method.wait.onOpen();
  follower.pause();
  follower.resume();
  await settle();
  method.wait.onOpen();
  assert.equal(follower.counts.reconnects, 0);
  method.wait.onRetry("The connection broke.");
  method.wait.onOpen();
  assert.equal(follower.counts.reconnects, 1);
  follower.stop();
});
