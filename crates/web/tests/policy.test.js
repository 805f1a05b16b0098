// @ts-check
// Run with `node --test crates/web/tests/`. What the Rust clients do about the same vectors is
// tested in `crates/client`.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { readGap } from "../shared/contract.js";
import { readObject, readRetryAfter, request, verdictOf } from "../shared/http.js";
import { followLogPages } from "../shared/log-pages.js";
import { Queue } from "../shared/queue.js";
import { Backoff, Failure, Follower, Watchdog } from "../shared/reconnect.js";
import { createLongPolling } from "../long-polling/long-polling-client.js";
import { BASE, Heard, last, pageOf, pass, policy, problem, settle, start } from "./support.js";

/** @param {{ kind: string }} verdict */
const thenOf = ({ kind }) =>
  ({ gap: "gap", refused: "final", unauthorized: "renew" })[kind] ?? "again";

test("a back-off draws between its bounds", () => {
  for (const { first: base, cap, failures, least, most } of policy.backoff) {
    for (const [draw, wait] of [
      [0, least],
      [1, most],
    ]) {
      const backoff = new Backoff({ base, cap, random: () => draw });
      for (let i = 0; i < failures; i++) backoff.next();
      assert.equal(backoff.next(), wait, `${failures} failures`);
    }
  }
});

test("Retry-After is read in all its forms, and bounded", () => {
  for (const { value, date, wait } of policy.retry_after) {
    assert.equal(readRetryAfter(value, date ?? null), wait, value);
  }
});

test("a watchdog learns its patience, and it is bounded", () => {
  for (const { every, patience } of policy.watchdog) {
    let fired = 0;
    const watchdog = new Watchdog(() => (fired += 1));
    watchdog.alive(every);
    mock.timers.tick(patience - 1);
    assert.equal(fired, 0, `before its time: ${every}`);
    mock.timers.tick(1);
    assert.equal(fired, 1, `not in time: ${every}`);
  }
});

test("a connection is healthy once it was open for long enough", async () => {
  for (const { open, healthy } of policy.health) {
    /** @type {Queue<import("../shared/reconnect.js").Update> | undefined} */
    let wait;
    const method = {
      follow: (/** @type {string} */ _, /** @type {AbortSignal} */ signal) =>
        (wait = new Queue(signal, () => {})),
      verdict: async () =>
        /** @type {const} */ ({
          kind: "ready",
          earliest: "k3f9x2.0",
          latest: "k3f9x2.5",
          finished: false,
        }),
      publish: async () => "",
    };
    const backoff = new Backoff({ random: () => 0.5 });
    const follower = new Follower(method, { backoff, every: 3_600_000 });
    start(follower);
    await settle();
    backoff.failures = 3;
    if (open !== null) {
      wait?.push({ type: "opened" });
      await settle();
      await pass(open);
    }
    wait?.fail(new Failure("broken"));
    await settle();
    assert.equal(backoff.failures, healthy ? 1 : 4, `open for ${open} ms`);
    follower.stop();
  }
});

test("a page is taken, or asked for again", async () => {
  for (const { type = "application/json", page, then } of policy.pages) {
    const ask = (/** @type {string} */ after, /** @type {AbortSignal} */ signal) =>
      request(BASE, { signal });
    const asking = {
      text: "",
      patience: 1000,
      ask,
      rest: () => new Queue(new AbortController().signal, () => {}),
    };
    const heard = new Heard({ follow: (after, signal) => followLogPages(after, signal, asking) });
    await settle();
    const headers = new Headers();
    // As bytes, because a text would bring a type of its own.
    const answer = new Response(new TextEncoder().encode(JSON.stringify(page)), { headers });
    if (type !== null) answer.headers.set("Content-Type", type);
    await last().answer(answer);
    const expected = then === "taken" ? ["opened"] : ["failure", "unreachable"];
    assert.deepEqual(heard.words[0], expected, JSON.stringify(page));
    heard.close();
  }
});

test("an answer that is no success ends a client only where the server itself says so", () => {
  for (const { status, type, retry_after: retryAfter, body, then, wait = 0 } of policy.answers) {
    const headers = new Headers();
    if (type !== null) headers.set("Content-Type", type);
    if (retryAfter) headers.set("Retry-After", retryAfter);
    const response = new Response(null, { status, headers });
    const text = body === null ? "<!doctype html>" : JSON.stringify(body);
    const verdict = verdictOf(response, readObject(response, text));
    assert.equal(thenOf(verdict), then, `${status} ${type} ${text}`);
    assert.equal("retryAfter" in verdict ? verdict.retryAfter : 0, wait, `${status} ${type}`);
  }
});

test("a gap is read whatever its reason is", () => {
  for (const { gap, reason, asked } of policy.gaps) {
    const read = readGap(gap, gap.reason);
    assert.equal(read?.reason ?? null, reason, JSON.stringify(gap));
    assert.equal(read?.asked, asked, JSON.stringify(gap));
  }
});

test("a page without a way to renew stops at 401, and one with it asks anew, once", async () => {
  for (const { renews, answers, then, asked: expected } of policy.unauthorized) {
    let renewed = 0;
    const renew = async () => ({ headers: { Authorization: `Bearer ${(renewed += 1)}` } });
    const method = createLongPolling(BASE, renews ? { renew } : {});
    const follower = new Follower(method, { backoff: new Backoff({ random: () => 0 }) });
    follower.cursor = "k3f9x2.5";
    start(follower);
    await settle();
    for (const status of answers) {
      const name = status === 401 ? "unauthorized" : "busy";
      const sent = last().headers.get("Authorization");
      assert.equal(sent, renews ? `Bearer ${renewed}` : null);
      await last().answer(status === 200 ? pageOf(5) : problem(name, status));
      await pass(200);
    }
    const what = JSON.stringify(answers);
    assert.equal(follower.state, then === "final" ? "failed" : "open", what);
    assert.equal(renewed, expected, what);
    follower.stop();
  }
});
