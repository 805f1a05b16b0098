// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { CHECKERS } from "../book/checkers.js";
import {
  markChoice,
  markNumber,
  markOrder,
  readKind,
  readNumber,
  readPlaces,
  readRange,
} from "../book/marking.js";
import { Progress } from "../book/progress.js";
import { initSync } from "../marker/marker.js";

// What a page loads by its address.
const module = new URL("../marker/marker_bg.wasm", import.meta.url);
before(() => initSync({ module: readFileSync(module) }));

test("a choice is right if it is all of the answer and nothing else", () => {
  assert.equal(markChoice([2], [2]).isRight, true);
  assert.equal(markChoice([1], [2]).isRight, false);
  assert.equal(markChoice([1, 3], [3, 1]).isRight, true);
  assert.deepEqual(markChoice([1], [3, 1]), {
    isRight: false,
    note: "1 of your 1 belong to the answer.",
  });
  assert.equal(markChoice([1, 2, 3], [3, 1]).isRight, false);
});

test("an order is right up to its first wrong place", () => {
  assert.equal(markOrder([3, 1, 2], [3, 1, 2]).isRight, true);
  assert.match(markOrder([3, 2, 1], [3, 1, 2]).note ?? "", /1 of 3/);
  assert.match(markOrder([1, 2, 3], [3, 1, 2]).note ?? "", /0 of 3/);
});

test("numbers are read as people write them", () => {
  for (const [text, number] of /** @type {[string, number][]} */ ([
    ["15", 15],
    [" 1,800 ", 1800],
    ["1 800 000", 1_800_000],
    ["0.5", 0.5],
    [".5", 0.5],
    ["-1", -1],
  ]))
    assert.equal(readNumber(text), number, text);
  for (const text of ["", "two", "1,80", "15 s", "0x10", "1e3"])
    assert.ok(Number.isNaN(readNumber(text)), text);
});

test("a number is right within its range", () => {
  assert.deepEqual(readRange("15"), [15, 15]);
  assert.deepEqual(readRange("14.5..16"), [14.5, 16]);
  for (const text of ["", "a", "3..2"]) assert.throws(() => readRange(text), TypeError);
  assert.equal(markNumber("15", [15, 15]).isRight, true);
  assert.match(markNumber("14", [15, 15]).note ?? "", /more/);
  assert.match(markNumber("16", [15, 15]).note ?? "", /less/);
  assert.match(markNumber("x", [15, 15]).note ?? "", /no number/);
});

test("an answer that names no places of its list is a mistake", () => {
  assert.deepEqual(readPlaces("3 1 2", 3), [3, 1, 2]);
  for (const answer of ["", "0", "4", "1 1", "a", "1.5"])
    assert.throws(() => readPlaces(answer, 3), TypeError, answer);
  assert.equal(readKind("order"), "order");
  assert.throws(() => readKind(undefined), TypeError);
});

test("the compiled module marks as the crate does (cargo xtask marker)", async () => {
  const folder = new URL("../../../tools/marker/tests/", import.meta.url);
  const vectors = JSON.parse(readFileSync(new URL("vectors.json", folder), "utf8"));
  assert.ok(vectors.length >= 8);
  for (const { checker, wanted, right, wrong } of vectors) {
    const { by, check } = CHECKERS[checker];
    assert.ok(by);
    for (const given of right)
      assert.deepEqual(await check(given, wanted), { isRight: true }, given);
    for (const [given, note] of wrong)
      assert.deepEqual(await check(given, wanted), { isRight: false, note }, given);
  }
});

test("a question that cannot be asked so is an error, and the next can be marked", async () => {
  await assert.rejects(async () => CHECKERS.frame.check("81 00", {}), /nothing to compare with/);
  const wanted = { events: [], lastEventId: "8" };
  const marked = await CHECKERS["event-stream"].check("id: 8\n\n", wanted);
  assert.equal(marked.isRight, true);
});

/** A browser's storage, as far as it is used. */
class FakeStorage {
  /** @type {Map<string, string>} */
  items = new Map();
  isFull = false;
  /** @param {string} key */
  getItem(key) {
    return this.items.get(key) ?? null;
  }
  /** @param {string} key @param {string} value */
  setItem(key, value) {
    if (this.isFull) throw new DOMException("full", "QuotaExceededError");
    this.items.set(key, value);
  }
  /** @param {string} key */
  removeItem(key) {
    this.items.delete(key);
  }
}

/** @param {FakeStorage | null} storage */
function progress(storage) {
  return new Progress(/** @type {Storage | null} */ (/** @type {unknown} */ (storage)), "key");
}

test("progress is kept under one key, and seen by the next page", () => {
  const storage = new FakeStorage();
  storage.setItem("another book", "its own");
  const here = progress(storage);
  assert.equal(here.get("a"), null);
  here.set("a", "tried");
  here.set("b", "seen");
  const next = progress(storage);
  assert.deepEqual([next.get("a"), next.get("b")], ["tried", "seen"]);
  next.set("a", "right");
  // In the other tab, too; and it stays.
  here.set("a", "tried");
  here.set("a", "seen");
  here.set("b", "tried");
  assert.deepEqual([here.get("a"), here.get("b")], ["right", "seen"]);
  assert.equal(here.count(["a", "b", "c"]), 1);
  assert.deepEqual([...storage.items.keys()], ["another book", "key"]);
  here.forget();
  assert.equal(here.get("a"), null);
  assert.deepEqual([...storage.items.keys()], ["another book"]);
});

test("without a storage, or with a broken one, the page goes on by itself", () => {
  const alone = progress(null);
  alone.set("a", "right");
  assert.equal(alone.get("a"), "right");
  const full = new FakeStorage();
  full.isFull = true;
  const here = progress(full);
  here.set("a", "right");
  assert.equal(here.get("a"), "right");
  for (const text of ["no JSON", "7", '"right"', '{"a":7,"b":"right"}']) {
    const storage = new FakeStorage();
    storage.setItem("key", text);
    const read = progress(storage);
    assert.equal(read.get("a"), null, text);
    assert.equal(read.get("b"), text.includes('"b"') ? "right" : null, text);
  }
});
