// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createReader, readLast, start, stop } from "../sse/generations.js";
import { asked, BASE, json, last, problem, settle } from "./support.js";

test("a text is started once, and stopped at its address", async () => {
  const started = start(BASE, "Why?", "a-key");
  assert.equal(last().url.href, "http://server.test/live/generations");
  assert.equal(last().init.method, "POST");
  assert.equal(last().init.body, '{"prompt":"Why?"}');
  const headers = new Headers(last().init.headers);
  assert.equal(headers.get("Idempotency-Key"), "a-key");
  await last().answer(json(201, { id: "4d0f" }));
  assert.equal(await started, "4d0f");

  const stopped = stop(BASE, "4d0f");
  assert.equal(last().url.href, "http://server.test/live/generations/4d0f");
  assert.equal(last().init.method, "DELETE");
  await last().answer(new Response(null, { status: 204 }));
  await stopped;
  assert.equal(asked.length, 2);
});

test("a refusal is told in its own words, and nothing is asked again", async () => {
  const refused = assert.rejects(start(BASE, "Why?", "a-key"), /No place is free/);
  await last().answer(problem("busy", 503, { title: "No place is free" }));
  await refused;
  assert.equal(asked.length, 1);
});

test("a text that is gone is not waited for", async () => {
  const states = [];
  const reading = (async () => {
    for await (const update of createReader(BASE, "4d0f").updates())
      if (update.type === "state") states.push(update.state);
  })();
  await settle();
  assert.equal(last().url.pathname, "/live/generations/4d0f/status");
  await last().answer(problem("not-found", 404));
  await reading;
  assert.deepEqual(states, ["connecting", "failed"]);
});

test("only the three last events end a text", () => {
  assert.equal(readLast("token", { text: "done" }), null);
  assert.deepEqual(readLast("done", { tokens: 3, cut: false }), {
    state: "ended",
    text: "Done: 3 tokens.",
  });
  assert.match(readLast("done", { tokens: 3, cut: true })?.text ?? "", /as long as it may/);
  assert.equal(readLast("failed", { detail: "out of memory" })?.state, "failed");
  assert.match(readLast("stopped", { because: "unread" })?.text ?? "", /nobody read it/);
});
