// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame } from "../book/frame.js";
import { explain } from "../wire/explain.js";
import { decode, METHODS, recordingOf, recordOf, recut } from "./wire/support.js";

/** @typedef {import("../wire/arrows.js").Arrow} Arrow */

const STREAM = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
const chunk = (/** @type {string} */ data) =>
  `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;

/** @param {Arrow[]} arrows */
const labels = (arrows) => arrows.map(({ label }) => label);

test("each method's exchange has the arrows that it had on the wire", () => {
  const { arrows: polling } = decode(recordingOf("polling"));
  assert.deepEqual(labels(polling).slice(-6), [
    "GET events, after 3",
    "200, 2 events",
    "POST events",
    "201, 7",
    "GET events, after 5",
    "200, 3 events",
  ]);
  assert.deepEqual(
    polling.at(-1)?.events.map(({ id }) => id.slice(7)),
    ["6", "7", "8"],
  );

  const parked = decode(recordingOf("long-polling"));
  assert.ok(labels(parked.arrows).includes("GET events, after 11, wait=25"));
  assert.equal(parked.bars.filter(({ kind }) => kind === "parked").length, 5);
  // The server cut it amid the answer.
  assert.deepEqual(
    parked.arrows.filter(({ isHalf }) => isHalf).map(({ way, size }) => [way, size]),
    [["down", 134]],
  );

  const { arrows: sse, bars } = decode(recordingOf("sse"));
  assert.deepEqual(labels(sse).slice(-5), [
    "GET events, last 17",
    "200 OK",
    "hello",
    "event 18",
    "event 19",
  ]);
  const streams = bars.filter(({ kind }) => kind === "stream");
  assert.deepEqual(
    streams.map(({ end }) => end),
    ["server", "client"],
  );

  const socket = decode(recordingOf("websocket"));
  assert.deepEqual(labels(socket.arrows).slice(0, 7), [
    "GET events, after 19, to websocket",
    "101 Switching Protocols",
    "hello",
    "event 20",
    "event 21",
    "heartbeat",
    "ping",
  ]);
  const up = socket.arrows.filter(({ way }) => way === "up");
  assert.deepEqual(
    up.map(({ kind }) => kind),
    ["request", "publish", "control", "control"],
  );
  assert.deepEqual(
    socket.bars.map(({ kind }) => kind),
    ["request", "socket"],
  );
});

test("wherever the bytes are cut, the arrows are the same", () => {
  for (const method of METHODS) {
    const record = recordingOf(method);
    const whole = decode(record);
    const total = record.pieces.reduce((sum, { size }) => sum + size, 0);
    assert.ok(total > 1000, method);
    // Each position, some far from each other at a time.
    for (let at = 0; at < 61; at++) {
      const cut = recut(record, (offset) => offset % 61 === at);
      assert.deepEqual(decode(cut), whole, `${method}, before byte ${at} of each 61`);
    }
    const drops = recut(record, () => true);
    assert.equal(drops.pieces.length, total);
    assert.deepEqual(decode(drops), whole, `${method}, byte by byte`);
    // One question after the other, with a piece each.
    const steps = record.pieces.map((piece, at) => ({
      ...record,
      pieces: [piece],
      next: at + 1,
      connections: at + 1 < record.pieces.length ? [] : record.connections,
    }));
    const labelled = (/** @type {Arrow[]} */ arrows) => labels(arrows).toSorted();
    assert.deepEqual(labelled(decode(...steps).arrows), labelled(whole.arrows), method);
  }
});

test("each byte of a record belongs to one arrow, and to one part of it", () => {
  for (const method of METHODS) {
    const record = recordingOf(method);
    for (const way of /** @type {const} */ (["up", "down"])) {
      for (const { id } of record.connections) {
        const sent = record.pieces.filter((piece) => piece.c === id && piece.way === way);
        const arrows = decode(record).arrows.filter((it) => it.c === id && it.way === way);
        const bytes = (/** @type {Uint8Array[]} */ all) => Buffer.concat(all).toString("latin1");
        assert.equal(
          bytes(arrows.map((arrow) => arrow.bytes)),
          bytes(sent.map(({ data }) => Buffer.from(data ?? "", "base64"))),
          method,
        );
        for (const arrow of arrows) {
          const parts = explain(arrow);
          assert.equal(bytes(parts.map((part) => part.bytes)), bytes([arrow.bytes]), arrow.text);
          assert.ok(parts.every(({ name }) => name !== ""));
          assert.equal(arrow.size, arrow.bytes.length);
        }
      }
    }
  }
});

test("parts are named as the protocols name them", () => {
  const names = (/** @type {Arrow | undefined} */ arrow) =>
    arrow && explain(arrow).map(({ name }) => name);
  const { arrows } = decode(recordingOf("sse"));
  assert.deepEqual(names(arrows.find(({ label }) => label === "hello")), [
    "chunk size",
    "id",
    "event",
    "retry",
    "data",
    "empty line",
    "end of the chunk",
  ]);
  assert.deepEqual(names(arrows.find(({ label }) => label === "POST events"))?.slice(-3), [
    "header",
    "empty line",
    "body",
  ]);
  const frames = decode(recordingOf("websocket")).arrows;
  assert.deepEqual(names(frames.find(({ kind }) => kind === "publish")), [
    "first byte",
    "second byte",
    "length",
    "masking key",
    "masked payload",
  ]);
});

test("blocks and chunks need not agree", () => {
  const blocks =
    ": hi\n\nid: 1\r\ndata: a\r\n\r\ndata: b\rdata: c\r\rid: 9\n\nevent: x\ndata: d\n\n";
  const body = [7, 9, 10, 31].map((cut, place, cuts) => blocks.slice(cuts[place - 1] ?? 0, cut));
  const rest = blocks.slice(31);
  const sent =
    `${STREAM}transfer-encoding: chunked\r\n\r\n` +
    [...body, rest].map(chunk).join("") +
    "0\r\n\r\n" +
    "HTTP/1.1 204 No Content\r\n\r\n";
  const record = recordOf([{ way: "down", bytes: sent }]);
  const whole = decode(record);
  assert.deepEqual(labels(whole.arrows), [
    "200 OK",
    "comment",
    "message",
    "message",
    "no event",
    "x",
    "end of body",
    "204 No Content",
  ]);
  assert.match(whole.arrows[3].text, /b\nc/);
  const parts = whole.arrows.flatMap(explain).map(({ bytes }) => Buffer.from(bytes));
  assert.equal(Buffer.concat(parts).toString(), sent);
  assert.deepEqual(
    whole.bars.map(({ kind, end }) => [kind, end]),
    [["stream", "finished"]],
  );
  for (let at = 1; at < sent.length; at++) {
    const cut = recut(record, (offset) => offset === at);
    assert.deepEqual(decode(cut), whole, `before byte ${at}`);
  }
});

test("a stream without chunks shows each block when it ends", () => {
  const head = `${STREAM}\r\n`;
  const { arrows } = decode(
    recordOf([
      { way: "down", bytes: head },
      { way: "down", bytes: "data: a\n\n" },
      { way: "down", bytes: "data: b" },
    ]),
  );
  assert.deepEqual(labels(arrows), ["200 OK", "message"]);
});

test("a message of several frames is read as one, and pings come in between", () => {
  const frame = (/** @type {object} */ more) =>
    encodeFrame({ fin: true, opcode: 0, mask: null, payload: new Uint8Array(), ...more });
  const text = Buffer.from('{"heartbeat":{"every":5}}');
  const bytes = Buffer.concat([
    Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    frame({ fin: false, opcode: 1, payload: text.subarray(0, 5) }),
    frame({ opcode: 9 }),
    frame({ payload: text.subarray(5) }),
    frame({ opcode: 2, payload: Uint8Array.of(1) }),
  ]);
  const { arrows } = decode(recordOf([{ way: "down", bytes }]));
  assert.deepEqual(
    arrows.slice(1).map(({ kind, label }) => [kind, label]),
    [
      ["other", "part of a message"],
      ["control", "ping"],
      ["heartbeat", "heartbeat"],
      ["other", "message"],
    ],
  );
});

test("an interim response is one of its own, and the request stays open", () => {
  const { arrows, bars } = decode(
    recordOf([
      { way: "up", bytes: "GET /a HTTP/1.1\r\n\r\n" },
      { way: "down", bytes: "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" },
      { way: "down", bytes: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi" },
    ]),
  );
  assert.deepEqual(labels(arrows), ["GET a", "103 Early Hints", "200 OK"]);
  assert.deepEqual(
    bars.map(({ from, to }) => [from, to]),
    [[0, 2]],
  );
});

test("what is no HTTP/1.1 is shown, and not read", () => {
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const settings = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
  const { arrows } = decode(
    recordOf([
      { way: "up", bytes: preface },
      { way: "down", bytes: settings },
      { way: "up", bytes: settings },
    ]),
  );
  assert.deepEqual(
    arrows.map(({ kind, size }) => [kind, size]),
    [
      ["unread", 24],
      ["unread", 9],
      ["unread", 9],
    ],
  );
});

test("after a hole nothing is guessed, up to the next message", () => {
  const { arrows } = decode(
    recordOf([
      { way: "down", bytes: "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\nabc", size: 80 },
      { way: "down", bytes: "no head" },
      { way: "down", bytes: "HTTP/1.1 204 No Content\r\n\r\n" },
    ]),
  );
  assert.deepEqual(
    arrows.map(({ kind, label, size }) => [kind, label, size]),
    [
      ["unread", "unread", 42],
      ["unread", "hole", 38],
      ["unread", "unread", 7],
      ["response", "204 No Content", 27],
    ],
  );
  const record = recordOf([{ way: "down", bytes: "HTTP/1.1 200 OK\r\n" }]);
  const later = recordOf([{ way: "down", bytes: "x: y\r\n\r\n" }], { next: 3 });
  assert.deepEqual(
    decode(record, later).arrows.map(({ kind }) => kind),
    ["unread", "unread"],
  );
});

test("what a script sees makes the same arrows", () => {
  const base64 = (/** @type {string} */ text) => Buffer.from(text).toString("base64");
  const hello = 'event: hello\ndata: {"cursor":"abcdef.1","every":5}\n\n';
  const page = '{"after":"abcdef.1","events":[],"next":"abcdef.1"}';
  /** @type {import("../wire/format.js").WirePiece[]} */
  const pieces = [
    {
      c: 1,
      t: 1,
      way: "up",
      size: 0,
      part: "request",
      head: { method: "GET", target: "/events?after=abcdef.1", headers: [["prefer", "wait=25"]] },
    },
    { c: 1, t: 2, way: "down", size: 0, part: "response", head: { status: 200, headers: [] } },
    { c: 1, t: 3, way: "down", size: 25, part: "body", data: base64(page.slice(0, 25)) },
    { c: 1, t: 4, way: "down", size: 25, part: "body", data: base64(page.slice(25)) },
    { c: 1, t: 5, way: "down", size: 0, part: "end" },
    {
      c: 2,
      t: 6,
      way: "up",
      size: 0,
      part: "request",
      head: { method: "GET", target: "/events", headers: [] },
    },
    {
      c: 2,
      t: 7,
      way: "down",
      size: 0,
      part: "response",
      head: { status: 200, headers: [["content-type", "text/event-stream"]] },
    },
    { c: 2, t: 8, way: "down", size: hello.length, part: "body", data: base64(hello) },
  ];
  const { arrows, bars } = decode(recordOf([], { pieces, source: "worker" }));
  assert.deepEqual(
    arrows.map(({ label, from, t, size }) => [label, from, t, size]),
    [
      ["GET events, after 1, wait=25", 1, 1, 0],
      ["200, 0 events", 2, 4, 50],
      ["GET events", 6, 6, 0],
      ["200 OK", 7, 7, 0],
      ["hello", 8, 8, hello.length],
    ],
  );
  assert.deepEqual(
    bars.map(({ kind, to }) => [kind, to]),
    [
      ["parked", 2],
      ["request", 7],
      ["stream", null],
    ],
  );
  const [request] = arrows.map(explain);
  assert.deepEqual(
    request.map(({ name, text }) => [name, text]),
    [
      ["request", "GET /events?after=abcdef.1"],
      ["header", "prefer: wait=25"],
    ],
  );
});

test("what a recorder has decoded is shown as it is", () => {
  /** @type {import("../wire/format.js").WirePiece[]} */
  const pieces = [
    {
      c: 1,
      t: 1,
      way: "down",
      size: 9,
      data: Buffer.from("123456789").toString("base64"),
      label: "PUSH_PROMISE 1",
      text: ":path: /style.css\n:method: GET",
      kind: "request",
    },
  ];
  const [arrow] = decode(recordOf([], { pieces })).arrows;
  assert.equal(arrow.text, "PUSH_PROMISE 1: :path: /style.css");
  assert.deepEqual(
    explain(arrow).map(({ name, text }) => [name, text]),
    [
      ["decoded", ":path: /style.css\n:method: GET"],
      ["bytes", ""],
    ],
  );
});
