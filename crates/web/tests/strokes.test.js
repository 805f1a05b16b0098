// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pass, settle } from "./support.js";
import { Board, MAX_POINTS, MAX_STROKES, Outbox, Pen, readStroke } from "../websocket/strokes.js";
import { Refused } from "../websocket/websocket-client.js";

const STROKE = {
  colour: "red",
  width: 10,
  points: [
    [0, 0],
    [500, 250],
    [1000, 1000],
  ],
};

/**
 * @param {number} id
 * @param {string} kind
 * @param {unknown} data
 */
function event(id, kind = "stroke", data = STROKE) {
  return { id: `k3f9x2.${id}`, at: "", kind, data };
}

test("a stroke is read as it was sent", () => {
  assert.deepEqual(readStroke(STROKE), STROKE);
});

test("what others send is brought within bounds", () => {
  const read = readStroke({
    colour: "url(https://elsewhere.test)",
    width: 1e9,
    points: [[-5, 1e300], [1.4, 2.6], ...Array(1000).fill([7, 7])],
    onclick: "alert(1)",
  });
  assert.deepEqual(Object.keys(read ?? {}), ["colour", "width", "points"]);
  assert.equal(read?.colour, "ink");
  assert.equal(read?.width, 50);
  assert.equal(read?.points.length, MAX_POINTS);
  assert.deepEqual(read?.points.slice(0, 3), [
    [0, 1000],
    [1, 3],
    [7, 7],
  ]);
  assert.equal(readStroke({ points: [[1, 1]], width: "10" })?.width, 4);
  assert.equal(readStroke({ points: [[1, 1]], width: -1 })?.width, 1);
  assert.equal(readStroke({ points: [[1, 1]], colour: ["red"] })?.colour, "ink");
});

test("what is no stroke is left out", () => {
  for (const points of [
    undefined,
    null,
    7,
    "[[1,1]]",
    {},
    [],
    [1, 2],
    [[1]],
    [["1", "2"]],
    [[NaN, 1]],
    [[1, Infinity]],
    [null],
  ]) {
    assert.equal(readStroke({ ...STROKE, points }), null, JSON.stringify(points));
  }
  for (const data of [null, undefined, 7, "stroke", []]) assert.equal(readStroke(data), null);
});

/** A pen, and the points of the strokes that it has made. */
function newPen() {
  /** @type {any[]} */
  const strokes = [];
  const pen = new Pen({ colour: "blue", width: 4 }, (stroke) => strokes.push(stroke));
  return { pen, strokes };
}

test("a pen makes whole points on the board, and leaves out what nobody could see", () => {
  const { pen, strokes } = newPen();
  for (const [x, y] of [
    [-20, 5.4],
    [1, 5],
    [2.6, 6],
    [900, 1200],
  ])
    pen.moveTo(x, y);
  pen.lift();
  assert.deepEqual(strokes, [
    {
      colour: "blue",
      width: 4,
      points: [
        [0, 5],
        [3, 6],
        [900, 1000],
      ],
    },
  ]);
});

test("a pen that does not move makes a dot, and one that does nothing makes nothing", () => {
  const { pen, strokes } = newPen();
  pen.lift();
  assert.equal(strokes.length, 0);
  pen.moveTo(10, 10);
  pen.lift();
  pen.lift();
  assert.deepEqual(
    strokes.map(({ points }) => points),
    [[[10, 10]]],
  );
});

test("a long line is sent in pieces that hang together", () => {
  const { pen, strokes } = newPen();
  for (let step = 0; step <= 2 * (MAX_POINTS - 1); step++) pen.moveTo((step % 2) * 500, step * 5);
  // The last piece is full exactly at the end; there is no rest.
  pen.lift();
  assert.deepEqual(
    strokes.map(({ points }) => points.length),
    [MAX_POINTS, MAX_POINTS],
  );
  assert.deepEqual(strokes[1].points[0], strokes[0].points.at(-1));
  for (const stroke of strokes) assert.deepEqual(readStroke(stroke), stroke);
});

test("a board shows the strokes since it was cleared, each once", () => {
  const board = new Board();
  board.apply(event(1));
  board.apply(event(2, "clear", {}));
  board.apply(event(3));
  board.apply(event(4, "message", { text: "not here" }));
  board.apply(event(5, "stroke", { points: "evil" }));
  board.apply(event(6));
  board.apply(event(3));
  assert.deepEqual([...board.strokes.keys()], ["k3f9x2.3", "k3f9x2.6"]);
});

test("a board shows the newest strokes and no more than it can draw", () => {
  const board = new Board();
  for (let id = 1; id <= MAX_STROKES + 5; id++) board.apply(event(id));
  assert.equal(board.strokes.size, MAX_STROKES);
  assert.equal([...board.strokes.keys()][0], "k3f9x2.6");
});

/** An outbox whose server is the test. */
function newOutbox() {
  /**
   * @type {{ kind: string, data: unknown, key: string, resolve: (id: string) => Promise<void>,
   *   reject: (error: Error) => Promise<void> }[]}
   */
  const sent = [];
  /** @type {string[]} */
  const refused = [];
  const log = { cursor: "k3f9x2.5" };
  const outbox = new Outbox(
    (kind, data, key) =>
      new Promise((resolve, reject) => {
        sent.push({
          kind,
          data,
          key,
          resolve: (id) => (resolve(id), settle()),
          reject: (error) => (reject(error), settle()),
        });
      }),
    { onChange() {}, onRefused: (why) => refused.push(why), cursor: () => log.cursor },
  );
  return { outbox, sent, refused, log };
}

test("a stroke waits until it comes back as an event", async () => {
  const { outbox, sent } = newOutbox();
  outbox.setOpen(true);
  outbox.add("stroke", STROKE);
  assert.equal(sent.length, 1);
  await sent[0].resolve("k3f9x2.6");
  assert.equal(outbox.unsent.size, 1);
  outbox.onEvent("k3f9x2.7");
  assert.equal(outbox.unsent.size, 1);
  outbox.onEvent("k3f9x2.6");
  assert.equal(outbox.unsent.size, 0);
});

test("what has no answer is sent again with the same key when there is a connection, in order", async () => {
  const { outbox, sent } = newOutbox();
  outbox.add("stroke", 1);
  outbox.add("stroke", 2);
  assert.equal(sent.length, 0);
  outbox.setOpen(true);
  outbox.setOpen(false);
  for (const publish of [...sent]) await publish.reject(new Error("broke"));
  await pass(60_000);
  assert.equal(sent.length, 2, "nothing is sent into nothing");
  outbox.setOpen(true);
  assert.deepEqual(
    sent.map(({ data }) => data),
    [1, 2, 1, 2],
  );
  assert.deepEqual(
    sent.slice(2).map(({ key }) => key),
    sent.slice(0, 2).map(({ key }) => key),
  );
  assert.notEqual(sent[0].key, sent[1].key);
});

test("a second try that is answered after its event has come is done", async () => {
  const { outbox, sent, log } = newOutbox();
  outbox.setOpen(true);
  outbox.add("stroke", STROKE);
  outbox.setOpen(false);
  await sent[0].reject(new Error("broke"));
  // It had arrived. The replay brings its event before anybody here knows whose it is.
  log.cursor = "k3f9x2.6";
  outbox.onEvent("k3f9x2.6");
  outbox.setOpen(true);
  await sent[1].resolve("k3f9x2.6");
  assert.equal(outbox.unsent.size, 0);
});

test("what fails while the connection lives is tried again after a pause, and what is refused is not", async () => {
  const { outbox, sent, refused } = newOutbox();
  outbox.setOpen(true);
  outbox.add("stroke", STROKE);
  await sent[0].reject(new Error("in time"));
  assert.equal(sent.length, 1);
  await pass(999);
  assert.equal(sent.length, 1);
  await pass(1);
  assert.equal(sent.length, 2);
  await sent[1].reject(new Refused("Too large."));
  await pass(60_000);
  assert.equal(sent.length, 2);
  assert.deepEqual(refused, ["Too large."]);
  assert.equal(outbox.unsent.size, 0);
});

test("few are under way at once, and not more wait than is promised", async () => {
  const { outbox, sent } = newOutbox();
  outbox.setOpen(true);
  for (let number = 0; number < 100; number++) assert.equal(outbox.add("stroke", number), true);
  assert.equal(outbox.add("stroke", "one too many"), false);
  assert.equal(sent.length, 8);
  await sent[0].resolve("k3f9x2.6");
  assert.equal(sent.length, 9);
  assert.equal(sent[8].data, 8);
});

test("a gap forgets what the log has taken, and keeps what it has not", async () => {
  const { outbox, sent } = newOutbox();
  outbox.setOpen(true);
  outbox.add("stroke", 1);
  outbox.add("stroke", 2);
  await sent[0].resolve("k3f9x2.6");
  outbox.onGap();
  assert.deepEqual(
    [...outbox.unsent.values()].map(({ data }) => data),
    [2],
  );
});
