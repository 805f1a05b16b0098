// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import {
  describeCopies,
  formatCount,
  formatDollars,
  formatSeconds,
} from "../calculator/calculator.js";
import { CLOUDS, judge, LONGEST_WAIT } from "../calculator/clouds.js";
import {
  DEFAULT,
  NUMBERS,
  PRESETS,
  readInputs,
  readNumber,
  writeInputs,
} from "../calculator/inputs.js";
import { INPUTS, LIMITS, METHODS, OUTPUTS, sum } from "../calculator/sums.js";
import { DEFAULT as HERD, SPREAD } from "../book/herd.js";
import { calculate, initSync } from "../formulas/formulas.js";
import { SERVER } from "../race/model.js";

/** @typedef {import("../calculator/inputs.js").Inputs} Inputs */

/** @param {string} path below the repository's root */
const at = (path) => new URL(`../../../${path}`, import.meta.url);

/** @param {string} path */
const read = (path) => readFileSync(at(path), "utf8");

/** What the formulas give where Rust itself runs them. */
const vectors = JSON.parse(read("crates/capacity/tests/vectors.json"));

before(() => initSync({ module: readFileSync(at("crates/web/formulas/formulas_bg.wasm")) }));

test("the compiled formulas are those of the crate (cargo xtask formulas)", () => {
  assert.ok(vectors.sums.length >= 20);
  for (const { inputs, outputs } of vectors.sums) {
    const found = calculate(Float64Array.from(inputs));
    assert.equal(found.length, outputs.length);
    for (const [place, wanted] of outputs.entries()) {
      const what = `${OUTPUTS[place]} of ${inputs}: ${found[place]}, not ${wanted}`;
      // A browser has a logarithm of its own.
      const near = Math.abs(found[place] - wanted) <= 1e-9 * Math.abs(wanted);
      assert.ok(wanted === null ? found[place] === Infinity : near, what);
    }
  }
});

test("numbers go in and come out in the order of the crate", () => {
  assert.deepEqual(INPUTS, vectors.inputs);
  assert.deepEqual(OUTPUTS, vectors.outputs);
  assert.deepEqual(LIMITS, vectors.limits);
});

/**
 * A figure of the pages, as a number.
 *
 * @param {string} name
 */
function figure(name) {
  const text = read("src/measured/figures.md");
  const found = text.split(`ANCHOR: ${name}`)[1]?.split("\n")[1] ?? "";
  const number = Number(found.replaceAll(/[^0-9.]/g, ""));
  assert.ok(number > 0, `${name}: ${found}`);
  return number;
}

/** @param {string} heading @param {import("../calculator/clouds.js").MethodName} method */
function preset(heading, method) {
  const found = PRESETS.find((it) => it.heading === heading);
  assert.ok(found, heading);
  return sum(found.inputs, method);
}

/**
 * A page has two digits of it.
 *
 * @param {number} found
 * @param {number} wanted
 * @param {string} what
 */
function near(found, wanted, what) {
  assert.ok(Math.abs(found - wanted) <= 0.03 * wanted, `${what}: ${found}, not ${wanted}`);
}

test("the presets make the sums of Worked choices", () => {
  const dashboard = preset("a-dashboard", "polling");
  near(dashboard.requests_per_s, figure("case-dashboard-polls"), "dashboard");
  const both = dashboard.up_bytes_per_s + dashboard.down_bytes_per_s;
  near(both / 1000, figure("case-dashboard-day"), "dashboard, by day");
  near(
    preset("a-dashboard", "sse").down_bytes_per_s / 1000,
    figure("case-dashboard-stream"),
    "dashboard, as a stream",
  );
  near(
    preset("a-chat", "sse").deliveries_per_s,
    figure("case-chat-deliveries"),
    "deliveries of the chat",
  );
  near(
    preset("a-chat", "long_polling").requests_per_s,
    figure("case-chat-long-polls"),
    "long polls of the chat",
  );
  near(
    preset("a-chat", "websocket").down_bytes_per_s / 1000,
    figure("case-chat-websocket"),
    "frames of the chat",
  );
  const ticker = preset("a-ticker-for-a-million-readers", "polling");
  near(ticker.requests_per_s, figure("case-ticker-polls"), "ticker");
  near(ticker.down_bytes_per_s / 1e9, figure("case-ticker-down"), "bytes of the ticker");
  near(
    preset("the-progress-of-a-job", "polling").requests_per_s,
    figure("case-job-polls"),
    "polls of the jobs",
  );
  near(preset("a-token-stream", "sse").deliveries_per_s, figure("case-tokens"), "tokens");
  near(
    preset("a-collaborative-editor", "websocket").deliveries_per_s,
    figure("case-editor-out"),
    "changes of the editor",
  );
});

test("the log of each case has as many events as its text says", () => {
  /** @param {string} heading */
  const log = (heading) => PRESETS.find((it) => it.heading === heading)?.inputs.log ?? NaN;
  near(log("a-chat") / 60, figure("case-chat-messages"), "messages of all rooms");
  near(log("a-token-stream") / 60, figure("case-tokens"), "tokens of all answers");
  // Each change goes to seven others.
  near((log("a-collaborative-editor") / 60) * 7, figure("case-editor-out"), "changes");
});

test("many servers begin with what the book has measured, and with its clients", () => {
  assert.equal(DEFAULT.places, figure("scale-most"));
  assert.equal(DEFAULT.accepts, 1000 / HERD.work);
  // Two heartbeats and a second, as the clients wait.
  assert.equal(DEFAULT.notice, 2 * 15 + 1);
  const { servers, lost_readers: lost, least_return_s: least } = sum(DEFAULT, "sse");
  assert.equal(servers, 3);
  near(least, (SPREAD * lost) / 2 / DEFAULT.accepts, "the rule of the herd");
});

test("a reader of one room costs its server the events of all", () => {
  const one = sum({ ...DEFAULT, log: 0 }, "sse");
  assert.deepEqual(sum({ ...DEFAULT, log: DEFAULT.events }, "sse"), one);
  const all = sum({ ...DEFAULT, log: 60 * DEFAULT.events }, "sse");
  assert.ok(all.log_bytes_per_s > one.log_bytes_per_s);
  assert.deepEqual({ ...all, log_bytes_per_s: one.log_bytes_per_s }, one);
});

test("it is said what becomes of the log when a zone is lost", () => {
  /** @param {Partial<Inputs>} change */
  const said = (change) => {
    const inputs = { ...DEFAULT, ...change };
    return describeCopies(inputs, sum(inputs, "sse"));
  };
  assert.match(said({}), /3 copies in 3 zones\. .* 2 are left\. ✓ 2 must agree/);
  assert.match(said({ zones: 2 }), / 1 is left\. ✕ 2 must agree/);
  assert.match(said({ copies: 1 }), /1 copy in 3 zones\. .* 0 are left\. ✕ Nothing/);
  assert.match(said({ engine: "postgres", copies: 2 }), /another is promoted/);
});

test("zones, copies and places are whole, and there are two zones", () => {
  for (const name of /** @type {const} */ (["zones", "copies", "places"])) {
    assert.equal(readNumber(name, "2.5"), null);
    assert.equal(readNumber(name, "3"), 3);
  }
  assert.equal(readNumber("zones", "1"), null);
  assert.equal(readNumber("returns", "2.5"), 2.5);
});

test("each preset is a case of Worked choices, and all are there", () => {
  const found = read("src/choosing/cases.md").matchAll(/^## (.*)$/gm);
  const cases = Array.from(found, ([, heading]) => heading).slice(0, 7);
  assert.deepEqual(
    PRESETS.map(({ title }) => title),
    cases,
  );
  for (const { title, heading } of PRESETS)
    assert.equal(heading, title.toLowerCase().replaceAll(" ", "-"));
});

test("more headers make larger requests, unless they were sent before", () => {
  for (const method of METHODS) {
    const plain = sum({ ...DEFAULT, http: "1.1" }, method);
    const more = sum({ ...DEFAULT, http: "1.1", headers: 500 }, method);
    const added = more.up_bytes_per_s - plain.up_bytes_per_s;
    near(added + 1, 500 * plain.requests_per_s + 1, method);
    const again = sum({ ...DEFAULT, headers: 500 }, method);
    assert.deepEqual(again, sum(DEFAULT, method));
  }
});

test("an address keeps what was asked, and nothing wrong comes of another one", () => {
  /** @type {Inputs} */
  const other = { ...DEFAULT, cloud: "Heroku", engine: "postgres", zones: 2 };
  for (const { inputs } of [...PRESETS, { inputs: other }]) {
    const query = new URLSearchParams("highlight=poll");
    writeInputs(query, inputs);
    assert.deepEqual(readInputs(new URLSearchParams(query.toString())), inputs);
    assert.equal(query.get("highlight"), "poll");
    assert.ok(query.has("readers"));
  }
  // What is the default again is not left over from before.
  const query = new URLSearchParams("bytes=7&cloud=Heroku");
  writeInputs(query, DEFAULT);
  assert.equal(query.toString(), "readers=10000");
  const wrong =
    "readers=-1&events=soon&bytes=&interval=0&rtt=1e99&http=3&cloud=nowhere&state=NaN" +
    "&zones=1&copies=2.5&engine=paper";
  assert.deepEqual(readInputs(new URLSearchParams(wrong)), DEFAULT);
  for (const [name, { least, most }] of Object.entries(NUMBERS)) {
    const value = DEFAULT[/** @type {keyof Inputs} */ (name)];
    assert.ok(typeof value === "number" && value >= least && value <= most, name);
  }
});

/** The rows of the table of clouds on the page, without links. */
function cloudsOnThePage() {
  const [, section] = read("src/choosing/index.md").split("\n## Clouds\n");
  const table = section.split("\n").filter((line) => line.startsWith("| "));
  return table.slice(2).map((line) =>
    line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => cell.replaceAll(/ \(\[source\].*\)$|\*\*|`/g, "")),
  );
}

test("the clouds are those of the page", () => {
  const here = CLOUDS.map(({ name, sse, websocket, ends }) => [name, sse, websocket, ends]);
  assert.deepEqual(here, cloudsOnThePage());
  // What a number of seconds was read from.
  for (const { name, ends, stream, socket } of CLOUDS) {
    for (const seconds of [...Object.values(stream), ...Object.values(socket)]) {
      const forms = [`${seconds} s`, `${seconds / 60} min`, `${seconds / 3600} h`];
      assert.ok(
        forms.some((form) => ends.includes(form)),
        `${name}: ${seconds}`,
      );
    }
  }
});

test("each of Worked choices leads to the calculator with its numbers", () => {
  const text = read("src/choosing/cases.md");
  const links = text.matchAll(/\(index\.html\?([^#)]*)#with-your-own-numbers\)/g);
  const asked = Array.from(links, ([, query]) => readInputs(new URLSearchParams(query)));
  const presets = PRESETS.map(({ inputs }) => inputs);
  assert.deepEqual(asked, presets);
});

test("a cloud rules out what it does not let through", () => {
  assert.equal(LONGEST_WAIT, SERVER.park.most);
  /** @param {string} name */
  const verdicts = (name) => {
    const cloud = CLOUDS.find((it) => it.name === name);
    assert.ok(cloud, name);
    return METHODS.map((method) => judge(cloud, method, 9000).verdict);
  };
  assert.deepEqual(verdicts("Azure Front Door"), ["yes", "yes", "no", "yes"]);
  assert.deepEqual(verdicts("AWS API Gateway, WebSocket"), ["no", "no", "no", "yes"]);
  assert.deepEqual(verdicts("AWS Lambda"), ["yes", "yes", "if", "no"]);
  assert.deepEqual(verdicts("Heroku"), ["yes", "yes", "yes", "yes"]);
  const [google] = CLOUDS;
  assert.match(judge(google, "sse", 9000).why, /ends after 30 s: 300 come back each second/);
  const strict = { ...google, stream: { idle: 10 } };
  assert.equal(judge(strict, "sse", 1).verdict, "if");
  assert.equal(judge(strict, "long_polling", 1).verdict, "if");
});

test("numbers are written as a person reads them", () => {
  for (const [number, text] of /** @type {[number, string][]} */ ([
    [0, "0"],
    [0.00001, "less than 0.001"],
    [0.01234, "0.0123"],
    [1.005, "1"],
    [12.34, "12.3"],
    [1234, "1,230"],
    [2.5e9, "2.5 billion"],
    [Infinity, "no end"],
  ])) {
    assert.equal(formatCount(number), text);
  }
  assert.equal(formatSeconds(0.025), "25 ms");
  assert.equal(formatSeconds(5.05), "5.05 s");
  assert.equal(formatDollars(0), "$0");
  assert.equal(formatDollars(0.2), "less than $1");
  assert.equal(formatDollars(61.4), "$61");
  assert.equal(formatDollars(123456), "$123,000");
});
