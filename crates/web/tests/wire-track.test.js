// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeAll } from "../wire/replay.js";
import { MOST_DRAWN, sayArrow, Track } from "../wire/track.js";
import { decode, METHODS, recordingOf, recordOf } from "./wire/support.js";

/** @param {string} method */
function whole(method) {
  const track = new Track({ isWhole: true });
  track.push(recordingOf(method));
  return track;
}

test("the text has a line for each arrow, and for each close", () => {
  for (const method of METHODS) {
    const track = whole(method);
    track.reach(track.now);
    const { arrows, closings } = decode(recordingOf(method));
    const lines = track.linesAt(track.now).map(({ text }) => text);
    assert.equal(lines.length, arrows.length + closings.length, method);
    for (const arrow of arrows) assert.ok(lines.includes(sayArrow(arrow)), arrow.text);
  }
  const sse = whole("sse");
  sse.reach(sse.now);
  const closed = sse.linesAt(sse.now).filter(({ text }) => text.includes(" closed "));
  assert.deepEqual(
    closed.map(({ text }) => text),
    [
      "The server closed connection 1, which ended a response that goes on",
      "The client closed connection 3, which ended a response that goes on",
      "The client closed connection 2",
    ],
  );
});

test("a recording can be gone through in both directions", () => {
  const track = whole("sse");
  track.reach(track.now);
  const all = { ...track.totals };
  track.reach(400);
  assert.equal(track.arrows.length, 4);
  assert.equal(track.totals?.events, 1);
  assert.equal(track.barsAt(2).length, 0);
  assert.deepEqual(
    track.barsAt(400).map(({ kind }) => kind),
    ["request", "stream"],
  );
  assert.equal(track.closingsAt(400).length, 0);
  track.reach(track.now);
  assert.deepEqual({ ...track.totals }, all);
});

const PART = 100;
/** @param {number} from */
const frames = (from) =>
  recordOf(
    Array.from({ length: PART }, () => ({
      way: /** @type {const} */ ("up"),
      bytes: "GET /a HTTP/1.1\r\n\r\n",
    })),
  ).pieces.map((piece, at) => ({ ...piece, t: from + at, c: from + at }));

test("a view of what grows has a bound, and its totals have none", () => {
  const track = new Track();
  for (let at = 0; at < 1000; at += PART) {
    track.push(recordOf([], { pieces: frames(at), now: at + PART }));
    track.reach(track.now);
  }
  assert.equal(track.arrows.length, MOST_DRAWN);
  assert.equal(track.kept, MOST_DRAWN);
  assert.equal(track.totals?.requests, 1000);
  assert.ok(track.linesAt(track.now).length <= MOST_DRAWN);
});

test("a view that is paused keeps no more than a bound either", () => {
  const track = new Track();
  for (let at = 0; at < 5000; at += PART)
    track.push(recordOf([], { pieces: frames(at), now: at + PART }));
  assert.ok(track.waiting <= 2000);
  track.reach(track.now);
  assert.equal(track.totals?.requests, 5000);
});

test("a view begins with the first piece, whenever the server began", () => {
  const track = new Track();
  track.push(recordOf([], { now: 5_000_000 }));
  assert.equal(track.totals, null);
  const bytes = "GET /a HTTP/1.1\r\n\r\n";
  const { pieces } = recordOf([{ way: "up", bytes }]);
  const later = { pieces: [{ ...pieces[0], t: 5_000_100 }], now: 5_000_200 };
  track.push(recordOf([], later));
  track.reach(track.now);
  assert.deepEqual([track.arrows[0].t, track.now], [0, 100]);
  assert.equal(track.started, "2026-11-29T13:23:20.100Z");
});

test("pieces that the recorder has dropped make the loss unknown", () => {
  const track = new Track();
  track.push(recordOf([{ way: "up", bytes: "GET /a HTTP/1.1\r\n\r\n" }]));
  track.reach(1);
  assert.equal(track.totals?.lost, 0);
  // It has dropped what was read already.
  track.push(recordOf([], { dropped: 1, next: 1 }));
  assert.equal(track.totals?.lost, 0);
  track.push(recordOf([], { dropped: 3, next: 3 }));
  assert.equal(track.totals?.lost, null);
});

test("recordings say what each is alone, and once what all are", () => {
  const sse = recordingOf("sse");
  assert.deepEqual(describeAll([sse]), [
    "An event stream, a cut, and the stream after it. A recording of 2026-11-29, with node " +
      "20.20.2, written down at the client.",
  ]);
  const other = { ...sse, name: "other", what: "Something else." };
  assert.deepEqual(describeAll([{ ...sse, name: "sse" }, other]), [
    "sse: An event stream, a cut, and the stream after it.",
    "other: Something else.",
    "A recording of 2026-11-29, with node 20.20.2, written down at the client.",
  ]);
});
