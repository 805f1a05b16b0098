// @ts-check
// The browser's modules against the examples of the contract, `crates/contract/vectors`: the same
// files as those of the Rust types.
//
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { asked, BASE, Heard, json, last, settle } from "./support.js";
import {
  PROBLEM_JSON,
  problemName,
  readEnd,
  readEvent,
  readGap,
  readHeartbeat,
  readHello,
  readLogPage,
} from "../shared/contract.js";
import { parseCursor } from "../shared/cursor.js";
import { askStatus, publish, verdictOf } from "../shared/http.js";
import { createLongPolling } from "../long-polling/long-polling-client.js";
import { EventStreamParser } from "../sse/event-stream.js";
import { createSse } from "../sse/sse-client.js";
import { afterClose, createWebSocket } from "../websocket/websocket-client.js";

/** @typedef {import("../shared/reconnect.js").Update} Update */

const VECTORS = new URL("../../contract/vectors/", import.meta.url);

/** @param {string} path */
function read(path) {
  return readFileSync(new URL(path, VECTORS), "utf8").replace(/\n$/, "");
}

/** @param {string} path */
function parse(path) {
  return JSON.parse(read(path));
}

/**
 * The examples of a shape: names and texts.
 *
 * @param {string} shape
 * @returns {[string, string][]}
 */
function examples(shape) {
  const files = readdirSync(new URL(`${shape}/`, VECTORS));
  assert.ok(files.length > 0);
  return files.map((file) => [file.replace(/\.\w+$/, ""), read(`${shape}/${file}`)]);
}

const names = parse("names.json");
const refused = parse("refused.json");
const tolerated = parse("tolerated.json");
const ignored = parse("ignored.json");

/**
 * @param {string} shape
 * @param {(value: any) => unknown} read `null` for what it refuses
 * @param {object} [defaults] members that a reader adds where they are left out
 */
function check(shape, read, defaults = {}) {
  for (const [name, text] of examples(shape)) {
    const value = JSON.parse(text);
    assert.deepEqual(read(value), { ...defaults, ...value }, `${shape}/${name}`);
  }
  for (const value of tolerated[shape] ?? []) {
    assert.ok(read(value), JSON.stringify(value));
  }
  for (const { why, json } of refused[shape] ?? []) {
    assert.equal(read(json), null, `${shape}: ${why}`);
  }
}

test("a cursor is read, and what is none is refused", () => {
  const { valid, invalid } = parse("text/cursor.json");
  for (const text of valid) {
    const cursor = parseCursor(text);
    assert.equal(`${cursor?.epoch}.${cursor?.id}`, text);
  }
  for (const text of invalid) assert.equal(parseCursor(text), null, JSON.stringify(text));
});

test("each shape is read, and what is none is refused", () => {
  check("event", readEvent);
  check("log-page", readLogPage, { more: false, finished: false });
  check("gap", (value) => readGap(value));
  check("hello", readHello);
  check("heartbeat", readHeartbeat);
  check("end", readEnd);
  assert.equal(PROBLEM_JSON, names.problem_media_type);
});

test("a kind is one of the contract's", () => {
  const { valid, invalid } = parse("text/kind.json");
  const event = parse("event/tick.json");
  const readKind = (/** @type {string} */ kind) => readEvent({ ...event, kind })?.kind;
  for (const kind of valid) assert.equal(readKind(kind), kind);
  for (const kind of invalid) assert.equal(readKind(kind), undefined, JSON.stringify(kind));
});

test("a status is read, and what is none is refused", async () => {
  /** @param {unknown} value */
  const ask = async (value) => {
    const verdict = askStatus(BASE, "k3f9x2.17", new AbortController().signal);
    assert.equal(last().url.searchParams.get(names.params.after), "k3f9x2.17");
    await last().answer(json(200, value));
    const { kind, ...status } = await verdict;
    return kind === "ready" ? status : null;
  };
  for (const [name, text] of examples("status")) {
    assert.deepEqual(await ask(JSON.parse(text)), JSON.parse(text), name);
  }
  for (const value of tolerated.status) assert.ok(await ask(value));
  for (const { why, json } of refused.status) assert.equal(await ask(json), null, why);
});

test("a publish is written, and its answer is read", async () => {
  for (const [name, text] of examples("new-event")) {
    const { kind, data } = JSON.parse(text);
    publish(BASE, kind, data, "a-key").catch(() => {});
    assert.equal(last().init.body, text, name);
    assert.equal(last().headers.get(names.headers.idempotency_key), "a-key");
  }
  /** @param {unknown} value */
  const answer = async (value) => {
    const id = publish(BASE, "a", 1, "a-key").catch(() => null);
    await last().answer(json(201, value));
    return id;
  };
  const accepted = parse("accepted/accepted.json");
  assert.equal(await answer(accepted), accepted.id);
  for (const value of tolerated.accepted) assert.equal(await answer(value), value.id);
  for (const { why, json } of refused.accepted) assert.equal(await answer(json), null, why);
});

test("each problem is known by its name, and a gap by its status", () => {
  for (const [name, text] of examples("problem")) {
    const problem = JSON.parse(text);
    assert.equal(problemName(problem), name);
    assert.equal(problem.type, names.problem_type_prefix + name);
    const verdict = verdictOf(json(problem.status, problem), problem);
    const { status, resume } = problem;
    const later = status === 408 || status === 429 || status >= 500;
    if (status === 410) assert.deepEqual(verdict, { kind: "gap", resume });
    else if (status === 401) assert.equal(verdict.kind, "unauthorized", name);
    else assert.equal(verdict.kind, later ? "busy" : "refused", name);
  }
});

/** A socket whose other end is the test. */
class FakeSocket {
  bufferedAmount = 0;
  /** @type {string[]} */
  sent = [];
  /** @type {((message: { data: string }) => void) | null} */
  onmessage = null;

  /**
   * @param {URL} url
   * @param {string} subprotocol
   */
  constructor(url, subprotocol) {
    Object.assign(this, { url, subprotocol });
    FakeSocket.newest = this;
  }

  /** @type {any} */
  static newest;

  /** @param {string} text */
  send(text) {
    this.sent.push(text);
  }

  close() {}
}

/** Opens a socket. */
function connect() {
  Object.assign(globalThis, { WebSocket: FakeSocket });
  const method = createWebSocket(BASE);
  const updates = method.follow("k3f9x2.17", new AbortController().signal);
  return { method, socket: FakeSocket.newest, updates: updates[Symbol.asyncIterator]() };
}

/**
 * What a page makes of a message; `null` where it takes it for an error of the server.
 *
 * @param {unknown} message
 * @returns {Promise<Update | null>}
 */
async function receive(message) {
  const { socket, updates } = connect();
  const next = updates.next();
  socket.onmessage({ data: JSON.stringify(message) });
  return next.then(
    ({ value }) => value ?? null,
    () => null,
  );
}

test("each message of a socket is read, and what is none is refused", async () => {
  for (const [name, text] of examples("server-message")) {
    const message = JSON.parse(text);
    const update = await receive(message);
    const { hello, event, gap, heartbeat } = message;
    if (hello) assert.deepEqual(update, { type: "opened", ...hello }, name);
    else if (event) assert.deepEqual(update, { type: "event", event }, name);
    else if (gap) assert.deepEqual(update, { type: "gap", gap }, name);
    else assert.deepEqual(update, { type: "heartbeat", ...heartbeat }, name);
  }
  for (const value of tolerated["server-message"]) assert.ok(await receive(value));
  for (const value of ignored["server-message"]) {
    assert.deepEqual(await receive(value), { type: "heartbeat" }, JSON.stringify(value));
  }
  for (const { why, json } of refused["server-message"]) {
    assert.equal(await receive(json), null, why);
  }
});

test("a publish over a socket is written, and its answer is read", async () => {
  const { method, socket, updates } = connect();
  assert.equal(socket.subprotocol, names.subprotocol);
  assert.equal(socket.url.searchParams.get(names.params.after), "k3f9x2.17");
  assert.ok(socket.url.searchParams.get(names.params.connection));
  const receive = (/** @type {string} */ path) => {
    const next = updates.next();
    socket.onmessage({ data: read(`server-message/${path}.json`) });
    return next;
  };
  await receive("hello");
  const text = read("client-message/publish.json");
  const { ref, kind, data } = JSON.parse(text).publish;
  const acknowledged = method.publish(kind, data, ref);
  assert.deepEqual(socket.sent, [text]);
  await receive("ack");
  assert.equal(await acknowledged, parse("server-message/ack.json").ack.id);
  const failed = assert.rejects(method.publish(kind, data, ref), /The log is finished/);
  await receive("error");
  await failed;
});

/** A stream whose other end is the test. */
class FakeEventSource extends EventTarget {
  static CLOSED = 2;
  /** @type {any} */
  static newest;
  /** @type {((message: MessageEvent) => void) | null} */
  onmessage = null;

  /** @param {URL} url */
  constructor(url) {
    super();
    this.url = url;
    FakeEventSource.newest = this;
  }

  close() {}
}

test("each block of a stream is read", async () => {
  Object.assign(globalThis, { EventSource: FakeEventSource });
  for (const [name, block] of examples("stream")) {
    /** @type {import("../sse/event-stream.js").StreamEvent[]} */
    const events = [];
    const parser = new EventStreamParser((event) => events.push(event));
    parser.push(new TextEncoder().encode(`${block}\n\n`));
    assert.equal(events.length, 1, name);
    const [{ type, data, lastEventId }] = events;

    const updates = createSse(BASE).follow("k3f9x2.17", new AbortController().signal);
    const next = updates[Symbol.asyncIterator]().next();
    const source = FakeEventSource.newest;
    assert.equal(source.url.searchParams.get(names.params.after), "k3f9x2.17");
    assert.ok(source.url.searchParams.get(names.params.connection));
    const message = new MessageEvent(type, { data, lastEventId });
    if (type === names.default_event_type) source.onmessage(message);
    else source.dispatchEvent(message);
    const value = JSON.parse(data);
    const { every, reason } = value;
    const expected = {
      message: { type: "event", event: value },
      gap: { type: "gap", gap: value },
      hello: { type: "heartbeat", cursor: value.cursor, every },
      heartbeat: { type: "heartbeat", cursor: lastEventId, every },
      end: { type: reason === "shutdown" ? "ending" : reason },
    }[type];
    assert.deepEqual((await next).value, expected, name);
  }
});

test("a page does what each close code asks for", () => {
  const expected = {
    finished: "stop",
    shutdown: "again",
    "protocol error": "give-up",
    "text only": "give-up",
    "not UTF-8": "give-up",
    "too many": "again",
    "too large": "drop-largest",
    renew: "renew",
    denied: "denied",
  };
  const closes = parse("close.json");
  const done = closes.map(({ code, reason }) => [reason, afterClose(code)]);
  assert.deepEqual(Object.fromEntries(done), expected);
});

test("a wait is asked for by the header's name", async () => {
  const heard = new Heard(createLongPolling(BASE), "k3f9x2.17");
  await settle();
  const { searchParams } = last().url;
  assert.equal(searchParams.get(names.params.after), "k3f9x2.17");
  assert.ok(searchParams.get(names.params.connection));
  await last().answer(json(200, parse("log-page/empty.json")));
  assert.equal(asked.length, 2);
  assert.match(last().headers.get(names.headers.prefer) ?? "", /^wait=\d+$/);
  heard.close();
});
