// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, Follower } from "../shared/reconnect.js";
import {
  asked,
  BASE,
  brokenAnswer,
  idsOf,
  json,
  last,
  pageOf,
  pass,
  policy,
  problem,
  settle,
  start,
} from "./support.js";
import { createLongPolling, wasWaited } from "../long-polling/long-polling-client.js";

/** A client that has been answered its first question, and waits with its second. */
async function started() {
  const method = createLongPolling(BASE, { random: () => 0.5 });
  const backoff = new Backoff({ random: () => 0.5 });
  const follower = new Follower(method, { backoff });
  const updates = start(follower);
  await settle();
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  const first = last();
  await first.answer(pageOf(5));
  return { follower, method, updates, first };
}

/** The same answer, of a server that says that it waited. @param {Response} response */
function waitedFor(response) {
  response.headers.set("Preference-Applied", "wait=25");
  return response;
}

test("the first question does not wait, and each later one asks the server to", async () => {
  const { follower, first } = await started();
  assert.equal(first.url.searchParams.get("after"), "k3f9x2.5");
  assert.equal(first.headers.has("Prefer"), false);
  assert.equal(follower.state, "open", "it has heard from the server");
  assert.equal(last().headers.get("Prefer"), "wait=25");
  assert.equal(last().url.searchParams.get("after"), "k3f9x2.5");
  await last().answer(pageOf(5, [6]));
  assert.equal(last().headers.get("Prefer"), "wait=25");
  assert.equal(last().url.searchParams.get("after"), "k3f9x2.6");
});

test("the client gives up later than the server", async () => {
  const { follower, first } = await started();
  assert.equal(first.timeout, 10_000);
  assert.equal(last().timeout, 35_000);
  // Nor is such a wait taken for silence.
  await pass(34_999);
  assert.equal(follower.state, "open");
  await last().expire();
  assert.equal(follower.state, "waiting");
});

test("it asks again at once after events, and after a wait that was in vain", async () => {
  const { updates } = await started();
  await last().answer(pageOf(5, [6, 7]));
  await pass(25_000);
  await last().answer(waitedFor(pageOf(7)));
  await last().answer(pageOf(7, [8]));
  assert.equal(asked.length, 6);
  assert.deepEqual(idsOf(updates), ["k3f9x2.6", "k3f9x2.7", "k3f9x2.8"]);
});

test("there is never more than one question at a time", async () => {
  await started();
  for (let id = 6; id < 20; id++) {
    const count = asked.length;
    await pass(1000);
    assert.equal(asked.length, count);
    await last().answer(pageOf(id - 1, [id]));
    assert.equal(asked.length, count + 1);
  }
});

test("what counts as waited", () => {
  for (const { applied, took, waited } of policy.waited) {
    const response = new Response("", {
      headers: applied === null ? {} : { "Preference-Applied": applied },
    });
    assert.equal(wasWaited(response, took), waited, `${applied} in ${took} ms`);
  }
});

test("a server that does not wait is not asked without a pause", async () => {
  const { follower } = await started();
  // It knows nothing of the wish and is slow, or some cache has kept what it once answered.
  for (const [took, answer] of /** @type {const} */ ([
    [10, pageOf(5)],
    [2000, pageOf(5)],
    [10, waitedFor(pageOf(5))],
  ])) {
    const count = asked.length;
    await pass(took);
    await last().answer(answer);
    await pass(1499);
    assert.equal(asked.length, count);
    await pass(1);
    assert.equal(asked.length, count + 1);
  }
  assert.equal(follower.state, "open");
});

test("stop and a hidden page give up the parked question at once", async () => {
  const { follower } = await started();
  const parked = last();
  follower.pause();
  assert.equal(parked.signal.aborted, true);
  const count = asked.length;
  follower.resume();
  await settle();
  assert.equal(asked.length, count + 1);
  assert.equal(last().headers.has("Prefer"), false, "a first question again");
  await last().answer(pageOf(5));
  const again = last();
  follower.stop();
  assert.equal(again.signal.aborted, true);
});

test("an answer that breaks off is asked for again, from the same cursor", async () => {
  const { follower, updates } = await started();
  await last().answer(pageOf(5, [6]));
  await last().answer(brokenAnswer());
  assert.equal(follower.state, "waiting");
  await pass(500);
  assert.equal(last().url.searchParams.get("after"), "k3f9x2.6");
  await last().answer(pageOf(6, [7]));
  assert.deepEqual(idsOf(updates), ["k3f9x2.6", "k3f9x2.7"]);
  assert.deepEqual(follower.counts, { received: 2, doubled: 0, lost: 0, gaps: 0, reconnects: 1 });
});

test("a server that ends or is full is given the time that it asks for", async () => {
  const { follower } = await started();
  await last().answer(problem("ending", 503, {}, { "Retry-After": "5" }));
  assert.equal(follower.state, "waiting");
  const count = asked.length;
  await pass(5499);
  assert.equal(asked.length, count);
  await pass(1);
  assert.equal(asked.length, count + 1);
});

test("a cut names the connection of the questions", async () => {
  const { method } = await started();
  const connection = last().url.searchParams.get("connection");
  assert.match(String(connection), /^[0-9a-f]{24}$/);
  method.cut?.();
  assert.equal(last().url.pathname, "/live/cut");
  assert.equal(last().url.searchParams.get("connection"), connection);
});
