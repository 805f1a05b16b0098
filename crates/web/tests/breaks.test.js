// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Breaks } from "../shared/breaks.js";

const at = (/** @type {number} */ milliseconds) => new Date(milliseconds).toISOString();

/** A panel that was away from 10 s to 11.3 s. @param {number} ahead of the server's clock */
function away(ahead) {
  const breaks = new Breaks();
  assert.equal(breaks.enter("connecting", 0), null);
  assert.equal(breaks.enter("open", 100), null, "the first is no break");
  // On its way for 20 ms.
  for (const time of [1000, 2000]) breaks.take(at(time - ahead), time + 20);
  breaks.enter("connecting", 10_000);
  breaks.enter("waiting", 10_100);
  return { breaks, ended: breaks.enter("open", 11_300) };
}

test("a break counts what was published in it, by whatever clock", () => {
  for (const ahead of [0, 3_600_000, -3_600_000]) {
    const { breaks, ended } = away(ahead);
    assert.ok(ended);
    assert.equal(ended.describe(0), "Away 1.3 s. Nothing happened meanwhile.");
    breaks.take(at(10_500 - ahead), 11_320);
    assert.equal(ended.describe(0), "Away 1.3 s. 1 event happened meanwhile, none lost.");
    breaks.take(at(11_000 - ahead), 11_320);
    breaks.take(at(12_000 - ahead), 12_020);
    assert.equal(breaks.current, null, "what comes now happens now");
    breaks.take(at(10_900 - ahead), 12_020);
    assert.equal(ended.describe(0), "Away 1.3 s. 2 events happened meanwhile, none lost.");
  }
});

test("what is lost happened as well", () => {
  const { ended } = away(0);
  assert.equal(ended?.describe(5), "Away 1.3 s. 5 events happened meanwhile, 5 lost.");
});

test("an event without a time counts nothing", () => {
  const { breaks, ended } = away(0);
  breaks.take("", 11_400);
  assert.equal(ended?.events, 0);
});
