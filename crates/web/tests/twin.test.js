// @ts-check
// Run with `node --test crates/web/tests/`. Whole twins are tried in browsers, in `tools/browser`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { read, Tally, textOf, write } from "../twin/tally.js";

/** @param {Tally} tally @param {number[]} numbers */
const takeAll = (tally, numbers) => numbers.flatMap((number) => tally.take(number, ""));

test("what is missing between two events is a hole, and is counted", () => {
  const tally = new Tally();
  const marks = takeAll(tally, [1, 2, 6]);
  assert.deepEqual(
    marks.filter(({ type }) => type !== "event"),
    [{ type: "hole", from: 3, to: 5, told: false }],
  );
  assert.equal(tally.last, 6);
  assert.deepEqual(tally.counts, { received: 3, lost: 3, doubled: 0, gaps: 0, spoiled: 0 });
});

test("what came before the first event that a lane sees is a hole as well", () => {
  const [hole] = new Tally().take(4, "");
  assert.deepEqual(hole, { type: "hole", from: 1, to: 3, told: false });
});

test("a gap that the server tells of is the next hole, and no other", () => {
  const tally = new Tally();
  takeAll(tally, [1]);
  tally.gap();
  assert.deepEqual(takeAll(tally, [5])[0], { type: "hole", from: 2, to: 4, told: true });
  assert.deepEqual(takeAll(tally, [7])[0], { type: "hole", from: 6, to: 6, told: false });
  assert.equal(tally.counts.gaps, 1);
  assert.equal(tally.counts.lost, 4);
});

test("what came before comes again, and counts as no event", () => {
  const tally = new Tally();
  assert.deepEqual(takeAll(tally, [1, 2, 2, 1]).slice(2), [
    { type: "again", number: 2 },
    { type: "again", number: 1 },
  ]);
  assert.equal(tally.counts.received, 2);
  assert.equal(tally.counts.doubled, 2);
});

test("a text that is not what was published is spoiled", () => {
  const tally = new Tally();
  const published = textOf(1, true);
  const [whole] = tally.take(1, published, published);
  const [half] = tally.take(2, "price 2", textOf(2, true));
  assert.ok(whole.type === "event" && whole.whole);
  assert.ok(half.type === "event" && !half.whole);
  assert.equal(tally.counts.spoiled, 1);
});

test("a page knows its own events", () => {
  const text = textOf(17, true);
  assert.ok(text.includes("\n"));
  assert.deepEqual(read("k", write("k", 17, text)), { number: 17, text });
  for (const other of [write("l", 17, text), "k 0 x", "k x", "k", 17, null, undefined])
    assert.equal(read("k", other), null, String(other));
});
