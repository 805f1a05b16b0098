// @ts-check
// Run with `node --test crates/web/tests/`. With `UPDATE_GOLDEN=1` it writes the pictures and the
// tables that the pages show before any script has run.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { HTTP1, HTTP2_TLS } from "../figures/measured.js";
import { describeSetting, drawRace, summarise, tabulate, tellLane } from "../race/draw.js";
import {
  createRandom,
  drawEvents,
  Recovery,
  runLane,
  SERVER,
  simulate,
  standingAt,
} from "../race/model.js";
import { DEFAULT } from "../race/setting.js";

/** @typedef {import("../race/model.js").LaneName} LaneName */
/** @typedef {import("../race/model.js").Setting} Setting */

const WITH_CURSOR = /** @type {LaneName[]} */ (["polling", "long-polling", "sse", "websocket"]);

/** @param {string} path below the repository's root */
const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

/** @param {string} path */
const readJson = (path) => JSON.parse(read(path));

const policy = readJson("crates/client/tests/policy.json");

/** @param {Partial<Setting>} change @returns {Setting} */
const setting = (change) => ({ ...DEFAULT, faults: [], ...change });

/**
 * Runs one client over given events until nothing more is due.
 *
 * @param {LaneName} name
 * @param {Partial<Setting>} change
 * @param {import("../race/model.js").LogEvent[]} events
 * @param {number} [seed]
 */
const laneOf = (name, change, events, seed = 7) => runLane(name, setting(change), events, seed);

/** Cuts and restarts, drawn. @param {number} seed */
function drawFaults(seed) {
  const random = createRandom(seed);
  /** @type {import("../race/model.js").Fault[]} */
  const faults = [];
  for (let at = 0; faults.length < 4; ) {
    at += 50 + random() * 8000;
    const lasts = random() * 4000;
    faults.push({ kind: random() < 0.5 ? "cut" : "restart", at, lasts });
    at += lasts;
  }
  return faults;
}

test("the same setting gives the same race, and a fault changes nothing before it", () => {
  assert.deepEqual(simulate(DEFAULT), simulate(DEFAULT));
  const without = simulate(setting({ rate: 3 }));
  for (const kind of /** @type {const} */ (["cut", "restart"])) {
    const at = 9990;
    const broken = simulate(setting({ rate: 3, faults: [{ kind, at, lasts: 1500 }] }));
    assert.deepEqual(broken.events, without.events);
    for (const [place, lane] of broken.lanes.entries()) {
      const before = standingAt(without, without.lanes[place], at - 1);
      assert.deepEqual(standingAt(broken, lane, at - 1), before, `${kind} ${lane.name}`);
      assert.notDeepEqual(lane.arrows, without.lanes[place].arrows, `${kind} ${lane.name}`);
    }
  }
});

test("with a cursor each event comes once and in order, whatever breaks", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const faults = drawFaults(seed);
    const events = drawEvents(2, 40_000, createRandom(seed));
    // Long enough for the longest wait between two tries, and one more.
    const lasts = 40_000 + 120_000;
    for (const name of WITH_CURSOR) {
      for (const roundTrip of [0, 100, 1000]) {
        const lane = laneOf(name, { faults, lasts, roundTrip }, events, seed);
        const got = lane.receipts.map(({ event }) => event.number);
        const all = events.map(({ number }) => number);
        assert.deepEqual(got, all, `${name}, ${roundTrip} ms, seed ${seed}`);
        assert.deepEqual(lane.losses, []);
        for (const { event, at } of lane.receipts)
          assert.ok(at >= event.at + roundTrip / 2, `${name}: sooner than light`);
      }
    }
  }
});

test("without a cursor each event comes or is lost, and some are", () => {
  let lost = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const faults = drawFaults(seed);
    const events = drawEvents(2, 40_000, createRandom(seed));
    const lane = laneOf("no-cursor", { faults, lasts: 200_000 }, events, seed);
    const fates = [...lane.receipts, ...lane.losses].map(({ event }) => event.number);
    fates.sort((one, other) => one - other);
    assert.deepEqual(
      fates,
      events.map(({ number }) => number),
      `seed ${seed}`,
    );
    lost += lane.losses.length;
  }
  assert.ok(lost > 200, `only ${lost} are lost`);
});

test("an event between two requests is lost, where no cursor asks for it", () => {
  // The first is answered at 1000 and is there at 1050; the next question is there at 1100.
  const events = [1000, 1075, 1400].map((at, place) => ({ number: place + 1, at }));
  const lane = laneOf("no-cursor", { roundTrip: 100 }, events);
  assert.deepEqual(
    lane.losses.map(({ event }) => event.number),
    [2],
  );
  assert.deepEqual(
    lane.receipts.map(({ event, at }) => [event.number, at]),
    [
      [1, 1050],
      [3, 1450],
    ],
  );
  const kept = laneOf("long-polling", { roundTrip: 100 }, events);
  const { linger } = SERVER;
  assert.deepEqual(
    kept.receipts.map(({ event, at }) => [event.number, at]),
    // The second waits for the question that is under way.
    [
      [1, 1000 + linger + 50],
      [2, 1000 + linger + 50 + 50 + 50],
      [3, 1400 + linger + 50],
    ],
  );
});

test("what a cut catches on its way comes again to whoever names a cursor", () => {
  const events = [{ number: 1, at: 1000 }];
  /** @type {Partial<Setting>} */
  const cut = { roundTrip: 400, faults: [{ kind: "cut", at: 1100, lasts: 100 }] };
  for (const name of WITH_CURSOR.slice(1)) {
    const { arrows, receipts } = laneOf(name, cut, events);
    const carried = arrows.filter(({ events }) => events.length > 0);
    assert.deepEqual(
      carried.map(({ isCaught }) => isCaught),
      [true, false],
      name,
    );
    assert.equal(receipts.length, 1, name);
  }
  const { losses } = laneOf("no-cursor", cut, events);
  assert.deepEqual(
    losses.map(({ event, at }) => [event.number, at]),
    [[1, 1100]],
  );
});

test("a back-off draws between its bounds", () => {
  for (const { first, cap, failures, least, most } of policy.backoff) {
    // The race has the clients' own first wait and cap.
    if (first !== 1000 || cap !== 30_000) continue;
    for (const [draw, wait] of [
      [0, least],
      [1, most],
    ]) {
      const recovery = new Recovery(() => draw);
      for (let i = 0; i < failures; i++) recovery.next();
      assert.equal(recovery.next(), wait, `${failures} failures`);
    }
  }
});

test("a connection is healthy once it was open for long enough", () => {
  for (const { open, healthy } of policy.health) {
    const recovery = new Recovery(() => 0.5);
    recovery.close(0);
    for (let i = 0; i < 3; i++) recovery.next();
    if (open !== null) recovery.open(1000);
    assert.equal(recovery.close(1000 + (open ?? 0)), healthy, `open for ${open} ms`);
    assert.equal(recovery.next(), healthy ? 500 : 4000);
  }
});

test("the waits of a client that finds no line are those of the policy", () => {
  /** @type {Partial<Setting>} */
  const away = { lasts: 120_000, faults: [{ kind: "cut", at: 10_000, lasts: 100_000 }] };
  const bounds = [0, 1, 2, 3, 4, 5].map((failures) => Math.min(30_000, 1000 * 2 ** failures));
  for (let seed = 1; seed <= 100; seed++) {
    for (const name of /** @type {LaneName[]} */ (["long-polling", "websocket"])) {
      const { rests } = laneOf(name, away, [], seed);
      for (const [place, { from, to }] of rests.entries()) {
        const most = bounds[place] ?? 30_000;
        // The last one may be cut off by the end of the race.
        if (to >= 120_000) continue;
        assert.ok(to - from >= 100 && to - from <= most, `${name}: ${to - from} of ${most}`);
      }
    }
    // The browser itself comes back first, after what the server has named.
    const [{ from, to }] = laneOf("sse", away, [], seed).rests;
    assert.ok(to - from >= SERVER.retry.least && to - from <= SERVER.retry.most);
  }
});

test("the race's servers do what the book's do by default", () => {
  const longPolling = read("examples/long-polling/src/config.rs");
  assert.match(longPolling, new RegExp(`linger: Duration::from_millis\\(${SERVER.linger}\\)`));
  const { least, most } = SERVER.park;
  assert.match(longPolling, new RegExp(`max_wait: Duration::from_secs\\(${most}\\)`));
  assert.match(read("examples/long-polling/src/server.rs"), /as_secs_f64\(\) \* 0\.8/);
  assert.equal(least, most * 0.8);
  const sse = read("examples/sse/src/config.rs").replaceAll("_", "");
  assert.match(sse, new RegExp(`heartbeat: Duration::fromsecs\\(${SERVER.heartbeat / 1000}\\)`));
  assert.match(sse, new RegExp(`retryms: ${SERVER.retry.least}\\.\\.${SERVER.retry.most}`));
});

test("on average an event is as late as the formulas say", () => {
  const events = drawEvents(0.5, 4_000_000, createRandom(3));
  for (const roundTrip of [0, 100, 600]) {
    /** @param {LaneName} name */
    const late = (name) => {
      const { receipts } = laneOf(name, { lasts: 4_100_000, roundTrip }, events);
      return receipts.reduce((sum, { event, at }) => sum + at - event.at, 0) / receipts.length;
    };
    const way = roundTrip / 2;
    // Half a turn of asking and pausing, and the way.
    const polling = (DEFAULT.interval + roundTrip) / 2 + way;
    assert.ok(Math.abs(late("polling") - polling) < 0.04 * polling, `${late("polling")}`);
    assert.equal(Math.round(late("sse")), way);
    assert.equal(Math.round(late("websocket")), way);
    // Whoever is away for a round trip is half of one late to what happens meanwhile; the server
    // lingers besides.
    const longPolling = late("long-polling");
    assert.ok(longPolling >= way && longPolling <= way + SERVER.linger + roundTrip / 2);
  }
});

// ---- Against the lab ----

/**
 * @typedef {object} Row
 * @property {string} measurement
 * @property {string} method
 * @property {string} figure
 * @property {string} protocol
 * @property {number} rtt_ms
 * @property {number} loss_percent
 * @property {string} workers
 * @property {number} min
 * @property {number} median
 * @property {number} max
 * @property {number} repetitions
 */

/** How often the model repeats what the lab has repeated: the same load, drawn anew. */
const REPETITIONS = 9;
/** What a figure of the lab may be off by that is rounded, or counted through a relay. */
const EXACT = 0.02;
/** By how much two runs of the lab differ, where there was one. */
const ONCE = 0.1;

/** @param {string} method as the lab names it @returns {{ name: LaneName, interval: number }} */
function laneFor(method) {
  const polling = /^polling:(\d+)ms$/.exec(method);
  const name = /** @type {LaneName} */ (polling ? "polling" : method);
  return { name, interval: Number(polling?.[1] ?? DEFAULT.interval) };
}

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.ceil(share * sorted.length) - 1];

/**
 * What the model makes of one repetition: figures by the lab's names.
 *
 * @param {string} method
 * @param {{ events: number, rate: number }} plan
 * @param {number} clients
 * @param {Partial<Setting>} change
 * @param {number} seed
 */
function repeat(method, plan, clients, change, seed) {
  const { name, interval } = laneFor(method);
  const all = drawEvents(plan.rate, Infinity, limited(createRandom(seed), plan.events));
  const lasts = all[all.length - 1].at + 2 * interval + 10_000;
  /** @type {number[]} */
  const delays = [];
  const totals = { requests: 0, "bytes up": 0, "bytes down": 0 };
  for (let client = 0; client < clients; client++) {
    const whole = setting({ ...change, interval, lasts });
    const lane = runLane(name, whole, all, 1000 * seed + client);
    assert.equal(lane.receipts.length, all.length, method);
    delays.push(...lane.receipts.map(({ event, at }) => at - event.at));
    // Who has the last event asks no more.
    const end = lane.receipts[all.length - 1].at;
    for (const { from, kind, at, bytes } of lane.arrows) {
      if (at >= end && kind === "request") continue;
      if (at > end) continue;
      if (kind === "request") totals.requests += 1;
      totals[from === "client" ? "bytes up" : "bytes down"] += bytes;
    }
  }
  delays.sort((one, other) => one - other);
  const deliveries = clients * all.length;
  return {
    "delay p50": quantile(delays, 0.5),
    "delay p90": quantile(delays, 0.9),
    requests: totals.requests / deliveries,
    "bytes up": totals["bytes up"] / deliveries,
    "bytes down": totals["bytes down"] / deliveries,
  };
}

/** What was repeated already: the same gives the same. @type {Map<string, any[]>} */
const repeated = new Map();

/**
 * One figure of each repetition.
 *
 * @param {string} method
 * @param {{ events: number, rate: number }} plan
 * @param {number} clients
 * @param {Partial<Setting>} change
 * @param {string} figure
 * @returns {number[]}
 */
function repeatAll(method, plan, clients, change, figure) {
  const key = JSON.stringify([method, plan, change]);
  let all = repeated.get(key);
  if (!all) {
    // Half of the lab's clients are as many as a quantile needs.
    const count = Math.min(clients, 40);
    const seeds = Array.from({ length: REPETITIONS }, (_, place) => place + 1);
    all = seeds.map((seed) => repeat(method, plan, count, change, seed));
    repeated.set(key, all);
  }
  return all.map((figures) => figures[figure]);
}

/**
 * Random numbers that end the drawing of events after so many.
 *
 * @param {() => number} random
 * @param {number} count
 */
function limited(random, count) {
  let drawn = 0;
  // 1 would be infinitely late.
  return () => (drawn++ < count ? random() : 1);
}

/**
 * Checks that the model's repetitions and the lab's have values in common.
 *
 * @param {string} what
 * @param {Row} row
 * @param {number[]} model
 * @param {number} slack
 */
function assertWithin(what, { min, max }, model, slack) {
  const [least, most] = [Math.min(...model), Math.max(...model)];
  const text = `${what}: the lab ${min} to ${max}, the model ${least} to ${most}`;
  assert.ok(least <= max + slack && most >= min - slack, text);
}

const METHODS = /^(polling:\d+ms|long-polling|sse|websocket)$/;

/** @param {Row[]} rows @returns {Row[]} each figure once, whatever it is compared with */
function once(rows) {
  const seen = new Set();
  return rows.filter((row) => {
    const { measurement, method, figure, protocol, rtt_ms, loss_percent, workers } = row;
    const key = [measurement, method, figure, protocol, rtt_ms, loss_percent, workers].join();
    return METHODS.test(method) && !seen.has(key) && seen.add(key);
  });
}

for (const kept of ["compare", "lines"]) {
  test(`lateness is that of the lab, within its spread: ${kept}`, () => {
    const { rows, run } = readJson(`src/measured/${kept}.json`);
    const { plan, clients } = run.parameters;
    // A model knows no lost packet.
    const delays = once(rows).filter(
      ({ measurement, method, figure, loss_percent: loss, repetitions }) =>
        measurement === "delivery" &&
        loss === 0 &&
        // The last of those that one event has woken wait for the answers to the others; and one
        // repetition alone says little of its slowest tenth.
        (figure === "delay p50" ||
          (figure === "delay p90" && method !== "long-polling" && repetitions > 1)),
    );
    assert.ok(delays.length >= 8, `only ${delays.length} figures`);
    /**
     * What a stream takes where the line takes nothing: that is the server's work, and grows with
     * the other clients. Polls are spread over their interval, and meet the usual work.
     *
     * @param {Row} row
     */
    const workOf = ({ method, workers, figure }) =>
      delays.find(
        (row) =>
          row.method === "sse" &&
          row.rtt_ms === 0 &&
          row.workers === workers &&
          row.figure === (method.startsWith("polling") ? "delay p50" : figure),
      )?.median ?? 0;
    for (const row of delays) {
      const { method, figure, rtt_ms: roundTrip, workers } = row;
      const work = workOf(row);
      const change = { roundTrip, work, wire: HTTP1 };
      const model = repeatAll(method, plan, clients, change, figure);
      // Timers are good to a millisecond, and a line of the lab to one each way. What was
      // measured once has no spread of its own.
      const spread = row.repetitions > 1 ? EXACT : ONCE;
      const slack = 1 + (roundTrip > 0 ? 2 : 0) + spread * row.median;
      assertWithin(`${method} ${figure}, ${roundTrip} ms, ${workers}`, row, model, slack);
    }
  });
}

test("requests and bytes of a delivery are those of the lab, within their spread", () => {
  const { rows, run, event_bytes: eventBytes } = readJson("src/measured/compare.json");
  const { plan, clients } = run.parameters;
  const counted = once(rows).filter(
    ({ measurement, figure, median }) =>
      measurement === "traffic" &&
      ["requests", "bytes up", "bytes down"].includes(figure) &&
      // Such as a window update of HTTP/2 for many events: the model has none.
      (median === 0 || median >= 0.02),
  );
  assert.ok(counted.length >= 20, `only ${counted.length} figures`);
  for (const row of counted) {
    const { method, figure, protocol } = row;
    const wire = protocol === "h1" ? HTTP1 : HTTP2_TLS;
    // What counts stands between client and server, and takes a millisecond or two.
    const change = { roundTrip: 1, work: 2, wire, eventBytes };
    const model = repeatAll(method, plan, clients, change, figure);
    assertWithin(`${method} ${figure}, ${protocol}`, row, model, EXACT * row.median);
  }
});

test("requests and bytes of an hour of silence are those of the lab", () => {
  const { rows } = readJson("src/measured/compare.json");
  const hour = 3_600_000;
  const idle = once(rows).filter(
    ({ measurement, figure }) => measurement === "idle" && / an hour$/.test(figure),
  );
  const polls = idle.filter(({ method }) => method.startsWith("polling"));
  const longest = Math.max(...polls.map(({ method }) => laneFor(method).interval));
  // What a poll takes is that of the longest interval: over HTTP/2 the pings between are in it.
  const counted = idle.filter(
    ({ method, figure, protocol }) =>
      protocol === "h1" ||
      figure.startsWith("requests") ||
      !method.startsWith("polling") ||
      laneFor(method).interval === longest,
  );
  assert.ok(counted.length >= 20, `only ${counted.length} figures`);
  for (const row of counted) {
    const { name, interval } = laneFor(row.method);
    const wire = row.protocol === "h1" ? HTTP1 : HTTP2_TLS;
    const lane = laneOf(name, { wire, interval, lasts: hour, roundTrip: 0 }, []);
    const race = { setting: DEFAULT, events: [], lanes: [lane] };
    const { requests, up, down } = standingAt(race, lane, hour);
    const model = {
      "requests an hour": requests,
      "bytes up an hour": up,
      "bytes down an hour": down,
      "bytes an hour": up + down,
    }[row.figure];
    assert.ok(model !== undefined, row.figure);
    const what = `${row.method} ${row.figure}, ${row.protocol}`;
    // Half of a heartbeat may fall out of the hour.
    assertWithin(what, row, [model], EXACT * row.median);
  }
});

// ---- What a page shows ----

test("a picture is whole in each part of the time, and hides nothing without a clip", () => {
  const race = simulate(setting({ rate: 10, faults: drawFaults(2) }));
  for (const [from, to] of [
    [0, 20_000],
    [4000, 8000],
    [19_000, 20_000],
  ]) {
    for (const width of [320, 1040]) {
      const svg = drawRace(race, { width, from, to, label: "A race" });
      assert.doesNotMatch(svg, /NaN|undefined|Infinity|clip/);
      assert.match(svg, /^<svg [^]*<\/svg>$/);
      assert.doesNotMatch(svg, /\n\n/);
    }
  }
});

test("the text says of each event what became of it", () => {
  const race = simulate(DEFAULT);
  for (const lane of race.lanes) {
    const lines = tellLane(race, lane);
    const sorted = lines.every(({ at }, place) => place === 0 || at >= lines[place - 1].at);
    assert.ok(sorted, lane.name);
    const text = lines.map(({ text }) => text).join("\n");
    for (const { event } of lane.losses) assert.ok(text.includes(`Event ${event.number} is lost`));
    for (const { event } of lane.receipts)
      assert.match(text, new RegExp(`events? [\\d, and]*\\b${event.number}\\b`));
  }
  assert.match(summarise(race, DEFAULT.lasts), /Long polling, no cursor \d+ events, \d+ lost/);
});

test("the race that a page begins with shows what it is there to show", () => {
  const race = simulate(DEFAULT);
  const [{ at, lasts }] = DEFAULT.faults;
  const lost = race.lanes.flatMap(({ losses }) => losses);
  // One between two requests, which nobody expects, and some by the cut.
  assert.ok(lost.some(({ event }) => event.at < at));
  assert.ok(lost.some(({ event }) => event.at >= at && event.at < at + lasts));
  for (const lane of race.lanes.slice(0, 4)) {
    const { missing, lost } = standingAt(race, lane, DEFAULT.lasts - 1);
    assert.equal(lost, 0, lane.name);
    assert.ok(missing <= 2, `${lane.name}: ${missing} are still to come`);
  }
});

test("what the pages show without a script is the race itself", () => {
  const race = simulate(DEFAULT);
  const label =
    "The race as it is in the table below: five clients, each with a line for its page and " +
    "one for its server.";
  const view = { width: 376, from: 0, to: DEFAULT.lasts, label };
  const stills = {
    "race.svg": drawRace(race, view),
    "table.md": tabulate(race),
    "setting.md": describeSetting(DEFAULT),
  };
  for (const [name, text] of Object.entries(stills)) {
    const file = new URL(`../race/still/${name}`, import.meta.url);
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(file, `${text}\n`);
    assert.equal(readFileSync(file, "utf8"), `${text}\n`, `${name} (UPDATE_GOLDEN=1)`);
  }
});
