// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Backoff, Follower } from "../shared/reconnect.js";
import {
  asked,
  BASE,
  event,
  Heard,
  idsOf,
  json,
  last,
  pass,
  policy,
  problem,
  settle,
  start,
} from "./support.js";
import { afterClose, createWebSocket, Refused } from "../websocket/websocket-client.js";

/** The sockets of this test, in order. @type {FakeSocket[]} */
let sockets = [];

/** A socket whose other end is the test. */
class FakeSocket {
  /**
   * @param {URL} url
   * @param {string} subprotocol
   */
  constructor(url, subprotocol) {
    this.url = url;
    this.subprotocol = subprotocol;
    this.bufferedAmount = 0;
    /** @type {any[]} */
    this.sent = [];
    /** @type {number | null} */
    this.closedWith = null;
    /** @type {(() => void) | null} */
    this.onopen = null;
    /** @type {((message: { data: unknown }) => void) | null} */
    this.onmessage = null;
    /** @type {((close: { code: number, reason: string }) => void) | null} */
    this.onclose = null;
    sockets.push(this);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  /** @param {number} code */
  close(code) {
    if (code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException("code", "InvalidAccessError");
    this.closedWith = code;
  }

  /** @param {unknown} message */
  async say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
    await settle();
  }

  /** @param {number} code */
  async end(code, reason = "") {
    this.onclose?.({ code, reason });
    await settle();
  }

  async hello(cursor = "k3f9x2.5", every = 15_000) {
    this.onopen?.();
    await this.say({ hello: { cursor, every } });
  }
}

beforeEach(() => {
  sockets = [];
  Object.assign(globalThis, { WebSocket: FakeSocket });
});

function socket() {
  const newest = sockets.at(-1);
  assert.ok(newest, "no socket was opened");
  return newest;
}

/** A method that is connected, and what it says. */
async function connected() {
  const method = createWebSocket(BASE);
  const heard = new Heard(method);
  await socket().hello();
  return { method, heard };
}

/** What a promise comes to. @param {Promise<unknown>} promise */
async function outcome(promise) {
  return promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
}

test("the handshake says where to go on, what it is for and who asks", () => {
  new Heard(createWebSocket(BASE), "k3f9x2.5");
  const { url, subprotocol } = socket();
  assert.equal(`${url.protocol}//${url.host}${url.pathname}`, "ws://server.test/live/events");
  assert.equal(url.searchParams.get("after"), "k3f9x2.5");
  assert.match(String(url.searchParams.get("connection")), /^[0-9a-f]{24}$/);
  assert.equal(subprotocol, "waiting.v1");
  new Heard(createWebSocket(new URL("https://server.test/")));
  assert.equal(socket().url.protocol, "wss:");
});

test("the board is a log of its own, with a status of its own", async () => {
  const method = createWebSocket(BASE, { log: "board" });
  new Heard(method);
  assert.equal(socket().url.pathname, "/live/board");
  method.verdict(null, new AbortController().signal);
  assert.equal(last().url.pathname, "/live/board/status");
  // There is no request that draws.
  const { error } = await outcome(method.publish("stroke", {}, "a"));
  assert.match(error.message, /no connection/);
  assert.equal(asked.length, 1);
});

test("it is open when the server has said hello, and not before", async () => {
  const heard = new Heard(createWebSocket(BASE));
  socket().onopen?.();
  await settle();
  assert.deepEqual(heard.words, []);
  await socket().say({ hello: { cursor: "k3f9x2.5", every: 3000 } });
  assert.deepEqual(heard.words, [["cursor", "k3f9x2.5"], ["opened"]]);
  assert.equal(heard.expected.at(-1), 3000);
});

test("each message is told as what it is, and an unknown one is left out", async () => {
  const { heard } = await connected();
  heard.words = [];
  heard.expected = [];
  await socket().say({ event: event(6) });
  await socket().say({ gap: { reason: "expired", asked: "k3f9x2.6", resume: "k3f9x2.9" } });
  await socket().say({ heartbeat: { every: 2000 } });
  assert.deepEqual(heard.words, [
    ["event", "k3f9x2.6"],
    ["gap", "expired", "k3f9x2.9"],
  ]);
  assert.deepEqual(heard.expected, [2000]);
});

test("a message that cannot be read ends the connection, so that no event is skipped", async () => {
  for (const { message, then } of policy.messages) {
    const { heard } = await connected();
    await socket().say(message);
    const failed = heard.words.some(([word]) => word === "failure");
    assert.equal(failed, then === "again", JSON.stringify(message));
  }
  for (const data of ["no JSON", new Uint8Array(3)]) {
    const { heard } = await connected();
    socket().onmessage?.({ data });
    await settle();
    assert.deepEqual(heard.words.at(-1), ["failure", undefined]);
  }
});

test("a close says by its code whether to come back, and what becomes of what has no answer", async () => {
  for (const { code, then } of policy.close_codes) {
    assert.equal(afterClose(code), then, String(code));
    const { method, heard } = await connected();
    const small = outcome(method.publish("message", 1, "small"));
    const large = outcome(method.publish("message", "x".repeat(100), "large"));
    await socket().end(code);
    const word = {
      stop: ["finished"],
      "give-up": ["failure", "refused"],
      renew: ["renew"],
      denied: ["denied"],
    }[String(then)];
    const again = code === 1001 ? ["ending"] : ["failure", undefined];
    assert.deepEqual(heard.words.at(-1), word ?? again, String(code));
    const refused = [await small, await large].map(({ error }) => error instanceof Refused);
    const expected = {
      "give-up": [true, true],
      denied: [true, true],
      "drop-largest": [false, true],
    }[String(then)];
    assert.deepEqual(refused, expected ?? [false, false], String(code));
  }
});

test("a refused handshake is explained by the server's status", async () => {
  const follower = new Follower(createWebSocket(BASE), {
    backoff: new Backoff({ random: () => 0 }),
  });
  start(follower);
  await settle();
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  await socket().end(1006);
  assert.equal(last().url.href, "http://server.test/live/status?after=k3f9x2.5");
  await last().answer(problem("busy", 503, {}, { "Retry-After": "5" }));
  assert.equal(follower.state, "waiting");
  await pass(5099);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.equal(sockets.length, 2);
  await socket().end(1006);
  await last().answer(problem("future-cursor", 400));
  assert.equal(follower.state, "failed");
});

test("it goes on after a break from the last event that it had", async () => {
  const backoff = new Backoff({ random: () => 0 });
  const follower = new Follower(createWebSocket(BASE), { backoff });
  const updates = start(follower);
  await settle();
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  await socket().hello();
  await socket().say({ event: event(6) });
  const old = socket();
  await old.end(1006);
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.7", finished: false }));
  await pass(100);
  assert.equal(socket().url.searchParams.get("after"), "k3f9x2.6");
  assert.equal(socket().url.searchParams.get("connection"), old.url.searchParams.get("connection"));
  await socket().hello("k3f9x2.6");
  await socket().say({ event: event(6) });
  await socket().say({ event: event(7) });
  assert.deepEqual(idsOf(updates), ["k3f9x2.6", "k3f9x2.7"]);
  assert.deepEqual(follower.counts, { received: 2, doubled: 1, lost: 0, gaps: 0, reconnects: 1 });
});

test("silence is noticed after the interval that hello has named", async () => {
  const follower = new Follower(createWebSocket(BASE));
  start(follower);
  await settle();
  await last().answer(json(200, { earliest: "k3f9x2.0", latest: "k3f9x2.5", finished: false }));
  await socket().hello("k3f9x2.5", 1000);
  await pass(2900);
  await socket().say({ ack: { ref: "of another time", id: "k3f9x2.5" } });
  await pass(2900);
  assert.equal(follower.state, "open");
  await pass(101);
  assert.equal(follower.state, "connecting");
  assert.equal(socket().closedWith, 1000);
});

test("to close is to say 1000, and then nothing more is heard", async () => {
  const { method, heard } = await connected();
  const published = outcome(method.publish("message", {}, "a"));
  const words = heard.words.length;
  heard.close();
  assert.equal(socket().closedWith, 1000);
  assert.match((await published).error.message, /closed before the answer/);
  await socket().say({ event: event(6) });
  await socket().end(1000);
  assert.equal(heard.words.length, words);
});

test("a publish is answered by the ack with its ref, and by no other", async () => {
  const { method } = await connected();
  const [first, second] = [
    method.publish("message", { text: "1" }, "a"),
    method.publish("message", 2, "b"),
  ];
  assert.deepEqual(socket().sent, [
    { publish: { ref: "a", kind: "message", data: { text: "1" } } },
    { publish: { ref: "b", kind: "message", data: 2 } },
  ]);
  await socket().say({ ack: { ref: "c", id: "k3f9x2.6" } });
  await socket().say({ ack: { ref: "b", id: "k3f9x2.7" } });
  await socket().say({ ack: { ref: "a", id: "k3f9x2.8" } });
  assert.deepEqual([await first, await second], ["k3f9x2.8", "k3f9x2.7"]);
  assert.equal(asked.length, 0);
});

test("an error rejects with the problem in words, and says whether it is final", async () => {
  const { method } = await connected();
  for (const [status, isFinal] of /** @type {const} */ ([
    [413, true],
    [429, false],
    [503, false],
  ])) {
    const published = outcome(method.publish("message", {}, "a"));
    await socket().say({
      error: { ref: "a", problem: { title: "No", detail: "because", status } },
    });
    const { error } = await published;
    assert.equal(error.message, "No. because.");
    assert.equal(error instanceof Refused, isFinal, String(status));
  }
});

test("a publish without an answer is late after ten seconds", async () => {
  const { method } = await connected();
  const published = outcome(method.publish("message", {}, "a"));
  await pass(9999);
  await socket().say({ heartbeat: { every: 15_000 } });
  await pass(1);
  assert.match((await published).error.message, /in time/);
  // What comes later belongs to nobody.
  await socket().say({ ack: { ref: "a", id: "k3f9x2.6" } });
});

test("a publish whose socket breaks is told so at once, and sent again with the same ref", async () => {
  const { method } = await connected();
  const published = outcome(method.publish("message", { text: "1" }, "a"));
  await socket().end(1006);
  assert.match((await published).error.message, /broke before the answer/);

  // There is no socket: by a request, with the ref as the key.
  const again = method.publish("message", { text: "1" }, "a");
  assert.equal(last().init.method, "POST");
  assert.equal(last().url.pathname, "/live/events");
  assert.equal(last().headers.get("Idempotency-Key"), "a");
  await last().answer(json(201, { id: "k3f9x2.6" }));
  assert.equal(await again, "k3f9x2.6");

  // There is one again.
  new Heard(method);
  await socket().hello();
  method.publish("message", { text: "1" }, "a");
  assert.equal(socket().sent[0].publish.ref, "a");
  assert.equal(asked.length, 1);
});

test("the same ref twice at once is sent once", async () => {
  const { method } = await connected();
  const both = [method.publish("message", {}, "a"), method.publish("message", {}, "a")];
  assert.equal(socket().sent.length, 1);
  await socket().say({ ack: { ref: "a", id: "k3f9x2.6" } });
  assert.deepEqual(await Promise.all(both), ["k3f9x2.6", "k3f9x2.6"]);
});

test("what the line does not take is refused here", async () => {
  const { method } = await connected();
  socket().bufferedAmount = 64 * 1024 + 1;
  const { error } = await outcome(method.publish("message", {}, "a"));
  assert.match(error.message, /too slow/);
  assert.equal(error instanceof Refused, false);
  assert.equal(socket().sent.length, 0);
});

test("a cut names the connection of the sockets", async () => {
  const { method } = await connected();
  method.cut?.();
  assert.equal(last().url.pathname, "/live/cut");
  assert.equal(
    last().url.searchParams.get("connection"),
    socket().url.searchParams.get("connection"),
  );
});

test("a token is the first message of each socket, and a heartbeat can move the cursor", async () => {
  let tokens = 0;
  const renew = async () => ({ token: `t${(tokens += 1)}` });
  const follower = new Follower(createWebSocket(BASE, { renew }), {
    backoff: new Backoff({ random: () => 0 }),
  });
  follower.cursor = "k3f9x2.5";
  start(follower);
  await settle();
  socket().onopen?.();
  assert.deepEqual(socket().sent, [{ auth: { token: "t1" } }]);
  await socket().say({ hello: { cursor: "k3f9x2.5", every: 15000 } });
  await socket().say({ heartbeat: { every: 15000, cursor: "k3f9x2.9" } });
  assert.equal(follower.cursor, "k3f9x2.9");
  await socket().end(3000);
  await pass(200);
  assert.equal(sockets.length, 2);
  assert.equal(socket().url.searchParams.get("after"), "k3f9x2.9");
  socket().onopen?.();
  assert.deepEqual(socket().sent, [{ auth: { token: "t2" } }]);
  await socket().say({ hello: { cursor: "k3f9x2.9", every: 15000 } });
  await socket().end(3003);
  assert.equal(follower.state, "failed");
});
