// @ts-check
// Run with `node --test crates/web/tests/`. Whole panels are tried in browsers, in `tools/browser`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clearSent } from "../shared/panel.js";

test("what was written while the message before it was under way is kept", () => {
  const field = { value: " first " };
  clearSent(field, "first");
  assert.equal(field.value, "");
  field.value = "second";
  clearSent(field, "first");
  assert.equal(field.value, "second");
});
