// @ts-check
/**
 * What the calculator is asked, in its form and in the address of the page.
 */

import { CLOUDS } from "./clouds.js";

/**
 * @typedef {object} Inputs
 * @property {number} readers who wait at the same time
 * @property {number} events that each of them gets in a minute
 * @property {number} bytes of an event's JSON
 * @property {number} interval from one poll to the next, in seconds
 * @property {number} rtt a round trip, in milliseconds
 * @property {number} headers bytes that each request carries besides, such as cookies
 * @property {number} state bytes of a state that each poll brings in place of events; 0
 *   for a poll that brings events
 * @property {"1.1" | "2"} http
 * @property {string} cloud the name of one, or nothing
 */

/** @typedef {Exclude<keyof Inputs, "http" | "cloud">} NumberName */

/**
 * The numbers: what they are called, and what they may be.
 *
 * @type {Record<NumberName, { label: string, least: number, most: number }>}
 */
export const NUMBERS = {
  readers: { label: "Clients that wait", least: 1, most: 1e9 },
  events: { label: "Events to each, a minute", least: 0, most: 60_000 },
  bytes: { label: "Payload of an event, bytes", least: 0, most: 1e6 },
  interval: { label: "A poll every, seconds", least: 0.1, most: 86_400 },
  rtt: { label: "Round trip, ms", least: 0, most: 10_000 },
  headers: { label: "Headers of HTTP/1.1 besides, bytes", least: 0, most: 100_000 },
  state: { label: "State in each poll, bytes", least: 0, most: 1e7 },
};

/** The load of "On many machines". @type {Inputs} */
export const DEFAULT = {
  readers: 10_000,
  events: 6,
  bytes: 200,
  interval: 10,
  rtt: 50,
  headers: 0,
  state: 0,
  http: "2",
  cloud: "",
};

/**
 * The seven of Worked choices, with the name of each case's heading there. The state is
 * that of a hundred prices, without what an answer has around it.
 *
 * @type {{ title: string, heading: string, inputs: Inputs }[]}
 */
export const PRESETS = [
  {
    title: "A dashboard",
    heading: "a-dashboard",
    inputs: {
      ...DEFAULT,
      readers: 200,
      events: 60,
      bytes: 119,
      interval: 10,
      state: 3992,
    },
  },
  {
    title: "A chat",
    heading: "a-chat",
    inputs: { ...DEFAULT, readers: 5000, events: 25, bytes: 80, interval: 1 },
  },
  {
    title: "A ticker for a million readers",
    heading: "a-ticker-for-a-million-readers",
    inputs: {
      ...DEFAULT,
      readers: 1_000_000,
      events: 600,
      bytes: 119,
      interval: 2,
      state: 3992,
    },
  },
  {
    title: "The progress of a job",
    heading: "the-progress-of-a-job",
    inputs: { ...DEFAULT, readers: 300, events: 6, bytes: 80, interval: 2 },
  },
  {
    title: "A token stream",
    heading: "a-token-stream",
    inputs: { ...DEFAULT, readers: 500, events: 2400, bytes: 4, interval: 0.5 },
  },
  {
    title: "A collaborative editor",
    heading: "a-collaborative-editor",
    inputs: { ...DEFAULT, readers: 16_000, events: 1050, bytes: 80, interval: 1 },
  },
  {
    title: "A network that breaks upgrades",
    heading: "a-network-that-breaks-upgrades",
    inputs: {
      ...DEFAULT,
      readers: 300,
      events: 1,
      bytes: 80,
      interval: 2,
      http: "1.1",
    },
  },
];

/**
 * Reads what an address has of it. What it lacks, or has wrongly, is the default.
 *
 * @param {URLSearchParams} query
 * @returns {Inputs}
 */
export function readInputs(query) {
  const inputs = { ...DEFAULT };
  for (const name of /** @type {NumberName[]} */ (Object.keys(NUMBERS))) {
    const text = query.get(name);
    if (text !== null) inputs[name] = readNumber(name, text) ?? DEFAULT[name];
  }
  if (query.get("http") === "1.1") inputs.http = "1.1";
  const cloud = query.get("cloud") ?? "";
  if (CLOUDS.some(({ name }) => name === cloud)) inputs.cloud = cloud;
  return inputs;
}

/**
 * @param {NumberName} name
 * @param {string} text
 * @returns {number | null} `null` if it is no number that may be there
 */
export function readNumber(name, text) {
  const { least, most } = NUMBERS[name];
  const number = text.trim() === "" ? NaN : Number(text);
  return number >= least && number <= most ? number : null;
}

/**
 * Writes what differs from the default into an address, and leaves the rest of it. The
 * number of readers is always there: by it a page knows that the calculator is to open.
 *
 * @param {URLSearchParams} query
 * @param {Inputs} inputs
 */
export function writeInputs(query, inputs) {
  for (const [name, value] of Object.entries(inputs)) {
    const isDefault = value === DEFAULT[/** @type {keyof Inputs} */ (name)];
    if (isDefault && name !== "readers") query.delete(name);
    else query.set(name, String(value));
  }
}
