// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, Follower } from "../shared/reconnect.js";
import {
  asked,
  BASE,
  idsOf,
  json,
  last,
  page,
  pageOf,
  pass,
  problem,
  settle,
  start,
} from "./support.js";
import { createPolling } from "../polling/polling-client.js";
import { Rhythm } from "../polling/rhythm.js";
import { pollState } from "../polling/prices.js";

/** @param {{ interval?: number, random?: () => number }} [options] */
async function started({ interval = 2000, random = () => 0.5 } = {}) {
  const rhythm = new Rhythm({ interval, random });
  const backoff = new Backoff({ random: () => 0.5 });
  const follower = new Follower(createPolling(BASE, { rhythm }), { backoff });
  const updates = start(follower);
  await settle();
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  return { follower, updates, rhythm };
}

/** Whether a pause is over only after this many milliseconds. @param {number} milliseconds */
async function pausesFor(milliseconds) {
  const count = asked.length;
  await pass(milliseconds - 1);
  assert.equal(asked.length, count, "asked too early");
  await pass(1);
  assert.equal(asked.length, count + 1, "not asked");
}

test("the first pause is anything up to the interval, and later ones are a tenth around it", async () => {
  /** @type {number[]} */
  const bounds = [];
  for (const random of [0, 1]) {
    const rhythm = new Rhythm({ interval: 2000, random: () => random });
    for (const first of [true, false]) {
      const { value } = await rhythm.rest(first, new AbortController().signal).next();
      bounds.push(Number(value));
    }
  }
  assert.deepEqual(bounds, [0, 1800, 2000, 2200]);

  for (const [random, first, later] of [
    [0.25, 500, 1900],
    [0.75, 1500, 2100],
  ]) {
    const { follower } = await started({ random: () => random });
    await last().answer(pageOf(5));
    await pausesFor(first);
    await last().answer(pageOf(5));
    await pausesFor(later);
    await last().answer(pageOf(5));
    await pausesFor(later);
    follower.stop();
  }
});

test("a client that starts again spreads its first pause again", async () => {
  const { follower } = await started();
  await last().answer(pageOf(5));
  await pausesFor(1000);
  follower.stop();
  start(follower);
  await settle();
  await last().answer(pageOf(5));
  await pausesFor(1000);
});

test("a client far behind catches up without a pause", async () => {
  const { updates, follower } = await started();
  await last().answer(pageOf(5, [6, 7], { more: true }));
  await last().answer(pageOf(7, [8, 9], { more: true }));
  await last().answer(pageOf(9, [10]));
  assert.deepEqual(
    idsOf(updates),
    [6, 7, 8, 9, 10].map((id) => `k3f9x2.${id}`),
  );
  assert.equal(asked.length, 4);
  await pausesFor(1000);
  assert.deepEqual(follower.counts, { received: 5, doubled: 0, lost: 0, gaps: 0, reconnects: 0 });
});

test("a new interval holds for the pause that is under way", async () => {
  const { rhythm } = await started({ interval: 10_000 });
  await last().answer(pageOf(5));
  await pass(1000);
  rhythm.interval = 4000;
  await pausesFor(1000);
  await last().answer(pageOf(5));
  await pass(3000);
  const count = asked.length;
  // It has waited for longer than this already.
  rhythm.interval = 500;
  await settle();
  await pass(0);
  assert.equal(asked.length, count + 1);
});

test("a pause ends early when it is given up", async () => {
  const giveUp = new AbortController();
  const resting = new Rhythm().rest(false, giveUp.signal);
  await resting.next();
  const rested = resting.next();
  giveUp.abort();
  assert.equal((await rested).done, true);
  assert.equal((await new Rhythm().rest(false, giveUp.signal).next()).done, true);
});

test("a hidden page asks ten times more slowly, at most twice a minute, and at once when it is shown", async () => {
  for (const [interval, hidden] of [
    [500, 30_000],
    [10_000, 100_000],
  ]) {
    const { follower } = await started({ interval });
    await last().answer(pageOf(5));
    await page.turn("hidden");
    await pausesFor(hidden / 2);
    await last().answer(pageOf(5));
    await pausesFor(hidden);
    await last().answer(pageOf(5));
    await pass(1);
    const count = asked.length;
    await page.turn("visible");
    assert.equal(asked.length, count + 1);
    await last().answer(pageOf(5));
    await pausesFor(interval);
    follower.stop();
  }
});

test("no pause is taken for silence, and a question without an answer is", async () => {
  const { follower } = await started({ interval: 10_000 });
  await last().answer(pageOf(5));
  await page.turn("hidden");
  for (let i = 0; i < 3; i++) {
    await pass(i === 0 ? 50_000 : 100_000);
    assert.equal(follower.state, "open");
    await last().answer(pageOf(5));
  }
  await page.turn("visible");
  await last().expire();
  assert.equal(follower.state, "waiting");
});

test("Retry-After is obeyed, with the jitter on top, and the cursor is kept", async () => {
  const { follower, updates } = await started();
  await last().answer(pageOf(5, [6]));
  await pausesFor(1000);
  await last().answer(problem("busy", 503, {}, { "Retry-After": "7" }));
  assert.equal(follower.state, "waiting");
  await pausesFor(7500);
  assert.equal(last().url.href, "http://server.test/live/events?after=k3f9x2.6");
  await last().answer(pageOf(6, [7]));
  assert.deepEqual(idsOf(updates), ["k3f9x2.6", "k3f9x2.7"]);
  assert.equal(follower.counts.reconnects, 1);
});

test("stop gives up the question that is under way, and the pause", async () => {
  const { follower } = await started();
  const { signal } = last();
  follower.stop();
  assert.equal(signal.aborted, true);
  start(follower);
  await settle();
  await last().answer(pageOf(5));
  const count = asked.length;
  follower.stop();
  await page.turn("hidden");
  await page.turn("visible");
  await pass(1_000_000);
  assert.equal(asked.length, count);
});

/** Polls the state, and notes what came. */
async function polledState() {
  const polling = new AbortController();
  /** @type {string[]} */
  const answers = [];
  /** @type {string[]} */
  const states = [];
  const rhythm = new Rhythm({ random: () => 0.5 });
  (async () => {
    const backoff = new Backoff({ random: () => 0.5 });
    for await (const update of pollState(BASE, rhythm, polling.signal, backoff)) {
      if (update.type === "answer") answers.push(update.answer.kind);
      else if (states.at(-1) !== update.state) states.push(update.state);
    }
  })();
  await settle();
  return { polling, answers, states };
}

/** @param {string} etag */
function stateOf(etag) {
  return json(
    200,
    { cursor: etag, prices: { ACME: { price: 101.25, change: -0.25 } } },
    { ETag: `"${etag}"` },
  );
}

test("the state is asked for by its ETag, and a 304 keeps it", async () => {
  const { answers, states } = await polledState();
  assert.equal(last().url.href, "http://server.test/live/state");
  assert.equal(last().headers.has("If-None-Match"), false);
  await last().answer(stateOf("k3f9x2.5"));
  await pausesFor(1000);
  for (let i = 0; i < 2; i++) {
    assert.equal(last().headers.get("If-None-Match"), '"k3f9x2.5"');
    // Else the browser's cache would answer, and turn the 304 into a 200.
    assert.equal(last().init.cache, "no-store");
    await last().answer(new Response(null, { status: 304 }));
    await pausesFor(2000);
  }
  await last().answer(stateOf("k3f9x2.8"));
  await pausesFor(2000);
  assert.equal(last().headers.get("If-None-Match"), '"k3f9x2.8"');
  assert.deepEqual(answers, ["state", "same", "same", "state"]);
  assert.deepEqual(states, ["connecting", "open"]);
});

test("the state's questions obey Retry-After, back off, and go on", async () => {
  const { answers, states } = await polledState();
  await last().answer(problem("busy", 503, {}, { "Retry-After": "3" }));
  await pausesFor(3500);
  await last().fail();
  await pausesFor(1000);
  await last().answer(json(200, { prices: { ACME: {} } }));
  await pausesFor(2000);
  await last().answer(stateOf("k3f9x2.5"));
  await pausesFor(1000);
  // An answer is health: the next failure is a first one again.
  await last().fail();
  await pausesFor(500);
  assert.deepEqual(answers, ["busy", "unreachable", "unreachable", "state", "unreachable"]);
  assert.deepEqual(states, ["connecting", "waiting", "open", "waiting"]);
});

test("a refusal ends the state's questions, and so does a stop", async () => {
  const refused = await polledState();
  await last().answer(problem("not-found", 404));
  await pass(1_000_000);
  assert.equal(asked.length, 1);
  assert.deepEqual(refused.states, ["connecting", "failed"]);

  const stopped = await polledState();
  stopped.polling.abort();
  await settle();
  assert.equal(last().signal.aborted, true);
  assert.deepEqual(stopped.answers, []);
  const resting = await polledState();
  await last().answer(stateOf("k3f9x2.5"));
  const count = asked.length;
  resting.polling.abort();
  await pass(1_000_000);
  assert.equal(asked.length, count);
});
