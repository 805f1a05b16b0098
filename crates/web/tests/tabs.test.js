// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { compareCursors, parseCursor } from "../shared/cursor.js";
import { watchPage } from "../shared/panel.js";
import { Queue } from "../shared/queue.js";
import { Follower } from "../shared/reconnect.js";
import { serveTabs, shareByWorker } from "../tabs/by-worker.js";
import { shareByLock } from "../tabs/by-lock.js";
import { Kept, newOf } from "../tabs/page-of-log.js";
import { share, waysOf } from "../tabs/share.js";
import { event, idsOf, page, pass, settle, sleep, start } from "./support.js";

/** @typedef {import("../shared/contract.js").LogEvent} LogEvent */
/** @typedef {import("../shared/reconnect.js").FollowerUpdate} FollowerUpdate */
/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */

/** A server, its log, and what is open to it. */
class Log {
  epoch = "k3f9x2";
  /** Up to which event it keeps nothing. */
  dropped = 0;
  /** @type {LogEvent[]} */
  events = [];
  /** @type {{ tab: Context, after: string, updates: Queue<Update> }[]} */
  streams = [];
  /** How many streams there ever were. */
  opened = 0;
  isDown = false;

  get latest() {
    return this.events.at(-1)?.id ?? `${this.epoch}.${this.dropped}`;
  }

  /** @param {Context} tab @returns {Method} */
  methodFor(tab) {
    return {
      follow: (after, signal) => {
        const stream = { tab, after, updates: new Queue(signal, () => this.#close(stream)) };
        this.opened += 1;
        this.streams.push(stream);
        tab.enter(() => this.#open(stream));
        return stream.updates;
      },
      verdict: async (after) => {
        if (this.isDown) return { kind: "unreachable", why: "It is down." };
        const gap = after !== null && this.#gapAt(after);
        if (gap) return { kind: "gap", resume: gap.resume };
        const earliest = `${this.epoch}.${this.dropped}`;
        return { kind: "ready", earliest, latest: this.latest, finished: false };
      },
      publish: async () => "",
    };
  }

  /** @param {string} asked */
  #gapAt(asked) {
    const cursor = parseCursor(asked);
    assert.ok(cursor);
    const resume = `${this.epoch}.${this.dropped}`;
    if (cursor.epoch !== this.epoch) return { reason: "new-log", asked, resume };
    return cursor.id < BigInt(this.dropped) ? { reason: "expired", asked, resume } : null;
  }

  /** @param {Log["streams"][number]} stream */
  #open({ after, updates }) {
    updates.push({ type: "opened" });
    const gap = this.#gapAt(after);
    if (gap) updates.push({ type: "gap", gap: /** @type {any} */ (gap) });
    for (const due of this.events) if (gap || isAfter(due.id, after)) push(updates, due);
    updates.push({ type: "heartbeat", cursor: this.latest, every: 15_000 });
  }

  /** @param {Log["streams"][number]} stream */
  #close(stream) {
    this.streams = this.streams.filter((other) => other !== stream);
  }

  /** @param {number[]} ids */
  async publish(...ids) {
    for (const id of ids) {
      const next = event(id, this.epoch);
      this.events.push(next);
      for (const { tab, updates } of [...this.streams]) tab.enter(() => push(updates, next));
    }
    await settle();
  }

  /** A heartbeat on each stream. */
  async beat() {
    for (const { tab, updates } of [...this.streams])
      tab.enter(() => updates.push({ type: "heartbeat", every: 15_000 }));
    await settle();
  }

  /** Another log in the place of this one; what was open breaks. */
  async restart(epoch = "q8w7e6") {
    this.epoch = epoch;
    this.events = [];
    this.dropped = 0;
    for (const { tab, updates } of [...this.streams]) tab.enter(() => updates.end());
    await settle();
  }
}

/** @param {string} a @param {string} b */
function isAfter(a, b) {
  const [first, second] = [parseCursor(a), parseCursor(b)];
  return first && second && compareCursors(first, second) === 1;
}

/** @param {Queue<Update>} updates @param {LogEvent} next */
function push(updates, next) {
  updates.push({ type: "event", event: next });
}

/** Whatever runs script: a tab or a worker. It can be frozen, and it can die. */
class Context {
  isFrozen = false;
  isDead = false;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** @param {() => void} callback runs unless it is dead, and not while it is frozen */
  enter(callback) {
    if (this.isDead) return;
    if (this.isFrozen) this.#waiting.push(callback);
    else callback();
  }

  async thaw() {
    this.isFrozen = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.enter(callback);
    await settle();
  }
}

/** The locks of a browser, which outlive every tab. */
class Locks {
  /** Whether nobody is told that a lock was taken by force. */
  isSilent = false;
  /** @type {Map<string, { tab: Context, lose: () => void }>} */
  #held = new Map();
  /** @type {{ name: string, tab: Context, take: () => void }[]} */
  #queue = [];

  /** @param {Context} tab */
  of(tab) {
    return /** @type {LockManager} */ ({
      request: (/** @type {string} */ name, /** @type {any[]} */ ...rest) => {
        const [callback, options = {}] = rest.reverse();
        return this.#request(tab, name, options, callback);
      },
    });
  }

  /**
   * @param {Context} tab
   * @param {string} name
   * @param {{ steal?: boolean, signal?: AbortSignal }} options
   * @param {() => unknown} callback
   */
  #request(tab, name, { steal, signal }, callback) {
    return new Promise((resolve, reject) => {
      const aborted = () => reject(new DOMException("", "AbortError"));
      const take = () => {
        const lock = { tab, lose: () => tab.enter(aborted) };
        this.#held.set(name, lock);
        tab.enter(async () => {
          resolve(await callback());
          if (this.#held.get(name) === lock) this.#free(name);
        });
      };
      if (steal) {
        if (!this.isSilent) this.#held.get(name)?.lose();
        return take();
      }
      const request = { name, tab, take };
      signal?.addEventListener("abort", () => {
        this.#queue = this.#queue.filter((other) => other !== request);
        aborted();
      });
      if (signal?.aborted) return aborted();
      if (this.#held.has(name)) this.#queue.push(request);
      else take();
    });
  }

  /** @param {string} name */
  #free(name) {
    this.#held.delete(name);
    const next = this.#queue.find((request) => request.name === name);
    if (!next) return;
    this.#queue = this.#queue.filter((request) => request !== next);
    next.take();
  }

  /** @param {Context} tab whose locks are free, and whose requests are gone */
  forget(tab) {
    this.#queue = this.#queue.filter((request) => request.tab !== tab);
    for (const [name, lock] of [...this.#held]) if (lock.tab === tab) this.#free(name);
  }

  /** @param {string} name @returns {Context | undefined} */
  holder(name) {
    return this.#held.get(name)?.tab;
  }
}

/** A browser with tabs. */
class Browser {
  locks = new Locks();
  /** @type {Tab[]} */
  tabs = [];
  /** @type {{ tab: Tab, name: string, onmessage: (event: { data: any }) => void }[]} */
  #channels = [];
  /** Which words of a tab are lost on the way. @type {(tab: Tab, word: any) => boolean} */
  loses = () => false;
  /** All that was said. @type {any[]} */
  said = [];

  /** @param {Tab} tab @returns {typeof BroadcastChannel} */
  channelOf(tab) {
    const browser = this;
    return /** @type {any} */ (
      class {
        isClosed = false;
        onmessage = () => {};
        /** @param {string} name */
        constructor(name) {
          this.name = name;
          this.tab = tab;
          browser.#channels.push(/** @type {any} */ (this));
        }

        /** @param {any} data */
        postMessage(data) {
          if (this.isClosed) throw new DOMException("", "InvalidStateError");
          if (tab.isDead || browser.loses(tab, data)) return;
          browser.said.push(data);
          const copy = structuredClone(data);
          for (const other of browser.#channels)
            if (/** @type {any} */ (other) !== this && other.name === this.name)
              queueMicrotask(() => other.tab.enter(() => other.onmessage({ data: copy })));
        }

        close() {
          this.isClosed = true;
          browser.#channels = browser.#channels.filter((it) => /** @type {any} */ (it) !== this);
        }
      }
    );
  }
}

/** A tab that shares. */
class Tab extends Context {
  /** @type {FollowerUpdate[]} */
  updates = [];
  isHolder = false;

  /**
   * @param {Browser} browser
   * @param {Log} log
   * @param {(tab: Tab) => Method} [method]
   */
  constructor(browser, log, method = (tab) => tab.byLock()) {
    super();
    this.browser = browser;
    this.log = log;
    browser.tabs.push(this);
    this.follower = new Follower(method(this));
  }

  byLock() {
    return shareByLock(this.log.methodFor(this), {
      name: "room",
      locks: this.browser.locks.of(this),
      Channel: this.browser.channelOf(this),
      onHold: (isHolder) => (this.isHolder = isHolder),
    });
  }

  /** @param {string} [cursor] where it stands, if not at the end of the log */
  async start(cursor) {
    if (cursor !== undefined) this.follower.cursor = cursor;
    this.updates = start(this.follower);
    await settle();
    return this;
  }

  /** Ends it as a crash does: nothing of it runs any more, and nothing says so. */
  async crash() {
    this.isDead = true;
    this.browser.tabs = this.browser.tabs.filter((tab) => tab !== this);
    this.log.streams = this.log.streams.filter(({ tab }) => tab !== this);
    this.browser.locks.forget(this);
    await settle();
  }

  get ids() {
    return idsOf(this.updates).map((id) => id.split(".")[1]);
  }
}

/** @type {Log} */
let log;
/** @type {Browser} */
let browser;

beforeEach(() => {
  log = new Log();
  browser = new Browser();
});

// A tab that goes on would keep the time of the next test.
afterEach(async () => {
  for (const { follower } of browser.tabs) follower.stop();
  await settle();
});

/** @param {number} count */
async function open(count) {
  const tabs = [];
  for (let n = 0; n < count; n++) tabs.push(await new Tab(browser, log).start());
  return tabs;
}

/** @param {Tab[]} tabs @param {number[]} ids what each has had, once and in order */
function had(tabs, ...ids) {
  for (const tab of tabs) {
    assert.deepEqual(tab.ids, ids.map(String));
    const { doubled, lost } = tab.follower.counts;
    assert.deepEqual({ doubled, lost }, { doubled: 0, lost: 0 });
  }
}

/** @param {Tab[]} tabs @returns {[holder: Tab, others: Tab[]]} */
function roles(tabs) {
  const holders = tabs.filter((tab) => tab.isHolder);
  assert.equal(holders.length, 1, "one tab holds the stream");
  return [holders[0], tabs.filter((tab) => !tab.isHolder)];
}

test("eight tabs wait over one stream, and each gets each event once", async () => {
  const tabs = await open(8);
  await log.publish(1, 2, 3);
  had(tabs, 1, 2, 3);
  assert.equal(log.opened, 1);
  assert.deepEqual(
    tabs.map(({ follower }) => follower.state),
    Array(8).fill("open"),
  );
  roles(tabs);
});

test("a tab that comes later is told by the holder what it has missed", async () => {
  const tabs = await open(2);
  await log.publish(1, 2, 3);
  const late = await new Tab(browser, log).start("k3f9x2.1");
  had([late], 2, 3);
  assert.equal(late.follower.state, "open");
  await log.publish(4);
  had([late], 2, 3, 4);
  had(tabs, 1, 2, 3, 4);
  assert.equal(log.opened, 1, "nobody asked the server for it");
});

test("what the holder does not keep, a tab fetches itself and lets go", async () => {
  await log.publish(1, 2, 3);
  const tabs = await open(2);
  await log.publish(4);
  const late = await new Tab(browser, log).start("k3f9x2.1");
  had([late], 2, 3, 4);
  assert.equal(log.opened, 2);
  assert.equal(log.streams.length, 1, "its own has ended");
  await log.publish(5);
  had([late], 2, 3, 4, 5);
  had(tabs, 4, 5);
});

test("the holder is closed: the next takes over, and nothing is lost", async () => {
  const tabs = await open(4);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  holder.follower.stop();
  await settle();
  roles(others);
  await log.publish(2);
  had(others, 1, 2);
  assert.equal(log.streams.length, 1);
  assert.equal(others[0].follower.counts.reconnects, 1);
});

test("the holder crashes between an event and its broadcast", async () => {
  const tabs = await open(4);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  // It gets two events, tells of one, and is gone.
  browser.loses = (tab, word) => tab === holder && word.next === "k3f9x2.3";
  await log.publish(2, 3);
  had(others, 1, 2);
  await holder.crash();
  had(others, 1, 2, 3);
  await log.publish(4);
  had(others, 1, 2, 3, 4);
  assert.equal(log.streams.length, 1);
});

test("a tab joins at the very moment in which the holder crashes", async () => {
  const tabs = await open(2);
  await log.publish(1, 2, 3);
  const [holder, others] = roles(tabs);
  // Its question is asked, and never answered.
  browser.loses = (tab) => tab === holder;
  const late = await new Tab(browser, log).start("k3f9x2.1");
  had([late]);
  await holder.crash();
  had([late], 2, 3);
  await log.publish(4);
  had([late], 2, 3, 4);
  had(others, 1, 2, 3, 4);
  // One of the two holds the stream, and kept what the other lacked.
  assert.equal(log.opened, 2);
});

test("a word that gets lost on its way is asked for", async () => {
  const tabs = await open(3);
  const [holder] = roles(tabs);
  browser.loses = (tab, word) => tab === holder && word.next === "k3f9x2.1";
  await log.publish(1);
  await log.publish(2);
  had(tabs, 1, 2);
  assert.equal(log.opened, 1);
});

test("the lock of a frozen holder is taken by force, after a question", async () => {
  const tabs = await open(4);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  holder.isFrozen = true;
  await log.publish(2);
  had(others, 1);
  // Between 5 and 7.5 s of silence, and 3 s for the answer.
  await pass(4900);
  const questions = () => browser.said.filter(({ type }) => type === "ask").length;
  const before = questions();
  await pass(2700);
  assert.ok(questions() > before);
  assert.equal(browser.locks.holder("room"), holder);
  await pass(3000);
  assert.notEqual(browser.locks.holder("room"), holder);
  roles(others);
  had(others, 1, 2);
});

test("a holder whose timers stand still gives no answer", async () => {
  const tabs = await open(3);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  // What comes over its stream is not read either; messages are.
  for (const stream of log.streams) stream.tab = new Context();
  log.streams[0].tab.isFrozen = true;
  await log.publish(2);
  sleep(32_000);
  await pass(7600);
  await pass(3000);
  had(others, 1, 2);
  assert.equal(holder.isHolder, false);
  roles(others);
});

test("a frozen holder wakes, says old things, and gives way", async () => {
  const tabs = await open(4);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  holder.isFrozen = true;
  await log.publish(2);
  await pass(7600);
  await pass(3000);
  await log.publish(3);
  had(others, 1, 2, 3);
  const before = browser.said.length;
  await holder.thaw();
  const old = browser.said.slice(before).filter(({ term }) => term < browser.said[before - 1].term);
  assert.ok(old.length > 0, "it tells of event 2, as if nothing had been");
  assert.equal(holder.isHolder, false);
  await log.publish(4);
  had(tabs, 1, 2, 3, 4);
  roles(tabs);
  assert.equal(log.streams.length, 1);
});

test("a holder of another time wakes in a new log, and disturbs nobody", async () => {
  const tabs = await open(4);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  holder.isFrozen = true;
  await log.restart();
  await pass(7600);
  await pass(3000);
  await log.publish(1);
  const reconnects = others.map(({ follower }) => follower.counts.reconnects);
  // It has the questions of all before it, and an answer to each.
  await holder.thaw();
  for (const { follower } of others) assert.equal(follower.state, "open");
  assert.deepEqual(
    others.map(({ follower }) => follower.counts.reconnects),
    reconnects,
  );
  roles(tabs);
});

test("a holder hears from the next one that it is none, if from nobody else", async () => {
  const tabs = await open(2);
  browser.locks.isSilent = true;
  const [holder, others] = roles(tabs);
  holder.isFrozen = true;
  await pass(7600);
  await pass(3000);
  await holder.thaw();
  assert.equal(holder.isHolder, false);
  await log.publish(1);
  had(tabs, 1);
  roles(others);
  assert.equal(log.streams.length, 1);
});

test("two that take the lock by force at once leave one stream", async () => {
  const tabs = await open(4);
  const [holder, others] = roles(tabs);
  holder.isFrozen = true;
  // Their questions fall on deaf ears, and neither hears the other's first word.
  browser.loses = () => true;
  await pass(7600);
  await pass(3100);
  browser.loses = () => false;
  await log.publish(1);
  await pass(7600);
  await pass(3100);
  await log.publish(2);
  had(others, 1, 2);
  assert.equal(log.streams.filter(({ tab }) => tab !== holder).length, 1);
});

test("a holder that says nothing for long, and answers, keeps its lock", async () => {
  const tabs = await open(3);
  const [holder] = roles(tabs);
  const questions = () => browser.said.filter(({ type }) => type === "ask").length;
  let [before, moments] = [questions(), 0];
  for (let seconds = 0; seconds < 60; seconds += 3) {
    await pass(3000);
    // As the server does.
    if (seconds % 15 === 0) await log.beat();
    // Within one step the clocks of two tabs may run out, and neither hears the other.
    if (questions() > before) moments += 1;
    before = questions();
  }
  assert.equal(browser.locks.holder("room"), holder);
  // One answer is for all, and they are content for five seconds at least.
  assert.ok(moments > 0 && moments <= 60 / 5, `asked at ${moments} times`);
  await log.publish(1);
  had(tabs, 1);
});

test("a tab that was frozen asks again before it takes the lock", async () => {
  const tabs = await open(2);
  const [holder, [other]] = roles(tabs);
  await log.beat();
  // It asks, and is frozen. Its timer is late, and runs before it reads the answer.
  other.isFrozen = true;
  await pass(7600);
  sleep(60_000);
  await pass(3000);
  await other.thaw();
  await pass(3000);
  assert.equal(browser.locks.holder("room"), holder);
});

test("the server is replaced: all tabs are told of the gap", async () => {
  const tabs = await open(3);
  await log.publish(1, 2);
  await log.restart();
  await pass(1000);
  await pass(1000);
  for (const { updates, follower } of tabs) {
    const gaps = updates.filter(({ type }) => type === "gap");
    assert.deepEqual(gaps, [
      {
        type: "gap",
        gap: { reason: "new-log", asked: "k3f9x2.2", resume: "q8w7e6.0" },
      },
    ]);
    assert.equal(follower.state, "open");
  }
  assert.equal(log.opened, 2, "only the holder asked");
  await log.publish(1);
  for (const tab of tabs) assert.deepEqual(idsOf(tab.updates).at(-1), "q8w7e6.1");
  assert.equal(log.streams.length, 1);
});

test("a tab with a cursor of another log is told of its gap by the server", async () => {
  await log.publish(1, 2);
  const tabs = await open(2);
  await log.publish(3);
  const late = await new Tab(browser, log).start("a1b2c3.7");
  assert.deepEqual(
    late.updates.flatMap((update) => (update.type === "gap" ? [update.gap] : [])),
    [{ reason: "new-log", asked: "a1b2c3.7", resume: "k3f9x2.0" }],
  );
  assert.deepEqual(late.ids, ["1", "2", "3"]);
  await log.publish(4);
  had(tabs, 3, 4);
  assert.equal(log.streams.length, 1);
});

test("a tab whose place has expired is told so, and the others are not", async () => {
  log.dropped = 300;
  const tabs = await open(2);
  await log.publish(301);
  const late = await new Tab(browser, log).start("k3f9x2.1");
  assert.equal(late.follower.counts.gaps, 1);
  assert.deepEqual(late.ids, ["301"]);
  for (const tab of tabs) assert.equal(tab.follower.counts.gaps, 0);
});

test("while the server is away one tab asks for it, and all say so", async () => {
  const tabs = await open(4);
  log.isDown = true;
  for (const { tab, updates } of [...log.streams]) tab.enter(() => updates.end());
  await settle();
  for (const { follower } of tabs) assert.equal(follower.state, "connecting");
  log.isDown = false;
  await pass(1000);
  for (const { follower } of tabs) assert.equal(follower.state, "open");
  assert.equal(log.streams.length, 1);
});

test("a page that leaves into the back/forward cache gives its lock back", async () => {
  const tabs = await open(3);
  await log.publish(1);
  const [holder, others] = roles(tabs);
  holder.follower.pause();
  // In the same task: the page is frozen right after.
  for (let turn = 0; turn < 10; turn++) await null;
  assert.notEqual(browser.locks.holder("room"), holder);
  await settle();
  await log.publish(2);
  had(others, 1, 2);
  holder.follower.resume();
  await settle();
  had(tabs, 1, 2);
  roles(tabs);
  assert.equal(log.streams.length, 1);
  assert.equal(log.opened, 2);
});

test("where a page may have no lock it has a stream of its own", async () => {
  const refused = Object.assign(new Tab(browser, log, (tab) => {
    const request = async () => {
      throw new DOMException("", "SecurityError");
    };
    const Channel = browser.channelOf(tab);
    return shareByLock(log.methodFor(tab), { name: "room", locks: { request }, Channel });
  }));
  await refused.start();
  await log.publish(1);
  had([refused], 1);
});

// ---- A shared worker ----

/** A worker, and the ports of its tabs. */
class FakeWorker extends Context {
  /** @type {{ onconnect: ((event: any) => void) | null }} */
  scope = { onconnect: null };

  /** @param {Browser} browser @param {Log} log */
  constructor(browser, log) {
    super();
    serveTabs(log.methodFor(this), { scope: this.scope, locks: browser.locks.of(this) });
  }

  /** @param {Tab} tab */
  classOf(tab) {
    const worker = this;
    return /** @type {typeof SharedWorker} */ (
      /** @type {unknown} */ (
        class {
          constructor() {
            const [here, there] = pair(tab, worker);
            this.port = here;
            worker.scope.onconnect?.({ ports: [there] });
          }
        }
      )
    );
  }
}

/** @param {Context} a @param {Context} b */
function pair(a, b) {
  const ports = [a, b].map((context) => ({
    context,
    isClosed: false,
    onmessage: (/** @type {any} */ _) => {},
    postMessage: (/** @type {any} */ _) => {},
    close() {
      this.isClosed = true;
    },
  }));
  ports.forEach((port, at) => {
    const other = ports[1 - at];
    port.postMessage = (data) => {
      if (port.context.isDead) return;
      const copy = structuredClone(data);
      queueMicrotask(() =>
        other.context.enter(() => other.isClosed || other.onmessage({ data: copy })),
      );
    };
  });
  return ports;
}

/** @param {number} count */
async function openByWorker(count) {
  const worker = new FakeWorker(browser, log);
  const open = (/** @type {string | undefined} */ cursor) =>
    new Tab(browser, log, (tab) =>
      shareByWorker(log.methodFor(tab), {
        worker: "worker.js",
        locks: browser.locks.of(tab),
        Worker: worker.classOf(tab),
      }),
    ).start(cursor);
  const tabs = [];
  for (let n = 0; n < count; n++) tabs.push(await open(undefined));
  return { tabs, open };
}

test("a shared worker holds one stream for eight tabs", async () => {
  const { tabs, open } = await openByWorker(8);
  await log.publish(1, 2);
  had(tabs, 1, 2);
  const late = await open("k3f9x2.1");
  had([late], 2);
  await log.publish(3);
  had(tabs, 1, 2, 3);
  had([late], 2, 3);
  assert.equal(log.opened, 1);
});

test("the worker learns by their locks which tabs are gone, and ends with the last", async () => {
  const { tabs } = await openByWorker(3);
  await tabs[0].crash();
  await log.publish(1);
  had(tabs.slice(1), 1);
  await tabs[1].crash();
  assert.equal(log.streams.length, 1);
  tabs[2].follower.stop();
  await settle();
  assert.equal(log.streams.length, 0, "nobody is left");
});

test("where the worker does not answer, a tab has a stream of its own", async () => {
  const { tabs } = await openByWorker(1);
  const [tab] = tabs;
  const dead = new Tab(browser, log, (it) =>
    shareByWorker(log.methodFor(it), {
      worker: "worker.js",
      locks: browser.locks.of(it),
      Worker: new (class extends FakeWorker {
        isDead = true;
      })(browser, log).classOf(it),
    }),
  );
  await dead.start();
  await pass(10_000);
  assert.equal(dead.follower.state, "open");
  await log.publish(1);
  had([tab, dead], 1);
  assert.equal(log.streams.length, 2);
});

// ---- What is new, and what is kept ----

test("a page is new, old, or not the next", () => {
  const page = {
    after: "k3f9x2.3",
    next: "k3f9x2.6",
    events: [4, 5].map((id) => event(id)),
  };
  const ids = (/** @type {string} */ cursor) => {
    const events = newOf(page, cursor);
    return typeof events === "string" ? events : events.map(({ id }) => id);
  };
  assert.equal(ids("k3f9x2.2"), "hole");
  assert.deepEqual(ids("k3f9x2.3"), ["k3f9x2.4", "k3f9x2.5"]);
  assert.deepEqual(ids("k3f9x2.4"), ["k3f9x2.5"]);
  // Nothing happened, and yet it is further on.
  assert.deepEqual(ids("k3f9x2.5"), []);
  assert.equal(ids("k3f9x2.6"), "old");
  assert.equal(ids("k3f9x2.9"), "old");
  assert.equal(ids("q8w7e6.4"), "other-log");
});

test("what is kept is bounded, and has no hole", () => {
  const kept = new Kept();
  assert.equal(kept.after("k3f9x2.0"), null);
  for (let id = 1; id <= 300; id++)
    kept.add({ after: `k3f9x2.${id - 1}`, next: `k3f9x2.${id}`, events: [event(id)] });
  assert.equal(kept.after("k3f9x2.43"), null);
  assert.equal(kept.after("k3f9x2.44")?.events.length, 256);
  assert.equal(kept.after("k3f9x2.300")?.events.length, 0);
  assert.equal(kept.after("k3f9x2.301"), null);
  // An older page changes nothing; one that does not follow on takes the place of all.
  kept.add({ after: "k3f9x2.298", next: "k3f9x2.299", events: [event(299)] });
  assert.equal(kept.after("k3f9x2.299")?.events.length, 1);
  kept.add({ after: "k3f9x2.400", next: "k3f9x2.401", events: [event(401)] });
  assert.equal(kept.after("k3f9x2.299"), null);
  assert.equal(kept.after("k3f9x2.400")?.events.length, 1);
});

test("the ways depend on what the browser has", () => {
  const all = { navigator: { locks: {} }, SharedWorker: {}, BroadcastChannel: {} };
  assert.deepEqual(waysOf(all), ["lock", "worker", "alone"]);
  assert.deepEqual(waysOf({ ...all, SharedWorker: undefined }), ["lock", "alone"]);
  assert.deepEqual(waysOf({ ...all, navigator: {} }), ["alone"]);
  // Node has no locks here: each has its own.
  const method = log.methodFor(new Context());
  assert.equal(share(method, { name: "room", way: "alone" }), method);
});

test("a page that the browser freezes lets go before it stands still", async () => {
  Object.assign(globalThis, { addEventListener: () => {} });
  const tabs = await open(2);
  const [holder, others] = roles(tabs);
  const stop = watchPage(holder.follower, false);
  page.dispatchEvent(new Event("freeze"));
  for (let turn = 0; turn < 10; turn++) await null;
  assert.notEqual(browser.locks.holder("room"), holder);
  await settle();
  await log.publish(1);
  had(others, 1);
  page.dispatchEvent(new Event("resume"));
  await settle();
  had(tabs, 1);
  stop();
});
