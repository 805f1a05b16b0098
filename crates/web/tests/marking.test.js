// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
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

/**
 * @param {string} checker
 * @param {string} given
 * @param {unknown} wanted
 */
async function check(checker, given, wanted) {
  return (await CHECKERS[checker].check(given, wanted)).isRight;
}

test("an event stream is judged by what a browser would dispatch", async () => {
  const one = { events: [{ type: "message", data: "a\nb", lastEventId: "7" }] };
  for (const right of [
    "id: 7\ndata: a\ndata: b\n\n",
    "data:a\ndata:b\nid:7",
    ": comment\n\nid: 7\n\ndata: a␍data: b",
  ])
    assert.equal(await check("event-stream", right, one), true, right);
  for (const wrong of ["", "data: a\\nb\nid: 7", "id: 7\ndata: a\n\ndata: b", "data: a\ndata: b"])
    assert.equal(await check("event-stream", wrong, one), false, wrong);
  const moved = { events: [], lastEventId: "8" };
  assert.equal(await check("event-stream", "id: 8", moved), true);
  assert.equal(await check("event-stream", ": nothing", moved), false);
});

test("a frame is judged by the protocol", async () => {
  const ok = { sender: "client", opcode: 1, text: "ok" };
  const masked = "81 82 00 00 00 00 6f 6b";
  assert.equal(await check("frame", masked, ok), true);
  assert.equal(await check("frame", "81 82 37 fa 21 3d 58 91", ok), true);
  for (const wrong of [
    "",
    "8",
    "81 02 6f 6b",
    "01 82 00 00 00 00 6f 6b",
    "82 82 00 00 00 00 6f 6b",
    "81 82 00 00 00 00 6f 6c",
    `${masked} 00`,
    "81 fe 00 02 00 00 00 00 6f 6b",
  ])
    assert.equal(await check("frame", wrong, ok), false, wrong);
  const bye = { sender: "server", opcode: 8, code: 1001 };
  assert.equal(await check("frame", "88 02 03 e9", bye), true);
  assert.equal(await check("frame", "88 0a 03 e9 73 68 75 74 64 6f 77 6e", bye), true);
  assert.equal(await check("frame", "88 02 03 e8", bye), false);
  assert.equal(await check("frame", "88 00", bye), false);
});

test("a request is judged by its line and the headers that count", async () => {
  const wanted = { line: "GET events?after=k3f9x2.18", headers: { Prefer: "wait=20" } };
  for (const right of [
    "GET events?after=k3f9x2.18\nPrefer: wait=20",
    "GET /events?after=k3f9x2.18 HTTP/1.1\nHost: a\nprefer:wait=20\n\n",
  ])
    assert.equal(await check("request", right, wanted), true, right);
  for (const wrong of [
    "",
    "GET events?after=k3f9x2.17\nPrefer: wait=20",
    "GET events?after=k3f9x2.18",
    "GET events?after=k3f9x2.18\nPrefer: wait=25",
    "POST events?after=k3f9x2.18\nPrefer: wait=20",
  ])
    assert.equal(await check("request", wrong, wanted), false, wrong);
});

test("JSON is judged by its content", async () => {
  const wanted = { publish: { ref: "a", kind: "message", data: [1, { b: 2, c: 3 }] } };
  const right = '{"publish": {"kind":"message","data":[1,{"c":3,"b":2}],"ref":"a"}}';
  assert.equal(await check("json", right, wanted), true);
  const turned = '{"publish":{"ref":"a","kind":"message","data":[{"b":2,"c":3},1]}}';
  for (const wrong of ["", "{}", turned])
    assert.equal(await check("json", wrong, wanted), false, wrong);
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
