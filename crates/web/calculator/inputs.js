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
 * @property {number} log events of the whole log in a minute, where a reader does not
 *   get all of them; at least what a reader gets
 * @property {number} places connections that one server holds
 * @property {number} accepts readers that one server lets in, in a second
 * @property {number} zones over which the servers are spread
 * @property {number} copies of the log, over the same zones
 * @property {number} notice until a reader knows that its server is gone, in seconds
 * @property {number} returns over how many seconds they come back
 * @property {"1.1" | "2"} http
 * @property {string} cloud the name of one, or nothing
 * @property {EngineName} engine what keeps the log
 */

/** @typedef {"jetstream" | "postgres"} EngineName */

/** @typedef {Exclude<keyof Inputs, "http" | "cloud" | "engine">} NumberName */

/** In the order in which the formulas number them. @type {EngineName[]} */
export const ENGINES = ["jetstream", "postgres"];

/**
 * What a number is called, what it may be, and whether it is about many servers.
 *
 * @typedef {object} About
 * @property {string} label
 * @property {number} least
 * @property {number} most
 * @property {true} [whole]
 * @property {true} [many]
 */

/** @type {Record<NumberName, About>} */
export const NUMBERS = {
  readers: { label: "Clients that wait", least: 1, most: 1e9 },
  events: { label: "Events to each, a minute", least: 0, most: 60_000 },
  bytes: { label: "Payload of an event, bytes", least: 0, most: 1e6 },
  interval: { label: "A poll every, seconds", least: 0.1, most: 86_400 },
  rtt: { label: "Round trip, ms", least: 0, most: 10_000 },
  headers: { label: "Headers of HTTP/1.1 besides, bytes", least: 0, most: 100_000 },
  state: { label: "State in each poll, bytes", least: 0, most: 1e7 },
  log: {
    label: "Events in the log a minute, if more",
    least: 0,
    most: 1e9,
    many: true,
  },
  places: { label: "Places of a server", least: 1, most: 1e7, whole: true, many: true },
  accepts: { label: "It lets in, a second", least: 1, most: 1e6, many: true },
  zones: { label: "Zones", least: 2, most: 10, whole: true, many: true },
  copies: { label: "Copies of the log", least: 1, most: 9, whole: true, many: true },
  notice: { label: "A loss is noticed after, s", least: 0, most: 3600, many: true },
  returns: { label: "They return within, s", least: 0.1, most: 3600, many: true },
};

/** The load of "On many machines" and "In several zones". @type {Inputs} */
export const DEFAULT = {
  readers: 10_000,
  events: 6,
  bytes: 200,
  interval: 10,
  rtt: 50,
  headers: 0,
  state: 0,
  log: 0,
  places: 16_000,
  accepts: 1000,
  zones: 3,
  copies: 3,
  notice: 31,
  returns: 1,
  http: "2",
  cloud: "",
  engine: "jetstream",
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
    inputs: {
      ...DEFAULT,
      readers: 5000,
      events: 25,
      bytes: 80,
      interval: 1,
      log: 2500,
    },
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
    inputs: { ...DEFAULT, readers: 300, bytes: 80, interval: 2, log: 1800 },
  },
  {
    title: "A token stream",
    heading: "a-token-stream",
    inputs: {
      ...DEFAULT,
      readers: 500,
      events: 2400,
      bytes: 4,
      interval: 0.5,
      log: 1_200_000,
    },
  },
  {
    title: "A collaborative editor",
    heading: "a-collaborative-editor",
    inputs: {
      ...DEFAULT,
      readers: 16_000,
      events: 1050,
      bytes: 80,
      interval: 1,
      log: 2_400_000,
    },
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
  inputs.engine = readEngine(query.get("engine"));
  return inputs;
}

/** @param {string | null} text @returns {EngineName} */
export function readEngine(text) {
  return ENGINES.find((name) => name === text) ?? DEFAULT.engine;
}

/**
 * @param {NumberName} name
 * @param {string} text
 * @returns {number | null} `null` if it is no number that may be there
 */
export function readNumber(name, text) {
  const { least, most, whole } = NUMBERS[name];
  const number = text.trim() === "" ? NaN : Number(text);
  if (whole && !Number.isInteger(number)) return null;
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
