// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { request } from "../shared/http.js";
import { readLogPage } from "../shared/contract.js";
import { followLogPages } from "../shared/log-pages.js";
import { pause } from "../shared/timer.js";
import {
  asked,
  BASE,
  brokenAnswer,
  Heard,
  json,
  last,
  pageOf,
  pass,
  problem,
  settle,
} from "./support.js";

/** A method that rests for a second after each page that has no more. */
async function start() {
  const heard = new Heard({
    follow: (after, signal) =>
      followLogPages(after, signal, {
        text: "asks",
        patience: 10_000,
        ask: (after, signal) => request(new URL(`events?after=${after}`, BASE), { signal }),
        async *rest(_, signal) {
          yield 1000;
          await pause(1000, signal);
        },
      }),
  });
  await settle();
  return heard;
}

const cursorAsked = () => last().url.searchParams.get("after");

test("a page's events are handed on in order, and the next question is asked with its cursor", async () => {
  const heard = await start();
  assert.equal(cursorAsked(), "k3f9x2.5");
  await last().answer(pageOf(5, [6, 8], { next: "k3f9x2.9" }));
  assert.deepEqual(heard.words, [
    ["opened", "asks"],
    ["event", "k3f9x2.6"],
    ["event", "k3f9x2.8"],
    ["cursor", "k3f9x2.9"],
  ]);
  assert.equal(asked.length, 1, "it rests first");
  await pass(1000);
  assert.equal(asked.length, 2);
  assert.equal(cursorAsked(), "k3f9x2.9");
  // It opens once, and an empty page is a page.
  await last().answer(pageOf(9));
  assert.deepEqual(heard.words.slice(4), [["cursor", "k3f9x2.9"]]);
});

test("where more is due it asks again without a pause", async () => {
  const heard = await start();
  await last().answer(pageOf(5, [6], { more: true }));
  await last().answer(pageOf(6, [7], { more: true }));
  await last().answer(pageOf(7, [8]));
  assert.equal(asked.length, 3);
  assert.deepEqual(
    heard.words.filter(([word]) => word === "event").map(([, id]) => id),
    ["k3f9x2.6", "k3f9x2.7", "k3f9x2.8"],
  );
});

test("the answer to another question is a failure, and nothing of it is handed on", async () => {
  const heard = await start();
  await last().answer(pageOf(4, [5, 6]));
  assert.deepEqual(heard.words, [["failure", "unreachable"]]);
  await pass(100_000);
  assert.equal(asked.length, 1);
  // The same holds for a gap that somebody else was told of.
  const other = await start();
  await last().answer(problem("expired", 410, { asked: "k3f9x2.2", resume: "k3f9x2.4" }));
  assert.deepEqual(other.words, [["failure", "unreachable"]]);
});

test("a server that leads nowhere is a failure, not a question without an end", async () => {
  for (const others of [{ more: true }, { next: "k3f9x2.4" }, { next: "aaaaaa.6" }]) {
    const heard = await start();
    await last().answer(pageOf(5, [], others));
    assert.deepEqual(heard.words, [["failure", "unreachable"]], JSON.stringify(others));
  }
});

test("what is no log page is a failure", async () => {
  const good = { after: "k3f9x2.5", events: [], next: "k3f9x2.5" };
  assert.deepEqual(readLogPage(good), { ...good, more: false, finished: false });
  for (const others of [
    { after: 5 },
    { next: "k3f9x2" },
    { events: {} },
    { events: [{ id: "k3f9x2.6" }] },
  ]) {
    assert.equal(readLogPage({ ...good, ...others }), null, JSON.stringify(others));
  }
  const heard = await start();
  await last().answer(new Response("<!doctype html>"));
  assert.deepEqual(heard.words, [["failure", "unreachable"]]);
});

test("after a gap it goes on from where the server says, at once", async () => {
  const heard = await start();
  await last().answer(problem("expired", 410, { asked: "k3f9x2.5", resume: "k3f9x2.9" }));
  assert.equal(cursorAsked(), "k3f9x2.9");
  await last().answer(pageOf(9, [10]));
  const gap = ["gap", "expired", "k3f9x2.9"];
  assert.deepEqual(heard.words, [
    gap,
    ["opened", "asks"],
    ["event", "k3f9x2.10"],
    ["cursor", "k3f9x2.10"],
  ]);
  await pass(1000);
  // Another log is a gap too, and gaps with a page between them are two.
  await last().answer(problem("new-log", 410, { asked: "k3f9x2.10", resume: "aaaaaa.0" }));
  assert.equal(cursorAsked(), "aaaaaa.0");
});

test("a gap straight after a gap is a failure, so that the next question waits", async () => {
  const heard = await start();
  await last().answer(problem("expired", 410, { asked: "k3f9x2.5", resume: "k3f9x2.9" }));
  await last().answer(problem("expired", 410, { asked: "k3f9x2.9", resume: "k3f9x2.12" }));
  assert.deepEqual(heard.words, [
    ["gap", "expired", "k3f9x2.9"],
    ["failure", "gap"],
  ]);
  assert.equal(asked.length, 2);
});

test("a finished log is not asked again", async () => {
  const heard = await start();
  await last().answer(pageOf(5, [6], { finished: true }));
  assert.deepEqual(heard.words.at(-1), ["finished"]);
  await pass(100_000);
  assert.equal(asked.length, 1);
});

test("a failure is told with the verdict that its answer holds, and nobody is asked for it", async () => {
  /** @type {[() => Promise<void>, string][]} */
  const failures = [
    [() => last().answer(problem("busy", 503, {}, { "Retry-After": "7" })), "busy"],
    [() => last().answer(problem("future-cursor", 400)), "refused"],
    [() => last().answer(json(502, null)), "busy"],
    [() => last().answer(brokenAnswer()), "unreachable"],
    [() => last().fail(), "unreachable"],
    [() => last().expire(), "unreachable"],
  ];
  for (const [fail, kind] of failures) {
    const heard = await start();
    const count = asked.length;
    await fail();
    assert.deepEqual(heard.words, [["failure", kind]]);
    assert.equal(asked.length, count);
  }
});

test("closing gives up the question that is under way, or the pause, and then it says nothing more", async () => {
  const asking = await start();
  asking.close();
  await settle();
  assert.equal(last().signal.aborted, true);
  assert.deepEqual(asking.words, []);

  const resting = await start();
  await last().answer(pageOf(5));
  const count = asked.length;
  resting.close();
  await pass(100_000);
  assert.equal(asked.length, count);
  assert.deepEqual(resting.words, [
    ["opened", "asks"],
    ["cursor", "k3f9x2.5"],
  ]);
});

test("a pause ends early when it is given up", async () => {
  const giveUp = new AbortController();
  const paused = pause(1000, giveUp.signal);
  giveUp.abort();
  await paused;
  await pause(1000, giveUp.signal);
});

test("the watchdog learns of the pause, and of how long a request may take", async () => {
  const heard = await start();
  assert.deepEqual(heard.expected, [10_000]);
  await last().answer(pageOf(5));
  assert.deepEqual(heard.expected, [10_000, 10_000, 11_000]);
});
