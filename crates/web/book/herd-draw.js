// @ts-check
/**
 * A herd as a picture, in numbers and as data: all without a document, so that the
 * book's pages have the same before any script has run.
 */

import { STEP } from "./herd.js";

/** @typedef {import("./herd.js").Herd} Herd */
/** @typedef {import("./herd.js").Policy} Policy */

/** @type {Record<Policy, string>} */
export const TITLES = {
  second: "After 1 s, always",
  five: "After 5 s, always",
  doubling: "After 1, 2, 4 … 30 s, not drawn",
  retry: "After 1 to 2 s, drawn once",
  jitter: "Full jitter: below 1, 2, 4 … 30 s",
  told: "Told when by the server that ends",
};

/** Letters, as in the book's other charts, and what stands around a panel. */
const LETTERS = 15;
const HEAD = 38;
const LEFT = 62;
const RIGHT = 10;
const FOOT = 44;
/** What is drawn for no try at all: a logarithm has no zero. */
const LEAST = 0.5;

const INK = "var(--fg, #1f2328)";
const LINE = "var(--table-border-color, #dfe2e6)";
const CALM = "var(--mends, #1a6b30)";
const TOO_MANY = "var(--fails, #b3261e)";

/**
 * The requests of some herds over time, a panel for each, on one time axis.
 *
 * @param {{ title: string, herd: Herd }[]} panels one at least, with the same `lasts`
 * @param {object} view
 * @param {number} view.width
 * @param {number} view.height of a panel without its title
 * @param {string} view.label for who does not see it
 * @returns {string} an SVG
 */
export function drawHerds(panels, { width, height, label }) {
  const { lasts } = panels[0].herd.setting;
  const scale = (width - LEFT - RIGHT) / lasts;
  const x = (/** @type {number} */ at) => round(LEFT + at * scale);
  const whole = panels.length * (HEAD + height) + FOOT;
  const most = Math.max(10_000, ...panels.map(({ herd }) => herd.peak));
  const foot = whole - FOOT;
  /** @type {number[]} */
  const seconds = [];
  for (let second = 0; second * 1000 <= lasts; second += 10) seconds.push(second);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${whole}" ` +
      `width="${width}" height="${whole}" role="img" aria-label="${label}" ` +
      `font-family="sans-serif" font-size="${LETTERS}" fill="${INK}">`,
    ...panels.map(({ title, herd }, place) => {
      const top = place * (HEAD + height) + HEAD;
      return drawPanel(title, herd, { x, top, height, most, width });
    }),
    ...seconds.map((second) =>
      text(`${second}`, x(second * 1000), foot + 18, "middle"),
    ),
    text("seconds since the server was lost", x(lasts / 2), foot + 37, "middle"),
    "</svg>",
  ].join("\n");
}

/**
 * @param {string} title
 * @param {Herd} herd
 * @param {{ x: (at: number) => number, top: number, height: number, most: number,
 *   width: number }} place
 */
function drawPanel(title, herd, { x, top, height, most, width }) {
  const { away, work, lasts } = herd.setting;
  const bottom = top + height;
  const range = Math.log(most / LEAST);
  /** @param {number} tries */
  const y = (tries) =>
    round(bottom - (Math.log(Math.max(tries, LEAST) / LEAST) / range) * height);
  // As many as the server can let in.
  const bearable = STEP / work;
  // The most of the steps that fall into one unit of the picture.
  const first = x(0);
  const columns = new Array(Math.ceil(x(lasts)) - first + 1).fill(0);
  for (const [number, { tries }] of herd.steps.entries()) {
    const column = Math.floor(x(number * STEP) - first);
    if (column < columns.length) columns[column] = Math.max(columns[column], tries);
  }
  /**
   * An area from the axis, or from what is bearable, up to each column's number.
   *
   * @param {number} from
   * @param {(tries: number) => number} to
   */
  const area = (from, to) => {
    let path = `M${first} ${y(from)}`;
    let height = y(from);
    let run = 0;
    for (const tries of [...columns, 0]) {
      const next = y(Math.max(from, to(tries)));
      if (next !== height) path += `h${run}V${next}`;
      if (next !== height) run = 0;
      height = next;
      run += 1;
    }
    return `${path}Z`;
  };
  const lines = [];
  if (away > 0)
    lines.push(
      `<rect x="${first}" y="${top}" width="${round(x(away) - first)}" ` +
        `height="${height}" fill="${LINE}" fill-opacity="0.5"/>`,
    );
  for (const tries of [10, 100, 1000, 10_000]) {
    lines.push(`<path d="M${first} ${y(tries)}H${x(lasts)}" stroke="${LINE}"/>`);
    if (tries === 100 || tries === 10_000)
      lines.push(text(formatCount(tries), LEFT - 6, y(tries) + 5, "end"));
  }
  lines.push(
    `<path d="${area(LEAST, (tries) => Math.min(tries, bearable))}" fill="${CALM}"/>`,
    `<path d="${area(bearable, (tries) => tries)}" fill="${TOO_MANY}"/>`,
    `<path d="M${first} ${bottom}H${x(lasts)}" stroke="${INK}"/>`,
    text(title, 4, top - 13, "start"),
    text(tellEnd(herd), width - 4, top - 13, "end"),
  );
  return lines.join("\n");
}

/**
 * @param {string} words
 * @param {number} x
 * @param {number} y
 * @param {"start" | "middle" | "end"} anchor
 */
function text(words, x, y, anchor) {
  const side = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text x="${x}" y="${y}"${side}>${words}</text>`;
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 10) / 10;
}

/** @param {number} number */
export function formatCount(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** @param {number} time in milliseconds */
export function formatSeconds(time) {
  return `${(time / 1000).toFixed(1)} s`;
}

/**
 * How long after the server was there again, in few words.
 *
 * @param {Herd} herd
 * @param {number | null} at
 */
function since({ setting: { away, lasts } }, at) {
  return at === null
    ? `more than ${(lasts - away) / 1000} s`
    : formatSeconds(at - away);
}

/** @param {Herd} herd */
function tellEnd(herd) {
  return herd.allBack === null
    ? "not all back"
    : `all back: ${since(herd, herd.allBack)}`;
}

/**
 * What became of a herd, as name and number.
 *
 * @param {Herd} herd
 * @returns {[name: string, number: string][]}
 */
export function tally(herd) {
  return [
    ["Requests, in all", formatCount(herd.tries)],
    ["in vain", formatCount(herd.tries - herd.back)],
    ["in the busiest 100 ms", formatCount(herd.peak)],
    ["in the busiest 100 ms with the server there", formatCount(herd.peakBack)],
    ["Half of them are back after", since(herd, herd.halfBack)],
    ["All of them are back after", since(herd, herd.allBack)],
  ];
}

/**
 * A verdict, in a sentence or two.
 *
 * @param {Herd} herd
 * @returns {{ how: "good" | "narrow" | "bad", says: string }}
 */
export function judge(herd) {
  const { setting, back, allBack, tries } = herd;
  const { clients, lasts, away, refusal } = setting;
  if (allBack === null) {
    const left = lasts - away;
    const isRefusing = herd.refused * refusal > left / 2;
    const why = isRefusing
      ? "The server does hardly anything but refuse."
      : "They come in waves, and between two of them the server has nothing to do.";
    const of = `${formatCount(back)} of ${formatCount(clients)}`;
    return { how: "bad", says: `After ${left / 1000} s ${of} are back. ${why}` };
  }
  const each = ((tries - back) / clients).toFixed(1);
  const says =
    `All are back ${since(herd, allBack)} after the server. ` +
    `On average each has asked ${each} times in vain.`;
  return { how: herd.refused > clients ? "narrow" : "good", says };
}

/** A run whose data the book keeps. @typedef {{ title: string, herd: Herd }} Run */

/**
 * A table for a page.
 *
 * @param {Run[]} runs
 * @returns {string} Markdown
 */
export function tabulate(runs) {
  const head =
    "| A client tries again | requests | in vain | in the busiest 100 ms | " +
    "half are back after | all are back after |\n" +
    "| --- | --: | --: | --: | --: | --: |";
  const rows = runs.map(({ title, herd }) => {
    const numbers = [herd.tries, herd.tries - herd.back, herd.peak].map(formatCount);
    const ends = [herd.halfBack, herd.allBack].map((at) => since(herd, at));
    return `| ${[title, ...numbers, ...ends].join(" | ")} |`;
  });
  return [head, ...rows].join("\n");
}

/**
 * The data, for a program: a line for each run.
 *
 * @param {Run[]} runs
 * @returns {string} JSON
 */
export function toJson(runs) {
  const lines = runs.map(({ title, herd: { steps, ...rest } }) => {
    const requests = steps.map(({ tries }) => tries);
    const connected = steps.map(({ back }) => back);
    return JSON.stringify({ title, ...rest, requests, connected });
  });
  return `{"step_ms":${STEP},"runs":[\n${lines.join(",\n")}\n]}`;
}

/**
 * The figures, for a spreadsheet: a line for each run.
 *
 * @param {Run[]} runs
 * @returns {string} CSV
 */
export function toCsv(runs) {
  const names = /** @type {const} */ ([
    "tries",
    "peak",
    "peakBack",
    "refused",
    "abandoned",
    "back",
    "halfBack",
    "allBack",
  ]);
  const lines = [`policy,retry_after,away_ms,${names.join(",")}`];
  for (const { herd } of runs) {
    const { policy, saysWhen, away } = herd.setting;
    const numbers = names.map((name) => Math.round(herd[name] ?? NaN));
    const cells = numbers.map((number) => (Number.isNaN(number) ? "" : number));
    lines.push([policy, saysWhen, away, ...cells].join(","));
  }
  return lines.join("\n");
}
