// @ts-check
// Run with `node --test crates/web/tests/`. With `UPDATE_GOLDEN=1` it writes the data that the book
// keeps, and the picture and the tables that its pages show.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import {
  drawHerds,
  formatCount,
  formatSeconds,
  judge,
  tabulate,
  tally,
  TITLES,
  toCsv,
  toJson,
} from "../book/herd-draw.js";
import { DEFAULT, REPLACED, RETRY_AFTER, SHOWN, simulate, SPREAD, STEP } from "../book/herd.js";
import { SERVER } from "../race/model.js";

/** @typedef {import("../book/herd.js").Herd} Herd */
/** @typedef {import("../book/herd.js").Policy} Policy */
/** @typedef {import("../book/herd.js").Setting} Setting */

const POLICIES = /** @type {Policy[]} */ (Object.keys(TITLES));

/** @param {string} path below the repository's root */
const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

/** @param {Partial<Setting>} [change] @returns {Herd} */
const herdOf = (change) => simulate({ ...DEFAULT, ...change });

/** One client at 50 ms from its server. @type {Partial<Setting>} */
const ONE = { clients: 1, way: { least: 100, most: 100 } };

/** When one client asks, to a step. @param {Partial<Setting>} change */
const asks = (change) =>
  herdOf({ ...ONE, ...change })
    .steps.map(({ tries }, step) => (tries > 0 ? step * STEP : NaN))
    .filter((time) => !Number.isNaN(time));

test("the same setting gives the same herd, and another seed another one", () => {
  for (const policy of POLICIES) {
    const setting = { policy, clients: 1000, saysWhen: true };
    assert.deepEqual(herdOf(setting), herdOf(setting));
  }
  const drawn = [1, 2].map((seed) => herdOf({ policy: "jitter", seed }).steps);
  assert.notDeepEqual(drawn[0], drawn[1]);
});

test("every client is back once, and no step is lost", () => {
  for (const policy of POLICIES) {
    for (const saysWhen of [false, true]) {
      const herd = herdOf({ policy, saysWhen, clients: 3000 });
      const { steps, tries, back, refused, abandoned, setting } = herd;
      assert.equal(
        steps.reduce((sum, step) => sum + step.tries, 0),
        tries,
      );
      assert.equal(steps[steps.length - 1].back, back);
      assert.ok(back <= setting.clients && (herd.allBack === null) === back < setting.clients);
      const early = steps.slice(0, setting.away / STEP).map((step) => step.back);
      assert.ok(early.every((back) => back === 0), "nobody is back where there is no server");
      assert.ok(refused + abandoned + back <= tries);
    }
  }
});

test("a client rests as its policy says", () => {
  // It knows of the loss 50 ms after it, and of a refused try 100 ms after the try.
  const away = { away: 60_000 };
  assert.deepEqual(asks({ ...away, policy: "second" }).slice(0, 4), [1000, 2100, 3200, 4300]);
  assert.deepEqual(asks({ ...away, policy: "five" }).slice(0, 3), [5000, 10_100, 15_200]);
  const doubling = asks({ ...away, policy: "doubling" });
  assert.deepEqual(doubling.slice(0, 6), [1000, 3100, 7200, 15_300, 31_400, 61_500]);
  for (let seed = 1; seed <= 50; seed++) {
    const [first, second] = asks({ ...away, policy: "retry", seed });
    const { least, most } = SERVER.retry;
    assert.ok(first >= least && first <= most + STEP, `${first}`);
    assert.ok(Math.abs(second - 2 * first) <= 2 * STEP, "drawn once, and then kept");
    const jitter = asks({ ...away, policy: "jitter", seed });
    const bounds = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    for (let place = 1; place < jitter.length; place++) {
      const rest = jitter[place] - jitter[place - 1];
      assert.ok(rest <= (bounds[place] ?? 30_000) + 2 * STEP, `${rest} after ${place} failures`);
    }
  }
});

test("the server lets in one after the other, and refuses whom it has no room for", () => {
  // All come in one moment, to a server that has been there for long.
  const setting = { way: { least: 100, most: 100 }, away: 0, patience: Infinity };
  const herd = herdOf({ ...setting, clients: 500, room: 1000 });
  assert.equal(herd.refused, 0);
  assert.equal(herd.tries, 500);
  // 50 ms to know, 1 s of rest, 50 ms to the server, half a second until its turn, 50 ms back.
  assert.ok(Math.abs((herd.allBack ?? 0) - 1650) < 1e-6, `${herd.allBack}`);
  const full = herdOf({ ...setting, clients: 500, room: 100, refusal: 0.001, lasts: 1200 });
  assert.deepEqual([full.back, full.refused], [100, 400]);
  // Who has no patience leaves, and its turn is spent all the same.
  const hurried = herdOf({ ...setting, clients: 500, room: 1000, patience: 300, lasts: 1900 });
  assert.deepEqual([hurried.back, hurried.abandoned], [200, 300]);
});

test("a refusal that names a time is heeded, on top of the client's own rest", () => {
  /** @type {Partial<Setting>} */
  const setting = { way: ONE.way, clients: 400, room: 100, away: 0 };
  const { least } = RETRY_AFTER;
  // After the first wave, which comes after a second, and before anybody was told to come.
  const until = (1000 + 1000 * least + 1000) / STEP;
  const isQuiet = (/** @type {boolean} */ saysWhen) =>
    herdOf({ ...setting, saysWhen })
      .steps.slice(15, until)
      .every(({ tries }) => tries === 0);
  assert.deepEqual([isQuiet(false), isQuiet(true)], [false, true]);
});

test("what the herd draws from is what servers of the book draw from", () => {
  const source = read("crates/waiting/src/problem.rs");
  const { least, most } = RETRY_AFTER;
  assert.ok(source.includes(`RETRY_AFTER: RangeInclusive<u16> = ${least}..=${most};`));
});

// ---- What the pages say ----

/** @param {readonly Partial<Setting>[]} settings */
const runsOf = (settings) =>
  settings.map((setting) => {
    const herd = herdOf(setting);
    const title = TITLES[herd.setting.policy];
    const isPlain = !setting.saysWhen || setting.away === 0;
    const heeding = `${title.replace(", always", "")}, heeding Retry-After`;
    return { title: isPlain ? title : heeding, herd };
  });

const shown = runsOf(SHOWN);
const replaced = runsOf(REPLACED);
const [second, five, doubling, retry, heeding, jitter] = shown.map(({ herd }) => herd);

test("what the prose says of the herd is so", () => {
  const { clients, work, away } = DEFAULT;
  // "The outage does not end": nor after five times as long.
  for (const policy of /** @type {Policy[]} */ (["second", "retry"])) {
    assert.equal(herdOf({ policy, lasts: away + 300_000 }).allBack, null, policy);
  }
  for (const herd of [second, retry, doubling]) assert.equal(herd.allBack, null);
  // "Asks more often than the server can even refuse."
  const asking = clients / (1 + (DEFAULT.way.least + DEFAULT.way.most) / 2000);
  assert.ok(asking * DEFAULT.refusal > 1000);
  assert.match(judge(second).says, /hardly anything but refuse/);
  // "At half the price of a refusal they would be back": what decides is the product.
  assert.notEqual(herdOf({ policy: "second", refusal: DEFAULT.refusal / 2 }).allBack, null);
  const cheap = herdOf({ policy: "second", refusal: DEFAULT.refusal / 4 });
  assert.ok(cheap.allBack !== null && cheap.allBack - away < 2 * clients * work);
  // "In waves, and idle between them."
  assert.match(judge(doubling).says, /nothing to do/);
  assert.equal(doubling.peak, clients);
  // "Spreads them, and does not slow them."
  assert.ok(retry.peak < clients / 5);
  // "The same stubborn clients are all back" once they heed.
  assert.ok(heeding.allBack !== null && heeding.allBack - away < 2 * clients * work);
  // "Refuses nobody."
  assert.equal(jitter.refused, 0);
  assert.ok(jitter.allBack !== null && five.allBack !== null && jitter.allBack < five.allBack);
  // "The price": the last of them has drawn nearly the longest rest.
  assert.ok(jitter.allBack - away > 25_000 && jitter.allBack - away <= 31_000);
  // "Told": no request is in vain, and no step has more than the server can let in, but by chance.
  const told = replaced[2].herd;
  assert.equal(told.tries, clients);
  assert.ok(told.peak <= 1.3 * (STEP / work));
  assert.ok(told.allBack !== null && told.allBack <= SPREAD * clients * work + 1000);
  assert.ok(replaced.slice(0, 2).every(({ herd }) => herd.tries > 1.8 * clients));
});

test("each herd is told in whole sentences and whole numbers", () => {
  for (const policy of POLICIES) {
    for (const away of [0, 10_000]) {
      for (const clients of [100, 3000]) {
        const herd = herdOf({ policy, away, clients });
        const { says } = judge(herd);
        assert.match(says, /^[A-Z].*\.$/);
        const texts = [says, ...tally(herd).flat()].join();
        assert.doesNotMatch(texts, /undefined|NaN|Infinity|null/);
        for (const width of [330, 640]) {
          const svg = drawHerds([{ title: "A herd", herd }], { width, height: 150, label: "A" });
          assert.doesNotMatch(svg, /NaN|undefined|Infinity|\n\n/);
          assert.match(svg, /^<svg [^]*<\/svg>$/);
        }
      }
    }
  }
});

test("a number has its thousands apart", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(formatCount), ["0", "999", "1,000", "1,234,567"]);
  assert.equal(formatSeconds(12_345), "12.3 s");
});

/** What a page includes by name. */
const parts = {
  clients: formatCount(DEFAULT.clients),
  away: `${DEFAULT.away / 1000} s`,
  rate: formatCount(1000 / DEFAULT.work),
  room: formatCount(DEFAULT.room),
  patience: `${DEFAULT.patience / 1000} s`,
  way: `${DEFAULT.way.least} to ${DEFAULT.way.most} ms`,
  "second-back": formatCount(second.back),
  "retry-peak": formatCount(retry.peak),
  "jitter-last": formatSeconds((jitter.allBack ?? NaN) - DEFAULT.away),
  "jitter-half": formatSeconds((jitter.halfBack ?? NaN) - DEFAULT.away),
  "heeding-last": formatSeconds((heeding.allBack ?? NaN) - DEFAULT.away),
  spread: `${(SPREAD * DEFAULT.clients * DEFAULT.work) / 1000} s`,
  away_table: tabulate(shown),
  replaced_table: tabulate(replaced),
};

test("what the pages show, and the data that the book keeps, is the herd itself", () => {
  const label =
    `${formatCount(DEFAULT.clients)} clients after the loss of their server: requests in each ` +
    "100 ms, on a logarithmic axis, in six panels. The table below has the numbers.";
  const anchored = Object.entries(parts).map(
    ([name, text]) => `\nANCHOR: ${name}\n${text}\nANCHOR_END: ${name}\n`,
  );
  const all = [...shown, ...replaced];
  const kept = {
    "crates/web/book/still/herd.svg": drawHerds(shown, { width: 420, height: 64, label }),
    "crates/web/book/still/herd.md": ["Written by herd.test.js.\n", ...anchored].join(""),
    "src/measured/herd.json": toJson(all),
    "src/measured/herd.csv": toCsv(all),
  };
  for (const [path, text] of Object.entries(kept)) {
    const file = new URL(`../../../${path}`, import.meta.url);
    const whole = `${text.trimEnd()}\n`;
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(file, whole);
    assert.equal(readFileSync(file, "utf8"), whole, `${path} (UPDATE_GOLDEN=1)`);
  }
  const pages = read("src/production/ends.md");
  for (const name of Object.keys(parts))
    assert.ok(pages.includes(`book/still/herd.md:${name}}}`), `no page includes ${name}`);
});
