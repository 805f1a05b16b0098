// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ids, MOST_DELAYS, percentile, Totals } from "../wire/totals.js";
import { decode, METHODS, recordingOf, recordOf } from "./wire/support.js";

/** @typedef {import("../wire/format.js").WireRecord} WireRecord */

/** @param {WireRecord[]} records */
function totalsOf(...records) {
  const totals = new Totals(records[0].started);
  for (const arrow of decode(...records).arrows) totals.add(arrow);
  return totals;
}

/** @param {string} data */
const message = (data) => `data: ${data}\n\n`;
const STREAM = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/**
 * @param {string} cursor
 * @param {string} [at]
 */
const event = (cursor, at = "2026-11-29T12:00:00.000Z") =>
  message(JSON.stringify({ id: cursor, at, kind: "tick", data: 1 }));

/** @param {...string} blocks */
const streamOf = (...blocks) =>
  recordOf([STREAM, ...blocks].map((bytes) => ({ way: /** @type {const} */ ("down"), bytes })));

test("bytes, requests and events are those of the record", () => {
  const expected = {
    polling: [6, 7, 0],
    "long-polling": [7, 4, 0],
    sse: [4, 6, 0],
    websocket: [1, 7, 0],
  };
  for (const method of METHODS) {
    const record = recordingOf(method);
    const { requests, events, doubled, up, down, lost } = totalsOf(record);
    const sum = (/** @type {"up" | "down"} */ way) =>
      record.pieces.reduce((all, piece) => all + (piece.way === way ? piece.size : 0), 0);
    assert.deepEqual([up, down], [sum("up"), sum("down")], method);
    const counted = [requests, events, doubled];
    assert.deepEqual(counted, expected[/** @type {keyof typeof expected} */ (method)], method);
    assert.equal(lost, 0, method);
  }
});

test("lost are the ids between those that came, doubled those that came again", () => {
  const totals = totalsOf(
    streamOf(...["a.1", "a.2", "a.5", "a.2", "a.4"].map((id) => event(`aaaaa${id}`))),
  );
  assert.deepEqual([totals.events, totals.lost, totals.doubled], [5, 1, 1]);
  // Another log has ids of its own.
  const two = totalsOf(streamOf(event("aaaaaa.1"), event("bbbbbb.9")));
  assert.deepEqual([two.lost, two.doubled], [0, 0]);
});

test("what a gap has told of is not lost without a word", () => {
  const gap = 'event: gap\ndata: {"reason":"expired","asked":"aaaaaa.1","resume":"aaaaaa.3"}\n\n';
  const totals = totalsOf(streamOf(event("aaaaaa.1"), gap, event("aaaaaa.5")));
  assert.deepEqual([totals.gaps, totals.lost], [1, 1]);
});

test("where the record has a hole, nobody knows what is lost", () => {
  const record = streamOf(event("aaaaaa.1"), event("aaaaaa.3"));
  assert.equal(totalsOf(record).lost, 1);
  record.pieces[1].size += 5;
  assert.equal(totalsOf(record).lost, null);
  const totals = totalsOf(streamOf(event("aaaaaa.1")));
  totals.lose();
  assert.equal(totals.lost, null);
});

test("a delay is from the event's own time to its arrival, by the server's clock", () => {
  // The first is older than the view, and has waited for nobody.
  const times = ["11:59:59.000", "12:00:00.000", "12:00:00.001", "12:00:00.003"];
  const blocks = times.map((time, place) => event(`aaaaaa.${place + 1}`, `2026-11-29T${time}Z`));
  const totals = totalsOf(streamOf(...blocks));
  // They arrive 2, 3 and 4 ms after the start.
  assert.equal(totals.delay(0.5), 2);
  assert.equal(totals.delay(0.99), 2);
  assert.equal(totals.delay(0.01), 1);
  assert.equal(totalsOf(streamOf()).delay(0.5), null);
});

test("percentiles are values that were there", () => {
  const hundred = Array.from({ length: 100 }, (_, place) => 100 - place);
  assert.equal(percentile(hundred, 0.5), 50);
  assert.equal(percentile(hundred, 0.99), 99);
  assert.equal(percentile([7], 0.99), 7);
  assert.equal(percentile([], 0.5), null);
});

test("what is remembered is bounded", () => {
  const ids = new Ids();
  // Each other one: no two of them join.
  for (let id = 0n; id < 5000n; id += 2n) assert.ok(ids.add(id));
  assert.equal(ids.isSure, false);
  assert.ok(ids.lost <= 1000);
  const far = new Ids();
  far.add(1n);
  far.add(2n ** 63n);
  assert.equal(far.lost, 100_000);
  const late = Array.from({ length: MOST_DELAYS + 5 }, (_, place) => event(`aaaaaa.${place + 1}`));
  const totals = totalsOf(streamOf(...late));
  // The first five have been pushed out: the smallest delay is not 1 ms.
  assert.equal(totals.delay(0), 6);
});
