// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compareCursors,
  countBetween,
  describeEvent,
  isDuplicate,
  parseCursor,
  parseEvent,
  parseGap,
} from "../shared/cursor.js";

/** @param {string} text */
function cursor(text) {
  const parsed = parseCursor(text);
  assert.ok(parsed, text);
  return parsed;
}

test("a cursor comes out as it went in", () => {
  for (const text of ["k3f9x2.0", "k3f9x2.17", "000000.18446744073709551615"]) {
    const { epoch, id } = cursor(text);
    assert.equal(`${epoch}.${id}`, text);
  }
});

test("what is no cursor is refused", () => {
  for (const text of [
    "",
    "latest",
    "k3f9x2",
    "k3f9x2.",
    ".17",
    "k3f9x.17",
    "k3f9x22.17",
    "K3F9X2.17",
    "k3f9x2.-1",
    "k3f9x2.017",
    "k3f9x2.1e3",
    " k3f9x2.17",
    "k3f9x2.17 ",
    "k3f9x2.17\n",
    "k3f9x2.18446744073709551616",
  ]) {
    assert.equal(parseCursor(text), null, JSON.stringify(text));
  }
});

test("ids are compared as 64-bit numbers", () => {
  // Equal as JavaScript numbers, which are exact to 2^53 only.
  const [a, b] = [cursor("k3f9x2.9007199254740992"), cursor("k3f9x2.9007199254740993")];
  assert.equal(compareCursors(a, b), -1);
  assert.equal(compareCursors(b, a), 1);
  assert.equal(compareCursors(a, a), 0);
  assert.equal(compareCursors(cursor("k3f9x2.9"), cursor("k3f9x2.10")), -1);
});

test("cursors of two logs cannot be compared", () => {
  assert.equal(compareCursors(cursor("k3f9x2.1"), cursor("aaaaaa.2")), null);
  assert.equal(isDuplicate(cursor("k3f9x2.9"), cursor("aaaaaa.2")), false);
  assert.equal(countBetween(cursor("k3f9x2.1"), cursor("aaaaaa.9")), 0);
});

test("an event that was already had is a duplicate", () => {
  assert.equal(isDuplicate(null, cursor("k3f9x2.1")), false);
  assert.equal(isDuplicate(cursor("k3f9x2.5"), cursor("k3f9x2.4")), true);
  assert.equal(isDuplicate(cursor("k3f9x2.5"), cursor("k3f9x2.5")), true);
  assert.equal(isDuplicate(cursor("k3f9x2.5"), cursor("k3f9x2.6")), false);
});

test("what lies between two cursors is counted", () => {
  assert.equal(countBetween(cursor("k3f9x2.5"), cursor("k3f9x2.6")), 0);
  assert.equal(countBetween(cursor("k3f9x2.5"), cursor("k3f9x2.9")), 3);
  assert.equal(countBetween(cursor("k3f9x2.5"), cursor("k3f9x2.5")), 0);
  assert.equal(countBetween(null, cursor("k3f9x2.5")), 0);
});

test("events and gaps are read, and nothing else is taken for one", () => {
  const event = { id: "k3f9x2.1", at: "2026-01-01T00:00:00.000Z", kind: "tick", data: null };
  assert.deepEqual(parseEvent(JSON.stringify(event)), event);
  for (const text of [
    "",
    "null",
    "[]",
    "{}",
    '{"id":"x","at":"","kind":"a"}',
    '{"id":1,"at":"","kind":"a"}',
  ]) {
    assert.equal(parseEvent(text), null, text);
  }
  const gap = { reason: "expired", asked: "k3f9x2.1", resume: "k3f9x2.9" };
  assert.deepEqual(parseGap(JSON.stringify(gap)), gap);
  const unknown = { reason: "unknown", resume: "k3f9x2.9" };
  assert.deepEqual(parseGap(JSON.stringify(unknown)), unknown);
  assert.equal(parseGap(JSON.stringify({ ...gap, reason: "other" }))?.reason, "unknown");
  assert.equal(parseGap(JSON.stringify({ ...gap, resume: undefined })), null);
});

test("an event is described in a line", () => {
  const event = { id: "k3f9x2.1", at: "2026-01-01T00:00:00.000Z" };
  const tick = { symbol: "ACME", price: 101.25, change: -0.25 };
  assert.equal(describeEvent({ ...event, kind: "tick", data: tick }), "ACME 101.25 ▼\u00a0−0.25");
  assert.equal(
    describeEvent({ ...event, kind: "message", data: { from: "Ann", text: "hi" } }),
    "Ann: hi",
  );
  assert.equal(describeEvent({ ...event, kind: "other", data: [1] }), "[1]");
});
