// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeEvent, directionOf } from "../shared/describe.js";

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

test("a price has a direction, and what is no number has none", () => {
  assert.deepEqual([0.25, -0.25, 0, "1", undefined].map(directionOf), [
    "up",
    "down",
    "same",
    "same",
    "same",
  ]);
});
