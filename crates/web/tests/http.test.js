// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askStatus, cut, publish, readRetryAfter, request, verdictOf } from "../shared/http.js";
import { asked, BASE, brokenAnswer, json, last, problem, settle } from "./support.js";

test("without the server's time, a date is counted on this machine's clock", () => {
  const inAMinute = readRetryAfter(new Date(Date.now() + 60_000).toUTCString(), null);
  assert.ok(inAMinute > 50_000 && inAMinute <= 60_000, String(inAMinute));
});

test("a verdict says why, in the words of the problem if it is one", () => {
  const busy = problem("busy", 503, { title: "No place is free", detail: "100 taken" });
  const body = { title: "No place is free", detail: "100 taken" };
  assert.deepEqual(verdictOf(busy, body), {
    kind: "busy",
    retryAfter: 0,
    why: "No place is free. 100 taken.",
  });
  const strange = new Response("", { status: 404 });
  assert.deepEqual(verdictOf(strange, null), {
    kind: "unreachable",
    why: "The server answered 404.",
  });
});

test("a request says in words why no answer came, and never asks a cache", async () => {
  const refused = assert.rejects(request(BASE), { message: "The server cannot be reached." });
  assert.equal(last().init.cache, "no-store");
  await last().fail();
  await refused;

  const late = assert.rejects(request(BASE, { timeout: 1234 }), {
    message: "The server did not answer in time.",
  });
  assert.equal(last().timeout, 1234);
  await last().expire();
  await late;

  const giveUp = new AbortController();
  const given = assert.rejects(request(BASE, { signal: giveUp.signal }), { name: "AbortError" });
  giveUp.abort();
  await given;
});

test("the server is asked for its verdict on a cursor", async () => {
  const { signal } = new AbortController();
  const first = askStatus(BASE, null, signal);
  assert.equal(last().url.href, "http://server.test/live/status");
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  assert.deepEqual(await first, {
    kind: "ready",
    earliest: "k3f9x2.0",
    latest: "k3f9x2.5",
    finished: false,
  });

  const second = askStatus(BASE, "k3f9x2.5", signal);
  assert.equal(last().url.search, "?after=k3f9x2.5");
  await last().answer(problem("expired", 410, { asked: "k3f9x2.5", resume: "k3f9x2.9" }));
  assert.deepEqual(await second, { kind: "gap", resume: "k3f9x2.9" });
});

test("a server that cannot be asked is unreachable, and a question that was given up rejects", async () => {
  const giveUp = new AbortController();
  const silent = askStatus(BASE, null, giveUp.signal);
  await last().fail();
  assert.equal((await silent).kind, "unreachable");
  const broken = askStatus(BASE, null, giveUp.signal);
  await last().answer(brokenAnswer());
  assert.deepEqual(await broken, { kind: "unreachable", why: "The server's answer broke off." });
  // Somebody else's answer, such as a hotel's login page.
  const strange = askStatus(BASE, null, giveUp.signal);
  await last().answer(json(200, { latest: "k3f9x2.5" }));
  assert.equal((await strange).kind, "unreachable");
  const given = assert.rejects(askStatus(BASE, null, giveUp.signal));
  giveUp.abort();
  await given;
});

test("a publish has its key, gives the cursor, and says why it failed", async () => {
  const published = publish(BASE, "message", { from: "Ada", text: "Hello" }, "key-1");
  const { url, init, headers } = last();
  assert.equal(`${init.method} ${url.pathname}`, "POST /live/events");
  assert.equal(headers.get("Idempotency-Key"), "key-1");
  assert.equal(headers.get("Content-Type"), "application/json");
  assert.deepEqual(JSON.parse(String(init.body)), {
    kind: "message",
    data: { from: "Ada", text: "Hello" },
  });
  await last().answer(json(201, { id: "k3f9x2.6" }));
  assert.equal(await published, "k3f9x2.6");

  const refused = assert.rejects(publish(BASE, "message", {}, "key-2"), {
    message: "too-large. 70000 bytes.",
  });
  await last().answer(problem("too-large", 413, { detail: "70000 bytes" }));
  await refused;
});

test("a cut names the connection, and fails where there is none", async () => {
  const done = cut(BASE, "mine");
  assert.equal(
    `${last().init.method} ${last().url.href}`,
    "POST http://server.test/live/cut?connection=mine",
  );
  await last().answer(new Response(null, { status: 204 }));
  await done;
  const refused = assert.rejects(cut(BASE, "mine"), { message: "not-found." });
  await last().answer(problem("not-found", 404));
  await refused;
  await settle();
  assert.equal(asked.length, 2);
});
