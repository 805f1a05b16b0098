// @ts-check
/**
 * The clients that one writes first, for the servers that one writes first. Each hands
 * on what comes, and comes back when its connection breaks; none knows where it stood.
 */

import { pause, startTimer } from "../shared/timer.js";

/**
 * @typedef {object} Listener
 * @property {() => void} onOpen it waits for what comes
 * @property {(text: unknown) => void} onText
 * @property {() => void} onBreak its connection has broken, and it will come back
 */

/** A client at work; `close` ends it. @typedef {{ close: () => void }} Client */

/**
 * What a reader can turn while both clients run.
 *
 * @typedef {object} Knobs
 * @property {import("../polling/rhythm.js").Rhythm} rhythm how often they poll
 * @property {number} delay before each request, in milliseconds
 * @property {number} rate how many events are published a second
 */

// How long each of them waits after a break, in milliseconds; an EventSource has a time
// of its own.
const REST = 1000;

/**
 * Asks, again and again, until it is closed.
 *
 * @param {Listener} listener
 * @param {(signal: AbortSignal) => Promise<void>} ask
 * @param {() => number} rest between two requests, in milliseconds
 * @returns {Client}
 */
function again({ onOpen, onBreak }, ask, rest) {
  const closed = new AbortController();
  const { signal } = closed;
  async function run() {
    while (!signal.aborted) {
      try {
        // What is parked cannot be seen to be; the request is on its way.
        onOpen();
        await ask(signal);
        await pause(rest(), signal);
      } catch {
        if (signal.aborted) return;
        onBreak();
        await pause(REST, signal);
      }
    }
  }
  run();
  return { close: () => closed.abort() };
}

/**
 * Polling for the newest value.
 *
 * @param {URL} base
 * @param {Listener} listener
 * @param {Knobs} knobs
 */
export function pollNewest(base, listener, knobs) {
  let seen = "";
  const ask = async (/** @type {AbortSignal} */ signal) => {
    const text = await fetchText(new URL("newest", base), signal);
    if (text !== seen) listener.onText(text);
    seen = text;
  };
  return again(listener, ask, () => knobs.rhythm.interval);
}

/**
 * Polling with a time as a cursor.
 *
 * @param {URL} base
 * @param {Listener} listener
 * @param {Knobs} knobs
 */
export function pollSince(base, listener, knobs) {
  let second = 0;
  const ask = async (/** @type {AbortSignal} */ signal) => {
    const url = new URL(`since?second=${second}`, base);
    /** @type {[number, string][]} */
    const events = JSON.parse(await fetchText(url, signal));
    for (const [at, text] of events) {
      second = at;
      listener.onText(text);
    }
  };
  return again(listener, ask, () => knobs.rhythm.interval);
}

/**
 * Long polling: asks for the next value, and then for the next.
 *
 * @param {URL} base
 * @param {Listener} listener
 * @param {Knobs} knobs
 */
export function longPoll(base, listener, knobs) {
  const ask = async (/** @type {AbortSignal} */ signal) => {
    const text = await fetchText(new URL("events", base), signal);
    if (text) listener.onText(text);
  };
  return again(listener, ask, () => knobs.delay);
}

/**
 * @param {URL} url
 * @param {AbortSignal} signal
 */
async function fetchText(url, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(String(response.status));
  return response.text();
}

/**
 * Server-Sent Events: an `EventSource`, and another when the browser has given up.
 *
 * @param {URL} url
 * @param {Listener} listener
 * @returns {Client}
 */
export function listen(url, { onOpen, onText, onBreak }) {
  /** @type {EventSource} */
  let source;
  let isClosed = false;
  function open() {
    if (isClosed) return;
    source = new EventSource(url);
    source.onopen = onOpen;
    source.onmessage = ({ data }) => onText(data);
    source.onerror = () => {
      onBreak();
      if (source.readyState === EventSource.CLOSED) startTimer(open, REST);
    };
  }
  open();
  return {
    close() {
      isClosed = true;
      source.close();
    },
  };
}

/**
 * WebSocket: opens another when one is closed.
 *
 * @param {URL} url
 * @param {Listener} listener
 * @param {typeof WebSocket} [Socket]
 * @returns {Client}
 */
export function openSocket(url, { onOpen, onText, onBreak }, Socket = WebSocket) {
  /** @type {WebSocket} */
  let socket;
  let isClosed = false;
  function open() {
    if (isClosed) return;
    socket = new Socket(url);
    socket.onopen = onOpen;
    socket.onmessage = ({ data }) => onText(data);
    socket.onclose = () => {
      if (isClosed) return;
      onBreak();
      startTimer(open, REST);
    };
  }
  open();
  return {
    close() {
      isClosed = true;
      // What is under way is not read.
      socket.onmessage = null;
      socket.close();
    },
  };
}
