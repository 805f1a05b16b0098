// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mock, test } from "node:test";
import { bounded, startTimer } from "../shared/timer.js";
import "./support.js";

test("a time that a timer cannot hold is a long one, and not none", () => {
  const day = 24 * 60 * 60 * 1000;
  for (const [time, set] of [
    [0, 0],
    [-1, 0],
    [7.5, 7.5],
    [2 ** 31, day],
    [Infinity, day],
    [NaN, day],
  ]) {
    assert.equal(bounded(time), set, String(time));
  }
  let fired = 0;
  startTimer(() => (fired += 1), 30 * day);
  mock.timers.tick(day - 1);
  assert.equal(fired, 0);
  mock.timers.tick(1);
  assert.equal(fired, 1);
});

test("no page sets a timer in another way", () => {
  const root = new URL("../../../", import.meta.url).pathname;
  const pages = readdirSync(`${root}crates/web`, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(".js") && !name.startsWith("tests/"))
    .map((name) => `${root}crates/web/${name}`);
  const files = [...pages, `${root}theme/loader.js`];
  assert.ok(files.length > 20, `only ${files.length} files were found`);
  const raw = /\b(setTimeout|setInterval)\(|AbortSignal\.timeout\((?!bounded\()/;
  for (const file of files) {
    if (file.endsWith("/web/shared/timer.js")) continue;
    const line = readFileSync(file, "utf8")
      .split("\n")
      .find((text) => raw.test(text.replace(/^\s*(\*|\/\/).*/, "")));
    assert.equal(line, undefined, file);
  }
});
