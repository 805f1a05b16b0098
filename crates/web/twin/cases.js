// @ts-check
/**
 * What can be seen in the twin of each method.
 */

import { createLongPolling } from "../long-polling/long-polling-client.js";
import { createPolling } from "../polling/polling-client.js";
import { pause } from "../shared/timer.js";
import { createSse } from "../sse/sse-client.js";
import { createWebSocket } from "../websocket/websocket-client.js";
import { listen, longPoll, openSocket, pollNewest, pollSince } from "./plain.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("../shared/reconnect.js").Update} Update */
/** @typedef {import("./plain.js").Client} Client */
/** @typedef {import("./plain.js").Knobs} Knobs */
/** @typedef {import("./plain.js").Listener} Listener */

/**
 * What the two lanes of a case are.
 *
 * @typedef {object} Case
 * @property {string} title
 * @property {string} plain what the plain server is
 * @property {string} hint what to do, and what to look at
 * @property {number} rate how many events a second, at first
 * @property {boolean} [hasLines] whether an event has a line end in it
 * @property {(base: URL, listener: Listener, knobs: Knobs, Socket?: typeof
 *   WebSocket) => Client} open the plain client; `base` is that of the plain server
 */

/**
 * @typedef {object} Twin
 * @property {string} title
 * @property {(base: URL, knobs: Knobs, Socket?: typeof WebSocket) => Method} real
 * @property {string} server what the real one is
 * @property {"rhythm" | "delay" | null} knob what else can be turned
 * @property {boolean} cuts whether there is a connection to cut
 * @property {boolean} freezes whether it can be stopped without a word
 * @property {Case[]} cases
 */

/**
 * A method whose client pauses after each answer for as long as the way there and back
 * takes on another network.
 *
 * @param {Method} method
 * @param {Knobs} knobs
 * @returns {Method}
 */
function distant(method, knobs) {
  return {
    ...method,
    async *follow(after, signal) {
      for await (const update of method.follow(after, signal)) {
        yield update;
        const isEndOfPage = update.type === "heartbeat" && update.cursor !== undefined;
        if (isEndOfPage && knobs.delay > 0) await pause(knobs.delay, signal);
      }
    },
  };
}

/** The twins, by the names of their methods. @type {Record<string, Twin>} */
export const TWINS = {
  polling: {
    title: "Polling, without a log and with one",
    real: (base, { rhythm }) => createPolling(base, { rhythm }),
    server: "With a log: asks with a cursor",
    knob: "rhythm",
    cuts: false,
    freezes: false,
    cases: [
      {
        title: "Between two looks",
        plain: "Plain: asks for the newest value",
        hint: "Both ask equally often. Let events come faster than they ask.",
        rate: 2,
        open: pollNewest,
      },
      {
        title: "A time as the cursor",
        plain: "Plain: asks for what came since a second",
        hint:
          "The plain server gives what was published in the second of the newest " +
          "event, or later. So it gives some of it twice.",
        rate: 5,
        open: pollSince,
      },
    ],
  },
  "long-polling": {
    title: "Long polling, without a log and with one",
    real: (base, knobs) => distant(createLongPolling(base), knobs),
    server: "With a log: asks with a cursor",
    knob: "delay",
    cuts: true,
    freezes: false,
    cases: [
      {
        title: "Between two requests",
        plain: "Plain: waits for the next value",
        hint:
          "No cut is needed. Each event that comes between an answer and the next " +
          "request finds nobody waiting: raise the rate, or the round trip.",
        rate: 5,
        open: longPoll,
      },
    ],
  },
  sse: {
    title: "Server-Sent Events, without a log and with one",
    real: (base) => createSse(base),
    server: "With a log: ids, and an id at once",
    knob: null,
    cuts: true,
    freezes: true,
    cases: [
      {
        title: "Between two connections",
        plain: "Plain: axum’s Sse over a channel of 16",
        hint: "Press Cut both, and wait until both are back.",
        rate: 2,
        open: (base, listener) => listen(new URL("events", base), listener),
      },
      {
        title: "Before the first event",
        plain: "Half a cure: a log and ids, and no id at first",
        hint:
          "Nothing is published by itself. Cut both before the first event: a client " +
          "that has seen no id brings none back. Then cut again.",
        rate: 0,
        open: (base, listener) => listen(new URL("ids", base), listener),
      },
      {
        title: "Line ends",
        plain: "Plain: writes “data: ” and the text",
        hint: "Each event has two lines. What follows the line end is no field.",
        rate: 1,
        hasLines: true,
        open: (base, listener) => listen(new URL("lines", base), listener),
      },
    ],
  },
  websocket: {
    title: "WebSocket, without a log and with one",
    real: (base, _, Socket) => createWebSocket(base, { Socket }),
    server: "With a log: opens with a cursor",
    knob: null,
    cuts: true,
    freezes: true,
    cases: [
      {
        title: "Between two sockets",
        plain: "Plain: a loop that sends from a channel of 16",
        hint: "Press Cut both, and wait until both are back.",
        rate: 2,
        open(base, listener, _, Socket) {
          const url = new URL("events", base);
          url.protocol = base.protocol === "https:" ? "wss:" : "ws:";
          return openSocket(url, listener, Socket);
        },
      },
    ],
  },
};
