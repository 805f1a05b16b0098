// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { judge } from "../book/timeouts.js";
import { PRESETS } from "../book/timeouts-view.js";

/** @typedef {import("../book/timeouts.js").Chain} Chain */

/**
 * @param {Partial<Chain>} chain
 * @returns {Chain}
 */
function chain(chain) {
  const rest = { client: 35, cdn: 120, proxy: 60, server: 25, heartbeat: 15 };
  return { situation: "answer", isWholeAnswer: false, ...rest, ...chain };
}

/** @param {Partial<Chain>} of */
function verdict(of) {
  const { first, at, how } = judge(chain(of));
  return [first.join(), at, how];
}

test("the shortest time ends a wait, and only the server can end it well", () => {
  assert.deepEqual(verdict({}), ["server", 25, "good"]);
  assert.deepEqual(verdict({ proxy: 15 }), ["proxy", 15, "bad"]);
  assert.deepEqual(verdict({ cdn: 20 }), ["cdn", 20, "bad"]);
  assert.deepEqual(verdict({ client: 10 }), ["client", 10, "bad"]);
  // The table of the chapter: 25 < 30 < 35.
  assert.deepEqual(verdict({ proxy: 30 }), ["server", 25, "good"]);
  assert.deepEqual(verdict({ proxy: 29 }), ["server", 25, "narrow"]);
  assert.deepEqual(verdict({ proxy: 25 }), ["server,proxy", 25, "bad"]);
  assert.deepEqual(verdict({ proxy: 24.5 }), ["server,proxy", 24.5, "bad"]);
});

test("each sees the end that the chapter says", () => {
  assert.match(judge(chain({})).sees.client, /^200 and an empty page/);
  assert.match(judge(chain({ proxy: 15 })).sees.client, /^504/);
  assert.match(judge(chain({ proxy: 15 })).sees.server, /no error in its log/);
  assert.match(judge(chain({ client: 10 })).sees.client, /^no answer/);
});

test("a heartbeat keeps silence short, and not an answer", () => {
  const stream = /** @type {const} */ ({ situation: "stream", client: 31 });
  assert.deepEqual(verdict(stream), ["", null, "good"]);
  assert.deepEqual(verdict({ ...stream, heartbeat: 20 }), ["", null, "narrow"]);
  assert.deepEqual(verdict({ ...stream, heartbeat: null }), ["client", 31, "bad"]);
  assert.deepEqual(verdict({ ...stream, client: 121, heartbeat: 90 }), ["proxy", 60, "bad"]);
  // Envoy's route, "check yourself" 2.
  const route = { ...stream, proxy: 15, isWholeAnswer: true, heartbeat: 5 };
  assert.deepEqual(verdict(route), ["proxy", 15, "bad"]);
  assert.match(judge(chain(route)).says, /whole answer/);
  assert.deepEqual(verdict({ ...route, isWholeAnswer: false }), ["", null, "good"]);
});

test("a heartbeat as long as a time-out is a race", () => {
  const stream = /** @type {const} */ ({ situation: "stream", client: 121, heartbeat: 60 });
  const { first, how, says } = judge(chain(stream));
  assert.deepEqual([first, how], [["proxy"], "bad"]);
  assert.match(says, /race.*the proxy and the heartbeat/);
  assert.deepEqual(judge(chain({ ...stream, proxy: 61.5 })).how, "narrow");
});

test("on a kept connection the side that asks closes first", () => {
  const kept = /** @type {const} */ ({ situation: "kept" });
  assert.deepEqual(verdict({ ...kept, proxy: 60, server: 65 }), ["proxy", 60, "good"]);
  assert.deepEqual(verdict({ ...kept, proxy: 60, server: 62 }), ["proxy", 60, "narrow"]);
  assert.deepEqual(verdict({ ...kept, proxy: 60, server: 10 }), ["server", 10, "bad"]);
  assert.deepEqual(verdict({ ...kept, proxy: 60, server: 60 }), ["proxy,server", 60, "bad"]);
  assert.match(judge(chain({ ...kept, proxy: 60, server: 10 })).sees.client, /^502/);
});

test("the settings to begin with show one of each", () => {
  const seen = PRESETS.map(([, preset]) => judge(preset)).map(({ first, how }) => [
    first.join(),
    how,
  ]);
  assert.deepEqual(seen, [
    ["server", "good"],
    ["proxy", "bad"],
    ["proxy", "bad"],
    ["proxy", "bad"],
    ["server", "bad"],
  ]);
});

test("every verdict is a sentence, and every box that has a part sees something", () => {
  const times = [1, 10, 25, 25.5, 60, 3600];
  for (const situation of /** @type {const} */ (["answer", "stream", "kept"]))
    for (const proxy of times)
      for (const server of times)
        for (const heartbeat of [null, 15, 60])
          for (const isWholeAnswer of [false, true]) {
            const set = chain({ situation, proxy, server, heartbeat, isWholeAnswer });
            const { says, sees, first, at } = judge(set);
            assert.match(says, /^[A-Z].*\.$/);
            assert.doesNotMatch(says, /undefined|NaN|Infinity|null/);
            assert.equal(first.length === 0, at === null);
            for (const [party, text] of Object.entries(sees))
              assert.equal(text === "", situation === "kept" && party === "cdn", party);
          }
});
