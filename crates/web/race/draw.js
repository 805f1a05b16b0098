// @ts-check
/**
 * A race as a picture, as a text and as a table: all without a document, so that the
 * book's pages can have the same before any script has run.
 */

import { standingAt } from "./model.js";

/** @typedef {import("./model.js").Arrow} Arrow */
/** @typedef {import("./model.js").Fault} Fault */
/** @typedef {import("./model.js").Lane} Lane */
/** @typedef {import("./model.js").LaneName} LaneName */
/** @typedef {import("./model.js").LogEvent} LogEvent */
/** @typedef {import("./model.js").Race} Race */
/** @typedef {import("./model.js").Setting} Setting */

/**
 * What a lane is called, and the shape that its method has throughout the book.
 *
 * @type {Record<LaneName, { title: string, shape: string, className: string }>}
 */
export const TITLES = {
  polling: { title: "Polling", shape: "●", className: "method-polling" },
  "long-polling": {
    title: "Long polling",
    shape: "◐",
    className: "method-long-polling",
  },
  sse: { title: "SSE", shape: "▲", className: "method-sse" },
  websocket: { title: "WebSocket", shape: "◆", className: "method-websocket" },
  "no-cursor": {
    title: "Long polling, no cursor",
    shape: "✕",
    className: "race-loses",
  },
};

const LANE = { height: 74, page: 26, server: 60 };
const SIDE = 8;
const AXIS = 20;

/**
 * The lanes of a race over a part of its time.
 *
 * @param {Race} race
 * @param {object} view
 * @param {number} view.width in pixels
 * @param {number} view.from in milliseconds
 * @param {number} view.to
 * @param {string} [view.clip] the id of a clip path, which shows the time up to its
 *   edge and hides the rest. Without it all is shown
 * @param {string} view.label for who does not see it
 * @returns {string} an SVG, of one line for each lane
 */
export function drawRace(race, { width, from, to, clip, label }) {
  const { lanes, events, setting } = race;
  const height = AXIS + lanes.length * LANE.height;
  const scale = (width - 2 * SIDE) / (to - from);
  /** @param {number} at */
  const x = (at) => round(SIDE + (at - from) * scale);
  /** @param {number} begin @param {number} end */
  const isSeen = (begin, end) => end >= from && begin <= to;
  const seen = { x, isSeen, from, to };

  const lines = [
    `<svg class="lane race" viewBox="0 0 ${width} ${height}" width="${width}" ` +
      `height="${height}" role="img" aria-label="${label}">`,
  ];
  if (clip) {
    lines.push(
      `<clipPath id="${clip}">` +
        `<rect x="0" y="0" width="0" height="${height}"/></clipPath>`,
    );
  }
  lines.push(drawAxis(seen, height));
  for (const fault of setting.faults) lines.push(drawFault(fault, seen, height));
  for (const [place, lane] of lanes.entries()) {
    const { title, shape, className } = TITLES[lane.name];
    const y = AXIS + place * LANE.height;
    lines.push(
      `<g class="${className}" transform="translate(0 ${y})">` +
        `<text class="race-name" x="${SIDE}" y="13">` +
        `<tspan class="race-shape">${shape}</tspan> ${title}</text>` +
        `<path class="lane-line" d="M${SIDE} ${LANE.page}H${width - SIDE}` +
        `M${SIDE} ${LANE.server}H${width - SIDE}"/>` +
        `<g${clip ? ` clip-path="url(#${clip})"` : ""}>` +
        drawLane(lane, events, seen) +
        "</g></g>",
    );
  }
  if (clip) lines.push(`<path class="race-head" d="M0 ${AXIS - 4}V${height}"/>`);
  lines.push("</svg>");
  return lines.filter((line) => line !== "").join("\n");
}

/**
 * @typedef {object} Seen
 * @property {(at: number) => number} x
 * @property {(begin: number, end: number) => boolean} isSeen
 * @property {number} from
 * @property {number} to
 */

/** @param {Seen} seen @param {number} height */
function drawAxis({ x, from, to }, height) {
  // Five marks or fewer, at round times.
  const steps = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
  const step = steps.find((step) => (to - from) / step <= 5) ?? 60_000;
  let grid = "";
  let texts = "";
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    grid += `M${x(at)} ${AXIS - 4}V${height}`;
    const anchor = at === from ? "start" : at === to ? "end" : "middle";
    texts +=
      `<text class="lane-time" x="${x(at)}" y="11" text-anchor="${anchor}">` +
      `${formatTime(at, step)}</text>`;
  }
  return `<path class="lane-grid" d="${grid}"/>${texts}`;
}

/**
 * @param {Fault} fault
 * @param {Seen} seen
 * @param {number} height
 */
function drawFault({ kind, at, lasts }, { x, isSeen, from, to }, height) {
  if (!isSeen(at, at + lasts)) return "";
  const begin = x(Math.max(at, from));
  const width = round(x(Math.min(at + lasts, to)) - begin);
  const words = kind === "cut" ? "line cut" : "server away";
  return (
    `<rect class="race-${kind}" x="${begin}" y="${AXIS - 4}" width="${width}" ` +
    `height="${height - AXIS + 4}"/>` +
    `<text class="race-fault" x="${begin}" y="${AXIS + 6}" dx="2">${words}</text>`
  );
}

/**
 * @param {Lane} lane
 * @param {LogEvent[]} events
 * @param {Seen} seen
 */
function drawLane({ name, arrows, open, rests, receipts, losses }, events, seen) {
  const { x, isSeen, from, to } = seen;
  const { page, server } = LANE;
  /** @param {number} begin @param {number} end @param {number} y */
  const bar = (begin, end, y) =>
    isSeen(begin, end)
      ? `M${x(Math.max(begin, from))} ${y}H${x(Math.min(end, to))}`
      : "";
  let drawn = "";
  /** @param {string} className @param {string} d */
  const path = (className, d) => {
    if (d) drawn += `<path class="${className}" d="${d}"/>`;
  };

  path("lane-open", open.map((it) => bar(it.from, it.to, server)).join(""));
  const late = receipts.map(({ event, at }) => bar(event.at, at, page));
  path("lane-open", late.join(""));
  path("race-rest", rests.map((it) => bar(it.from, it.to, page)).join(""));

  /** @type {Record<string, string>} */
  const ways = {};
  for (const arrow of arrows) {
    if (!isSeen(arrow.at, arrow.until)) continue;
    const className = arrow.isCaught ? "race-caught" : arrowClass(arrow);
    ways[className] = (ways[className] ?? "") + drawArrow(arrow, seen);
  }
  for (const [className, d] of Object.entries(ways)) path(className, d);

  const published = events.filter(({ at }) => isSeen(at, at));
  for (const { at } of published)
    drawn += `<circle class="lane-event" cx="${x(at)}" cy="${server}" r="2.5"/>`;
  const marks = receipts.filter(({ at }) => isSeen(at, at));
  path("lane-mark", marks.map(({ at }) => mark(name, x(at), page)).join(""));
  for (const { event } of losses) {
    if (!isSeen(event.at, event.at)) continue;
    drawn +=
      `<path class="race-loss" d="${cross(x(event.at), server)}"/>` +
      `<text class="race-lost" x="${x(event.at)}" y="${server + 13}" ` +
      `text-anchor="middle">${event.number}</text>`;
  }
  return drawn;
}

/** @param {Arrow} arrow */
function arrowClass({ kind, events }) {
  if (kind === "handshake" || kind === "refusal") return "race-thin";
  const isVain = (kind === "answer" || kind === "heartbeat") && events.length === 0;
  return isVain || kind === "pong" ? "race-vain" : "lane-arrow";
}

/** @param {Arrow} arrow @param {Seen} seen */
function drawArrow({ from, at, until, isCaught }, { x }) {
  const { page, server } = LANE;
  const [begin, goal] = from === "client" ? [page, server] : [server, page];
  const down = goal > begin ? 1 : -1;
  const tip = { x: x(until), y: isCaught ? (begin + goal) / 2 : goal - down };
  const shaft = `M${x(at)} ${begin + down}L${tip.x} ${tip.y}`;
  if (isCaught) return shaft + cross(tip.x, tip.y);
  const back = round(tip.y - 4 * down);
  const [left, right] = [round(tip.x - 2), round(tip.x + 2)];
  return `${shaft}M${left} ${back}L${tip.x} ${tip.y}L${right} ${back}`;
}

/** @param {number} x @param {number} y */
function cross(x, y) {
  const [left, right, top, bottom] = [x - 4, x + 4, y - 4, y + 4].map(round);
  return `M${left} ${top}L${right} ${bottom}M${left} ${bottom}L${right} ${top}`;
}

/**
 * An event that is there, in the shape of its method.
 *
 * @param {LaneName} name
 * @param {number} x
 * @param {number} y
 */
function mark(name, x, y) {
  const [left, right] = [round(x - 3.5), round(x + 3.5)];
  if (name === "sse") return `M${left} ${y + 3}H${right}L${x} ${y - 4}Z`;
  if (name === "websocket")
    return `M${left} ${y}L${x} ${y - 4}L${right} ${y}L${x} ${y + 4}Z`;
  const half = `M${x} ${y - 3.5}A3.5 3.5 0 0 0 ${x} ${y + 3.5}`;
  return name === "polling" ? `${half}A3.5 3.5 0 0 0 ${x} ${y - 3.5}Z` : `${half}Z`;
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 10) / 10;
}

/**
 * @param {number} at
 * @param {number} step
 */
function formatTime(at, step) {
  return `${(at / 1000).toFixed(step < 1000 ? 1 : 0)} s`;
}

/**
 * A time or a delay, as exact as a person reads it.
 *
 * @param {number | null} milliseconds
 */
export function formatDelay(milliseconds) {
  if (milliseconds === null) return "–";
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(1).replace(/\.0$/, "")} s`;
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  return bytes < 9950 ? `${Math.round(bytes)} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

/** @param {LogEvent[]} events */
function nameEvents(events) {
  const numbers = events.map(({ number }) => number);
  const last = numbers.pop();
  return numbers.length === 0
    ? `event ${last}`
    : `events ${numbers.join(", ")} and ${last}`;
}

/**
 * What happens to one client, in words.
 *
 * @param {Race} race
 * @param {Lane} lane
 * @returns {{ at: number, text: string }[]} in order
 */
export function tellLane({ events, setting }, lane) {
  /** @type {{ at: number, text: string }[]} */
  const lines = [];
  /** @param {number} at @param {string} text */
  const add = (at, text) => void lines.push({ at, text });
  for (const { at, number } of events) add(at, `Event ${number} is published.`);
  for (const { kind, at, lasts } of setting.faults) {
    const what = kind === "cut" ? "The line is cut" : "The server restarts";
    add(at, `${what}, and is back after ${formatDelay(lasts)}.`);
  }
  for (const { from, to } of lane.rests)
    add(from, `The page rests for ${formatDelay(to - from)} before its next try.`);
  for (const arrow of lane.arrows) {
    const { from, kind, at, until, isCaught } = arrow;
    if (isCaught) add(until, `Caught by the cut: ${describe(arrow)}.`);
    else if (from === "client") add(at, `The page sends ${describe(arrow)}.`);
    else if (kind === "refusal") add(until, "The server refuses the connection.");
    else add(until, `The page gets ${describe(arrow)}.`);
  }
  for (const { event, at } of lane.losses) {
    const why = at > event.at ? "its answer did not arrive" : "nobody was waiting";
    add(at, `Event ${event.number} is lost: ${why}.`);
  }
  return lines.sort((one, other) => one.at - other.at);
}

/** @param {Arrow} arrow */
function describe({ kind, from, at, until, bytes, events }) {
  if (kind === "handshake") return "its part of a handshake";
  const size = `(${formatBytes(bytes)})`;
  const names = {
    request: "a request",
    answer: "an empty answer",
    event: "an event",
    hello: "a greeting",
    heartbeat: "a heartbeat",
    pong: "a sign of life",
    end: "a farewell",
    refusal: "a refusal",
  };
  if (events.length === 0) return `${names[kind]} ${size}`;
  const late = events.map((event) => formatDelay(until - event.at)).join(" and ");
  return `${nameEvents(events)} ${size}, ${late} late`;
}

/**
 * How all stand at a time, in a sentence or two.
 *
 * @param {Race} race
 * @param {number} now
 */
export function summarise(race, now) {
  const parts = race.lanes.map((lane) => {
    const { received, lost, lateness } = standingAt(race, lane, now);
    const losses = lost > 0 ? `, ${lost} lost` : "";
    const late = `${formatDelay(lateness)} late`;
    return `${TITLES[lane.name].title} ${received} events${losses}, ${late}`;
  });
  return `After ${formatDelay(now)}: ${parts.join("; ")}.`;
}

/**
 * What a race was made from, in a sentence.
 *
 * @param {Setting} setting
 */
export function describeSetting({ rate, lasts, interval, roundTrip, faults }) {
  const events =
    rate === 1
      ? "One event a second on average"
      : `${rate} events a second on average`;
  const what = faults.map(({ kind, at, lasts }) => {
    const begins = kind === "cut" ? "the line is cut" : "the server restarts";
    return `at ${formatDelay(at)} ${begins} and is back after ${formatDelay(lasts)}`;
  });
  const parts = [
    `${events}, for ${formatDelay(lasts)}`,
    `a poll every ${formatDelay(interval)}`,
    `a round trip of ${formatDelay(roundTrip)}`,
    "HTTP/2 over TLS",
    ...what,
  ];
  return `${parts.join("; ")}.`;
}

/**
 * The end of a race, as a table in Markdown.
 *
 * @param {Race} race
 */
export function tabulate(race) {
  const { lasts } = race.setting;
  const rows = race.lanes.map((lane) => {
    const { title, className } = TITLES[lane.name];
    const standing = standingAt(race, lane, lasts);
    const name =
      lane.name === "no-cursor" ? title : `<span class="${className}">${title}</span>`;
    const lost = standing.lost > 0 ? `**${standing.lost}**` : "0";
    const cells = [
      name,
      standing.requests,
      `${formatBytes(standing.up)}; ${formatBytes(standing.down)}`,
      `${formatDelay(standing.lateness)}; ${formatDelay(standing.latest)}`,
      `${lost} of ${race.events.length}`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| Client | Requests | Bytes up; down | Late on average; at most | Events lost |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
