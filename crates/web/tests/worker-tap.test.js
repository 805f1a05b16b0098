// @ts-check
// What the service worker keeps of the requests that ask for it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";
import * as bounds from "../../../tools/worker/web/tap.js";

const { Tap, MAX_BYTES, MAX_CONNECTIONS, MAX_KEYS, MAX_PIECE, MAX_PIECES, UNREAD } = bounds;

let now = 0;
mock.method(performance, "now", () => now);

const KEY = "0123456789abcdef";
const at = (/** @type {string} */ query) => new URL(`http://site.test/in-browser/wire?${query}`);

/** @param {InstanceType<typeof Tap>} tap */
async function kept(tap, key = KEY, after = 0) {
  const answer = tap.answer(at(`tap=${key}&after=${after}`));
  assert.equal(answer.headers.get("Cache-Control"), "no-store");
  assert.equal(answer.headers.get("Content-Type"), "application/json");
  return answer.json();
}

/** @param {InstanceType<typeof Tap>} tap */
function open(tap, key = KEY) {
  const watch = tap.open(at(`tap=${key}`));
  assert.ok(watch);
  return watch;
}

const bytes = (/** @type {number} */ length) => new Uint8Array(length).fill(120);

test("a request is a connection of parts, with their times", async () => {
  const tap = new Tap();
  const watch = open(tap);
  const head = { method: "POST", target: "/events", headers: [["accept", "*/*"]] };
  now += 0.12345;
  watch.keep("up", new TextEncoder().encode("{}"), { part: "request", head });
  now += 2;
  const answer = { status: 201, headers: [] };
  watch.keep("down", bytes(0), { part: "response", head: answer });
  watch.keep("down", Uint8Array.of(0, 255, 128), { part: "body" });
  watch.keep("down", bytes(0), { part: "end" });
  watch.close("server");
  now += 1;
  // The first to close is kept.
  watch.close("client");
  const { started, ...record } = await kept(tap);
  assert.match(started, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  const [c, t] = [1, 2.123];
  assert.deepEqual(record, {
    version: 1,
    source: "worker",
    now: 3.123,
    next: 4,
    dropped: 0,
    connections: [{ id: 1, opened: 0, closed: t, by: "server" }],
    pieces: [
      { c, t: 0.123, way: "up", size: 2, part: "request", head, data: "e30=" },
      { c, t, way: "down", size: 0, part: "response", head: answer, data: "" },
      { c, t, way: "down", size: 3, part: "body", data: "AP+A" },
      { c, t, way: "down", size: 0, part: "end", data: "" },
    ],
  });
});

test("who has some pieces asks for those after them", async () => {
  const tap = new Tap();
  const watch = open(tap);
  for (let size = 1; size <= 3; size += 1) watch.keep("up", bytes(size));
  const later = await kept(tap, KEY, 2);
  assert.deepEqual([later.next, later.pieces.length, later.pieces[0].size], [3, 1, 3]);
  assert.equal(tap.answer(at(`tap=${KEY}&after=x`)).status, 400);
});

test("nothing is kept of what does not ask, and a wrong key has nothing", async () => {
  const tap = new Tap();
  for (const query of ["", "tap=", "tap=short", `tap=${KEY}-`, `tap=${"a".repeat(65)}`, `x=${KEY}`])
    assert.equal(tap.open(at(query)), null, query);
  open(tap).keep("up", bytes(1));
  for (const key of ["fedcba9876543210", "", "*"]) {
    const { connections, pieces, next } = await kept(tap, key);
    assert.deepEqual([connections, pieces, next], [[], [], 0]);
  }
});

test("what is too much is dropped, oldest first", async () => {
  const many = new Tap();
  const watch = open(many);
  for (let count = 0; count < MAX_PIECES + 3; count += 1) watch.keep("up", bytes(1));
  let { pieces, dropped, next } = await kept(many);
  assert.deepEqual([pieces.length, dropped, next], [MAX_PIECES, 3, MAX_PIECES + 3]);

  const large = new Tap();
  const other = open(large);
  const count = MAX_BYTES / MAX_PIECE;
  for (let at = 0; at < count + 2; at += 1) other.keep("up", bytes(MAX_PIECE + at));
  ({ pieces, dropped } = await kept(large));
  assert.deepEqual([pieces.length, dropped], [count, 2]);
  // Of each only the beginning, and its size.
  assert.equal(pieces[0].size, MAX_PIECE + 2);
  assert.equal(Buffer.from(pieces[0].data, "base64").length, MAX_PIECE);

  // A head weighs as well.
  const heads = new Tap();
  const third = open(heads);
  const head = { headers: [["x", "y".repeat(MAX_BYTES / 4)]] };
  for (let at = 0; at < 5; at += 1) third.keep("up", bytes(0), { part: "request", head });
  ({ pieces } = await kept(heads));
  assert.equal(pieces.length, 3);
});

test("of connections the oldest closed one goes", async () => {
  const tap = new Tap();
  const all = Array.from({ length: MAX_CONNECTIONS }, () => open(tap));
  for (const watch of all) watch.keep("up", bytes(1));
  all[5].close("client");
  open(tap);
  let { connections, pieces, dropped } = await kept(tap);
  assert.equal(connections.length, MAX_CONNECTIONS);
  assert.ok(connections.every((/** @type {{ id: number }} */ { id }) => id !== 6));
  assert.ok(pieces.every((/** @type {{ c: number }} */ { c }) => c !== 6));
  assert.equal(dropped, 1);
  // All are open: the oldest is watched no more.
  open(tap);
  all[0].keep("up", bytes(1));
  ({ connections, pieces } = await kept(tap));
  assert.equal(connections[0].id, 2);
  assert.ok(pieces.every((/** @type {{ c: number }} */ { c }) => c !== 1));
});

test("a key goes that nobody reads, and where there are too many the one unread for longest", async () => {
  const tap = new Tap();
  const key = (/** @type {number} */ number) => `key0key0key0key0${number}`;
  const isThere = async (/** @type {number} */ number) =>
    (await kept(tap, key(number))).connections.length > 0;
  for (let number = 0; number < MAX_KEYS; number += 1) {
    open(tap, key(number));
    now += 1;
  }
  assert.ok(await isThere(0));
  open(tap, key(MAX_KEYS));
  assert.deepEqual(await Promise.all([0, 1, 2, MAX_KEYS].map(isThere)), [true, false, true, true]);

  now += UNREAD - 1;
  assert.ok(await isThere(0));
  now += 1;
  assert.deepEqual(await Promise.all([0, 2].map(isThere)), [true, false]);
});

test("the bounds are those of a server", () => {
  const file = new URL("../../serving/src/tap.rs", import.meta.url);
  const source = readFileSync(file, "utf8");
  const found = source.matchAll(/^pub const ([A-Z_]+): (?:usize|Duration) = (.*);$/gm);
  const values = Array.from(found, ([, name, value]) => {
    const [, seconds] = /^Duration::from_secs\((\d+)\)$/.exec(value) ?? [];
    const factors = value.split(" * ").map(Number);
    const product = factors.reduce((one, other) => one * other);
    return [name, seconds ? 1000 * Number(seconds) : product];
  });
  const { Tap: _, ...ours } = bounds;
  assert.deepEqual(Object.fromEntries(values), ours);
});
