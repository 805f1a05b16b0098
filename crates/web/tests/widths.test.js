// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

/** What cannot be broken: markup, a regular expression, a link, the title of a test. */
const UNBROKEN = /^\s*(<|\/\^|\* https:|test\()/;

/** @param {string} text @param {number} width */
function tooWide(text, width) {
  return text.split("\n").filter((line) => line.length > width && !UNBROKEN.test(line));
}

test("a line of a module fits the book's page", () => {
  const root = new URL("../", import.meta.url);
  const names = readdirSync(root, { encoding: "utf8", recursive: true });
  // The bytes of the pushed page's script are in golden files.
  // Those of `formulas/` and `marker/` are written by a compiler.
  const isOurs = (/** @type {string} */ name) => !/\/pushed\/|^(formulas|marker)\//.test(name);
  const scripts = names.filter((name) => name.endsWith(".js") && isOurs(name));
  assert.ok(scripts.length > 30, `only ${scripts.length} scripts`);
  for (const name of [...scripts, "../../theme/loader.js"]) {
    const width = /^(tests|\.\.)\//.test(name) ? 100 : 88;
    const text = readFileSync(new URL(name, root), "utf8");
    assert.deepEqual(tooWide(text, width), [], name);
  }
});

test("a line that is too wide is found", () => {
  assert.deepEqual(tooWide("const a = 1;\n// and a comment", 12), ["// and a comment"]);
});
