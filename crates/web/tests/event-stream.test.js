// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EventStreamParser, readEvents } from "../sse/event-stream.js";

const { vectors } = JSON.parse(
  readFileSync(new URL("../../client/tests/event-stream.json", import.meta.url), "utf8"),
);

for (const vector of vectors) {
  const bytes = vector.base64 ? Buffer.from(vector.base64, "base64") : Buffer.from(vector.text);

  test(vector.name, async () => {
    const ways = [vector.chunks ?? [bytes.length], [bytes.length], Array(bytes.length).fill(1)];
    for (let at = 1; at < bytes.length; at++) ways.push([at, bytes.length - at]);
    for (const lengths of ways) {
      /** @type {import("../sse/event-stream.js").StreamEvent[]} */
      const events = [];
      const parser = new EventStreamParser((event) => events.push(event));
      let start = 0;
      for (const length of lengths)
        parser.push(new Uint8Array(bytes.subarray(start, (start += length))));
      const { lastEventId, retry } = parser;
      const { events: expected, lastEventId: id, retry: time } = vector;
      assert.deepEqual(
        { events, lastEventId, retry },
        { events: expected, lastEventId: id, retry: time },
        `in ${lengths}`,
      );
    }
    const events = [];
    for await (const event of readEvents(new Blob([bytes]).stream())) events.push(event);
    assert.deepEqual(events, vector.events);
  });
}

test("an event that does not end is refused before it fills the memory", () => {
  for (const endless of ["data: aaaaaaaaaa", "data: aaaaaaaaaa\n"]) {
    const parser = new EventStreamParser(() => {}, { maxEventLength: 1000 });
    assert.throws(() => {
      for (let i = 0; i < 200; i++) parser.push(Buffer.from(endless));
    }, RangeError);
  }
});

test("leaving the loop early cancels the body", async () => {
  let cancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(Buffer.from("data: a\n\n")),
    cancel: () => void (cancelled = true),
  });
  for await (const event of readEvents(body)) {
    assert.equal(event.data, "a");
    break;
  }
  assert.ok(cancelled);
});

test("an error of the body reaches the reader", async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from("data: a\n\n"));
      controller.error(new TypeError("broken"));
    },
  });
  await assert.rejects(async () => {
    for await (const event of readEvents(body)) assert.fail(`unexpected ${event.data}`);
  }, TypeError);
});
