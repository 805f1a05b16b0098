// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Queue } from "../shared/queue.js";
import { Backoff, Failure, Follower, Watchdog } from "../shared/reconnect.js";
import { event, idsOf, pass, settle, start } from "./support.js";

/** @typedef {import("../shared/reconnect.js").Update} Update */
/** @typedef {import("../shared/reconnect.js").Verdict} Verdict */

/** A wait whose other end is the test. */
class FakeWait {
  closed = false;

  /**
   * @param {string} after
   * @param {AbortSignal} signal
   */
  constructor(after, signal) {
    this.after = after;
    /** @type {Queue<Update>} */
    this.updates = new Queue(signal, () => (this.closed = true));
  }

  /** @param {Update} update */
  async push(update) {
    this.updates.push(update);
    await settle();
  }

  /** @param {number} id */
  async event(id, epoch = "k3f9x2") {
    await this.push({ type: "event", event: event(id, epoch) });
  }

  /**
   * @param {string} why
   * @param {Verdict} [verdict]
   */
  async fail(why, verdict) {
    this.updates.fail(new Failure(why, verdict));
    await settle();
  }
}

/** A method whose connections and answers the test moves by hand. */
class FakeMethod {
  constructor() {
    /** @type {FakeWait[]} */
    this.waits = [];
    /** @type {(string | null)[]} */
    this.asked = [];
    /** @type {Verdict} */
    this.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false };
  }

  /**
   * @param {string} after
   * @param {AbortSignal} signal
   */
  follow(after, signal) {
    const wait = new FakeWait(after, signal);
    this.waits.push(wait);
    return wait.updates;
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
  const follower = new Follower(method, { backoff: new Backoff({ random }) });
  const updates = start(follower);
  await settle();
  await method.wait.push({ type: "opened" });
  return { method, follower, updates };
}

test("a back-off doubles its bound up to the cap, uses all of it, and starts again after health", () => {
  const upper = new Backoff({ base: 1000, cap: 5000, random: () => 1 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => upper.next()),
    [1000, 2000, 4000, 5000, 5000, 5000],
  );
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
  const updates = start(new Follower(method));
  await settle();
  await method.wait.push({ type: "opened", text: "Polling." });
  await method.wait.push({ type: "opened" });
  const texts = updates.flatMap((update) => (update.type === "state" ? [update.text] : []));
  assert.deepEqual(texts, ["Connecting…", "Polling.", "Open: waiting for events."]);
});

test("events are handed on once, in order, and move the cursor", async () => {
  const { method, follower, updates } = await started();
  for (const id of [6, 7, 7, 6, 8]) await method.wait.event(id);
  assert.deepEqual(idsOf(updates), ["k3f9x2.6", "k3f9x2.7", "k3f9x2.8"]);
  assert.equal(follower.cursor, "k3f9x2.8");
  assert.deepEqual(follower.counts, { received: 3, doubled: 2, lost: 0, gaps: 0, reconnects: 0 });
});

test("an event that was skipped without a word counts as lost", async () => {
  const { method, follower } = await started();
  await method.wait.event(9);
  assert.equal(follower.counts.lost, 3);
});

test("a gap moves the cursor to where it goes on, and counts what was lost", async () => {
  const { method, follower } = await started();
  await method.wait.push({
    type: "gap",
    gap: { reason: "expired", asked: "k3f9x2.5", resume: "k3f9x2.9" },
  });
  await method.wait.event(10);
  assert.equal(follower.counts.lost, 4);
  await method.wait.push({
    type: "gap",
    gap: { reason: "new-log", asked: "k3f9x2.10", resume: "aaaaaa.0" },
  });
  await method.wait.event(1, "aaaaaa");
  assert.equal(follower.cursor, "aaaaaa.1");
  assert.deepEqual(follower.counts, { received: 2, doubled: 0, lost: 4, gaps: 2, reconnects: 0 });
});

test("after a failure the server is asked once, and the next wait goes on from the cursor", async () => {
  const { method, follower } = await started();
  await method.wait.event(6);
  await method.wait.fail("broken");
  assert.deepEqual(method.asked, [null, "k3f9x2.6"]);
  assert.equal(method.waits[0].closed, true);
  assert.equal(follower.state, "waiting");
  await pass(499);
  assert.equal(method.waits.length, 1);
  await pass(1);
  assert.equal(method.waits.length, 2);
  assert.equal(method.wait.after, "k3f9x2.6");
  await method.wait.push({ type: "opened" });
  assert.equal(follower.counts.reconnects, 1);
});

test("each failure doubles the wait, also when the connection had been open for a moment", async () => {
  const { method } = await started({ random: () => 1 });
  for (const delay of [1000, 2000, 4000]) {
    const count = method.waits.length;
    await method.wait.fail("broken");
    await pass(delay - 1);
    assert.equal(method.waits.length, count);
    await pass(1);
    assert.equal(method.waits.length, count + 1);
    await method.wait.push({ type: "opened" });
  }
});

test("a connection that was open for long starts the waits again", async () => {
  const { method } = await started({ random: () => 1 });
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 6; j++) {
      await pass(1000);
      await method.wait.push({ type: "heartbeat" });
    }
    const count = method.waits.length;
    await method.wait.fail("broken");
    await pass(1000);
    assert.equal(method.waits.length, count + 1);
    await method.wait.push({ type: "opened" });
  }
});

test("a busy server is given the time that it asked for, and the jitter on top", async () => {
  const { method } = await started();
  method.answer = { kind: "busy", retryAfter: 7000, why: "full" };
  await method.wait.fail("broken");
  await pass(7499);
  assert.equal(method.waits.length, 1);
  await pass(1);
  assert.equal(method.waits.length, 2);
});

test("silence ends the wait, and heartbeats are no silence", async () => {
  const { method, follower } = await started();
  for (let i = 0; i < 10; i++) {
    await pass(15_000);
    await method.wait.push({ type: "heartbeat", every: 15_000 });
  }
  assert.equal(follower.state, "open");
  await pass(31_000);
  assert.equal(method.waits[0].closed, true);
  assert.equal(follower.state, "waiting");
});

test("a connection that never opens is silence", async () => {
  const method = new FakeMethod();
  const follower = new Follower(method);
  start(follower);
  await settle();
  await pass(31_000);
  assert.equal(follower.state, "waiting");
});

test("a shutdown is followed by another try, without asking why", async () => {
  const { method, follower } = await started();
  await method.wait.push({ type: "ending" });
  assert.equal(follower.state, "waiting");
  assert.deepEqual(method.asked, [null]);
  await pass(500);
  assert.equal(method.waits.length, 2);
});

test("a finished log ends it for good", async () => {
  const { method, follower } = await started();
  await method.wait.push({ type: "finished" });
  await pass(1_000_000);
  assert.equal(follower.state, "ended");
  assert.equal(method.waits.length, 1);
});

test("a finished log ends it only when everything was had", async () => {
  const { method, follower } = await started();
  method.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.7", finished: true };
  await method.wait.fail("broken");
  assert.equal(follower.state, "waiting");
  await pass(500);
  await method.wait.event(6);
  await method.wait.event(7);
  await method.wait.fail("204");
  assert.equal(follower.state, "ended");
});

test("a refusal ends it, and the next start forgets the cursor if it was that", async () => {
  const { method, follower } = await started();
  await method.wait.fail("wrong", { kind: "refused", why: "wrong" });
  await pass(1_000_000);
  assert.equal(follower.state, "failed");
  start(follower);
  await settle();
  assert.equal(method.wait.after, "k3f9x2.5");
  method.answer = { kind: "refused", why: "future", name: "future-cursor" };
  await method.wait.fail("broken");
  await pass(1_000_000);
  assert.equal(follower.state, "failed");
  assert.equal(method.waits.length, 2);
  method.answer = { kind: "ready", earliest: "k3f9x2.0", latest: "k3f9x2.2", finished: false };
  start(follower);
  await settle();
  assert.equal(method.wait.after, "k3f9x2.2");
});

test("stop closes the wait and keeps the cursor, and a late word changes nothing", async () => {
  const { method, follower, updates } = await started();
  follower.stop();
  assert.equal(method.waits[0].closed, true);
  await method.waits[0].event(6);
  await method.waits[0].fail("late");
  await pass(1_000_000);
  assert.equal(follower.state, "idle");
  assert.deepEqual(idsOf(updates), []);
  start(follower);
  await settle();
  assert.equal(method.wait.after, "k3f9x2.5");
});

test("a stop between two tries calls the next one off", async () => {
  const { method, follower } = await started();
  await method.wait.fail("broken");
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

test("a method that fails at once is not left open", async () => {
  const method = new FakeMethod();
  const { follow } = method;
  method.follow = (after, signal) => {
    const updates = follow.call(method, after, signal);
    method.wait.fail("at once");
    return updates;
  };
  const follower = new Follower(method);
  start(follower);
  await settle();
  assert.equal(follower.state, "waiting");
  assert.equal(method.wait.closed, true);
});

test("a loop that was left is a follower that was stopped", async () => {
  const method = new FakeMethod();
  const follower = new Follower(method);
  for await (const update of follower.updates()) {
    // Of its first wait.
    if (update.type === "event") break;
    if (method.waits.length === 0) setImmediate(() => method.wait.event(6));
  }
  assert.equal(follower.state, "idle");
  assert.equal(method.wait.closed, true);
});

test("a stop amid events hands on no more of them", async () => {
  const method = new FakeMethod();
  const { verdict, publish } = method;
  const follow = async function* () {
    for (const id of [6, 7, 8]) yield /** @type {const} */ ({ type: "event", event: event(id) });
  };
  const follower = new Follower({ verdict: verdict.bind(method), publish, follow });
  const ids = [];
  for await (const update of follower.updates()) {
    if (update.type !== "event") continue;
    ids.push(update.event.id);
    follower.stop();
  }
  assert.deepEqual(ids, ["k3f9x2.6"]);
  assert.equal(follower.cursor, "k3f9x2.6");
});

test("a start that is stopped at once asks nothing", async () => {
  const method = new FakeMethod();
  const follower = new Follower(method);
  const updates = start(follower);
  follower.stop();
  await pass(1_000_000);
  assert.deepEqual(method.asked, []);
  assert.equal(follower.state, "idle");
  assert.deepEqual(
    updates.map((update) => update.type === "state" && update.text),
    ["Connecting…", "Stopped."],
  );
});

test("a stop and a start at once are one loop after the other", async () => {
  const { method, follower, updates } = await started();
  const count = updates.length;
  follower.stop();
  const later = start(follower);
  await settle();
  assert.equal(follower.state, "connecting");
  await method.wait.push({ type: "opened" });
  await method.wait.event(6);
  assert.equal(updates.length, count);
  assert.deepEqual(idsOf(later), ["k3f9x2.6"]);
  // The watchdog is that of the second.
  await pass(31_000);
  assert.equal(follower.state, "waiting");
});

test("who wants the whole log begins with the earliest event that is kept", async () => {
  const method = new FakeMethod();
  method.answer = { kind: "ready", earliest: "k3f9x2.2", latest: "k3f9x2.5", finished: false };
  const follower = new Follower(method, { from: "earliest" });
  start(follower);
  await settle();
  assert.equal(method.wait.after, "k3f9x2.2");
  // Only at the beginning: it goes on from where it was.
  await method.wait.event(3);
  follower.stop();
  start(follower);
  await settle();
  assert.equal(method.wait.after, "k3f9x2.3");
});

test("a reader's own stop and a hidden page are no breaks, and what mends a break is counted", async () => {
  const { method, follower } = await started();
  follower.stop();
  start(follower);
  await settle();
  await method.wait.push({ type: "opened" });
  follower.pause();
  follower.resume();
  await settle();
  await method.wait.push({ type: "opened" });
  assert.equal(follower.counts.reconnects, 0);
  await method.wait.push({ type: "reconnecting", why: "The connection broke." });
  await method.wait.push({ type: "opened" });
  assert.equal(follower.counts.reconnects, 1);
  follower.stop();
});
