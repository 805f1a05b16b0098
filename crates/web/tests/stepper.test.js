// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { interleave, PLACES, PUBLISHER, READERS, run } from "../book/stepper.js";

/** @typedef {import("../book/stepper.js").Code} Code */

/** @param {Code} code */
const orders = (code) => PLACES.map((places) => interleave(code, places));

test("the publisher's two steps have ten places among the reader's three", () => {
  for (const code of /** @type {Code[]} */ (Object.keys(READERS))) {
    const all = orders(code);
    assert.equal(all.length, 10);
    assert.equal(new Set(all.map((steps) => steps.join())).size, 10);
    for (const steps of all) {
      const of = (/** @type {readonly string[]} */ part) =>
        steps.filter((step) => part.includes(step));
      assert.deepEqual(of(READERS[code]), READERS[code]);
      assert.deepEqual(of(PUBLISHER), PUBLISHER);
    }
  }
});

test("one order is fatal to a reader that looks first", () => {
  const fatal = orders("look-first").filter((steps) => run(steps) === "for-ever");
  assert.deepEqual(fatal, [["look", "append", "wake", "register", "sleep"]]);
});

test("none is fatal to a reader that registers first", () => {
  const ends = orders("register-first").map(run);
  assert.ok(!ends.includes("for-ever"));
  assert.ok(ends.includes("found") && ends.includes("woken"));
});

test("each end is what the program's log comes to", () => {
  const text = (/** @type {Code} */ code) => orders(code).map(run).join(" ");
  assert.equal(
    text("look-first"),
    "found found found found for-ever woken woken woken woken woken",
  );
  assert.equal(
    text("register-first"),
    "found found found found found found found woken woken woken",
  );
});
