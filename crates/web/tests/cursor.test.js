// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareCursors, countBetween, isDuplicate, parseCursor } from "../shared/cursor.js";

/** @param {string} text */
function cursor(text) {
  const parsed = parseCursor(text);
  assert.ok(parsed, text);
  return parsed;
}

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
