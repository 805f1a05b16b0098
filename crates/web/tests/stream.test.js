// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bytesOf, EXERCISE, lineEnds, readStream } from "../book/stream.js";
import { EventStreamParser } from "../sse/event-stream.js";

const read = (/** @type {string} */ text) => readStream(bytesOf(text));
const effects = (/** @type {string} */ text) => read(text).lines.map(({ effect }) => effect);

const { vectors } = JSON.parse(
  readFileSync(new URL("../../client/tests/event-stream.json", import.meta.url), "utf8"),
);

test("the result is the parser's, wherever the stream is cut off", () => {
  for (const { text, base64, name } of vectors) {
    const bytes = new Uint8Array(base64 ? Buffer.from(base64, "base64") : Buffer.from(text));
    for (let length = 0; length <= bytes.length; length++) {
      const arrived = bytes.subarray(0, length);
      /** @type {object[]} */
      const events = [];
      const parser = new EventStreamParser((event) => events.push(event));
      parser.push(arrived);
      const seen = readStream(arrived);
      assert.deepEqual(seen.events, events, `${name}, ${length} bytes`);
      assert.equal(seen.lastEventId, parser.lastEventId, name);
      assert.equal(seen.retry, parser.retry, name);
      assert.equal(seen.lines.filter(({ event }) => event).length, events.length, name);
    }
  }
});

test("each line says what it does", () => {
  assert.deepEqual(effects(": a\nid: 7\n\nretry: 500\nevent: e\ndata: a\ndata\nfoo: 1\n\n"), [
    "is a comment: the page sees nothing of it",
    "sets the id, from the end of this block on: 7",
    "ends the block, which has no data, so no event; its id stays",
    "sets the time to come back: 500 ms",
    "sets the type of this block: e",
    "begins the data",
    "adds a line to the data",
    "changes nothing",
    "ends the block: an event of the type e",
  ]);
  assert.deepEqual(effects("\nid: 7\n\nid\n\ndata: a"), [
    "ends the block, which has no data, so no event",
    "sets the id, from the end of this block on: 7",
    "ends the block, which has no data, so no event; its id stays",
    "sets the id, from the end of this block on: none",
    "ends the block, which has no data, so no event; its id stays",
    "has no end yet, so it does nothing",
  ]);
});

test("the ends of lines are told apart, and a CR is typed as a sign", () => {
  const ends = (/** @type {string} */ text) => read(text).lines.map(({ end }) => end);
  assert.deepEqual(ends("a\nb␍c␍\nd"), ["LF", "CR", "CR LF", ""]);
  assert.deepEqual(lineEnds(bytesOf("a\nb␍c␍\nd")), [2, 4, 7]);
  assert.deepEqual(lineEnds(bytesOf("")), []);
});

test("what is dropped is the block that nothing has ended", () => {
  assert.equal(read("data: one\n\ndata: two\nid: 3\ndat").dropped, "data: two\nid: 3\ndat");
  assert.equal(read("data: one\n\n").dropped, "");
  assert.equal(read("data: ü").dropped, "data: ü");
});

test("the exercise is that of the chapter, and comes out as its solution", () => {
  const file = "../../../examples/sse/tests/exercises/dispatched.rs";
  const source = readFileSync(new URL(file, import.meta.url), "utf8");
  const literal = /const STREAM: &str = "([^]*?)";/.exec(source)?.[1] ?? "";
  const stream = JSON.parse(`"${literal.replace(/\\\n\s*/g, "")}"`);
  assert.equal(Buffer.from(bytesOf(EXERCISE)).toString(), stream);
  const solution = Array.from(
    source.matchAll(/^ {8}\(("[^"]*"), ("[^"]*"), ("[^"]*")\),$/gm),
    ([, type, data, id]) => [type, data, id].map((text) => JSON.parse(text)),
  );
  assert.equal(solution.length, 4);
  const { events } = read(EXERCISE);
  assert.deepEqual(events.map(({ type, data, lastEventId: id }) => [type, data, id]), solution);
});
