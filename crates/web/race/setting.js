// @ts-check
/**
 * What a race is run with, until its reader chooses otherwise.
 */

import { HTTP2_TLS } from "../figures/measured.js";

/** @typedef {import("./model.js").Setting} Setting */

/** @type {Setting} */
export const DEFAULT = {
  lasts: 20_000,
  rate: 1,
  interval: 2000,
  roundTrip: 100,
  // Long enough that the first two tries of most clients fail.
  faults: [{ kind: "cut", at: 11_000, lasts: 2000 }],
  // Its race has an event between two requests, and some in the cut.
  seed: 263,
  wire: HTTP2_TLS,
  // A short message of a chat, with its envelope.
  eventBytes: 120,
  // TCP, and TLS 1.3.
  handshakes: 2,
  // A server of this book takes about a millisecond, which nobody would see here.
  work: 0,
};

/** What a reader can choose from, with the words for it. */
export const CHOICES = {
  /** Events a second. @type {[number, string][]} */
  rate: [
    [0.2, "one in 5 s"],
    [1, "one a second"],
    [3, "3 a second"],
    [10, "10 a second"],
  ],
  /** @type {[number, string][]} */
  interval: [
    [500, "0.5 s"],
    [2000, "2 s"],
    [5000, "5 s"],
    [10_000, "10 s"],
  ],
  /** @type {[number, string][]} */
  roundTrip: [
    [10, "10 ms, near"],
    [100, "100 ms, far"],
    [300, "300 ms, other side"],
    [1000, "1 s, bad phone"],
  ],
};

/** How long a cut lasts, and a restart. */
export const LENGTHS = { cut: 2000, restart: 1000 };
