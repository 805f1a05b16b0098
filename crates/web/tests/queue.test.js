// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "../shared/queue.js";
import { settle } from "./support.js";

/** A queue, what was read of it, and how often it was closed. */
function newQueue() {
  const giveUp = new AbortController();
  const read = { items: /** @type {number[]} */ ([]), end: "", closed: 0 };
  /** @type {Queue<number>} */
  const queue = new Queue(giveUp.signal, () => (read.closed += 1));
  const loop = async () => {
    for await (const item of queue) read.items.push(item);
  };
  loop().then(
    () => (read.end = "ended"),
    (error) => (read.end = String(error)),
  );
  return { queue, giveUp, read };
}

test("what comes before the end is read, in order, and what comes after it is not", async () => {
  for (const [end, expected] of /** @type {const} */ ([
    [undefined, "ended"],
    ["broken", "broken"],
  ])) {
    const { queue, read } = newQueue();
    queue.push(1);
    await settle();
    queue.push(2);
    queue.push(3);
    if (end) queue.fail(end);
    else queue.end();
    queue.push(4);
    queue.fail("too late");
    await settle();
    assert.deepEqual(read, { items: [1, 2, 3], end: expected, closed: 1 });
  }
});

test("a queue that is given up is closed at once, and nothing more of it is read", async () => {
  const { queue, giveUp, read } = newQueue();
  await settle();
  queue.push(1);
  giveUp.abort();
  assert.equal(read.closed, 1);
  await settle();
  assert.deepEqual(read, { items: [], end: "ended", closed: 1 });
});

test("a reader that is too slow gets what fits, and then an error", async () => {
  let closed = 0;
  const queue = new Queue(new AbortController().signal, () => (closed += 1));
  for (let item = 1; item <= 10_001; item++) queue.push(item);
  assert.equal(closed, 1);
  let count = 0;
  await assert.rejects(async () => {
    for await (const _ of queue) count += 1;
  }, /faster than this page reads/);
  assert.equal(count, 10_000);
});

test("a loop that is left closes its queue", async () => {
  let closed = 0;
  const queue = new Queue(new AbortController().signal, () => (closed += 1));
  queue.push(1);
  for await (const _ of queue) break;
  assert.equal(closed, 1);
});
