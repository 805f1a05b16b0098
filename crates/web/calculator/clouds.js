// @ts-check
/**
 * What a cloud does to a connection: the table of "Clouds", for a calculator. A test
 * compares each of its rows with the page.
 */

import { HTTP1 } from "../figures/measured.js";

/**
 * @typedef {object} Cloud
 * @property {string} name as the table has it
 * @property {string} sse whether it lets an event stream through, as the table has it
 * @property {string} websocket likewise
 * @property {string} ends when it ends a connection, as the table has it
 * @property {Ends} stream the same for an event stream, and for a response that waits
 * @property {Ends} socket the same for a WebSocket
 * @property {boolean} [isSocketOnly] whether it carries no HTTP of one's own
 */

/**
 * In seconds, by what a cloud has at first; without one it names no such limit.
 *
 * @typedef {{ idle?: number, total?: number }} Ends
 */

/** @type {Cloud[]} */
export const CLOUDS = [
  {
    name: "Google, load balancer",
    sse: "yes",
    websocket: "yes",
    ends:
      "SSE: 30 s in all, can be set. " +
      "WebSocket: 24 h; with the classic one 30 s in all",
    stream: { total: 30 },
    socket: { total: 86_400 },
  },
  {
    name: "AWS API Gateway, REST, at the edge",
    sse: "if set to STREAM",
    websocket: "no",
    ends: "30 s idle (5 min in a region), 15 min in all",
    stream: { idle: 30, total: 900 },
    socket: {},
  },
  {
    name: "Azure Front Door",
    sse: "no",
    websocket: "yes",
    ends: "5 min idle, 4 h in all",
    stream: { idle: 300, total: 14_400 },
    socket: { idle: 300, total: 14_400 },
  },
  {
    name: "AWS CloudFront",
    sse: "yes",
    websocket: "yes",
    ends: "30 s idle, 1 to 120 can be set; a socket 10 min idle",
    stream: { idle: 30 },
    socket: { idle: 600 },
  },
  {
    name: "Heroku",
    sse: "yes",
    websocket: "yes",
    ends: "30 s to the first byte, then 55 s idle",
    stream: { idle: 30 },
    socket: { idle: 55 },
  },
  {
    name: "AWS Application Load Balancer",
    sse: "yes",
    websocket: "yes",
    ends: "60 s idle, can be set",
    stream: { idle: 60 },
    socket: { idle: 60 },
  },
  {
    name: "Cloudflare as a proxy",
    sse: "yes",
    websocket: "yes",
    ends: "120 s idle; restarts",
    stream: { idle: 120 },
    socket: { idle: 120 },
  },
  {
    name: "Azure App Service",
    sse: "not checked",
    websocket: "if turned on",
    ends: "230 s idle",
    stream: { idle: 230 },
    socket: { idle: 230 },
  },
  {
    name: "Google Cloud Run",
    sse: "yes",
    websocket: "yes",
    ends: "5 min in all, up to 60 can be set",
    stream: { total: 300 },
    socket: { total: 300 },
  },
  {
    name: "Vercel Functions",
    sse: "yes",
    websocket: "in beta",
    ends: "300 s in all, 800 on paid plans",
    stream: { total: 300 },
    socket: { total: 300 },
  },
  {
    name: "Google App Engine, flexible",
    sse: "unbuffered if asked",
    websocket: "yes",
    ends: "1 h in all",
    stream: { total: 3600 },
    socket: { total: 3600 },
  },
  {
    name: "AWS API Gateway, WebSocket",
    sse: "no",
    websocket: "yes",
    ends: "10 min idle, 2 h in all",
    stream: {},
    socket: { idle: 600, total: 7200 },
    isSocketOnly: true,
  },
  {
    name: "AWS Lambda",
    sse: "if set to stream",
    websocket: "no",
    ends: "200 MB, and the function's time limit",
    stream: {},
    socket: {},
  },
];

/** The longest that a long poll of this book waits, in seconds. */
export const LONGEST_WAIT = 25;
/** The longest silence of this book's streams, in seconds. */
const HEARTBEAT = HTTP1.sse.quiet_after_s;

/** @typedef {"polling" | "long_polling" | "sse" | "websocket"} MethodName */

/**
 * What a cloud says to a method.
 *
 * @param {Cloud} cloud
 * @param {MethodName} method
 * @param {number} readers
 * @returns {{ verdict: "yes" | "if" | "no", why: string }}
 */
export function judge(cloud, method, readers) {
  if (method === "polling" || method === "long_polling") {
    if (cloud.isSocketOnly) return no("It carries no HTTP of your own.");
    if (method === "polling") return yes("A poll is answered at once.");
    const { idle = Infinity, total = Infinity } = cloud.stream;
    const first = Math.min(idle, total);
    if (first === Infinity) return yes("It names no limit for a response that waits.");
    return first > LONGEST_WAIT
      ? yes(`A wait of ${LONGEST_WAIT} s is over before its ${formatLength(first)}.`)
      : only(`The wait has to be shorter than its ${formatLength(first)}.`);
  }
  const [allowed, ends] =
    method === "sse" ? [cloud.sse, cloud.stream] : [cloud.websocket, cloud.socket];
  if (allowed === "no") return no("It lets none through.");
  const ending = describeEnding(ends, readers);
  if (allowed !== "yes") return only(`${capitalise(allowed)}. ${ending}`.trim());
  if (ends.idle !== undefined && ends.idle <= HEARTBEAT)
    return only(`Its ${ends.idle} s of silence need a heartbeat more often.`);
  return yes(ending || "It names no limit.");
}

/** @param {Ends} ends @param {number} readers */
function describeEnding({ idle, total }, readers) {
  const parts = [];
  if (total !== undefined) {
    const back = readers / total;
    const often = back >= 1 ? `${Math.round(back)} come` : "less than one comes";
    parts.push(`Each ends after ${formatLength(total)}: ${often} back each second.`);
  }
  if (idle !== undefined && idle > HEARTBEAT) {
    const silence = formatLength(idle);
    parts.push(`A heartbeat every ${HEARTBEAT} s is below its ${silence} of silence.`);
  }
  return parts.join(" ");
}

/** @param {number} seconds */
function formatLength(seconds) {
  if (seconds < 300) return `${seconds} s`;
  return seconds < 7200 ? `${seconds / 60} min` : `${seconds / 3600} h`;
}

/** @param {string} text */
function capitalise(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} why */
function yes(why) {
  return { verdict: /** @type {const} */ ("yes"), why };
}

/** @param {string} why */
function only(why) {
  return { verdict: /** @type {const} */ ("if"), why };
}

/** @param {string} why */
function no(why) {
  return { verdict: /** @type {const} */ ("no"), why };
}
