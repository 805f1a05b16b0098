// @ts-check
/**
 * The poll that most pages need: not each event, but what the events have led to. Here
 * that is the newest price of each share.
 *
 * A state has a name for its version, the ETag. A client that sends it back gets
 * "304 Not Modified" while nothing has changed, and the body is saved. The request and
 * the answer's headers are not.
 */

import { describeChange, directionOf } from "../shared/describe.js";
import { readBody, readObject, request, verdictOf, messageOf } from "../shared/http.js";
import {
  createCounts,
  createSection,
  find,
  isEnabled,
  setEnabled,
} from "../shared/panel.js";
import { Backoff, formatSeconds } from "../shared/reconnect.js";
import { createStatusLine } from "../shared/status-line.js";
import { pause } from "../shared/timer.js";
import { createIntervalChoice, Rhythm } from "./rhythm.js";

/** @typedef {import("../shared/reconnect.js").State} State */
/** @typedef {import("../shared/reconnect.js").Verdict} Verdict */

/**
 * A share's newest price, and how much it differs from the one before.
 *
 * @typedef {{ price: number, change: number }} Price
 */

/**
 * What the server answered to one request for the state.
 *
 * @typedef {{ kind: "state", etag: string | null, prices: Map<string, Price>,
 *     bytes: number }
 *   | { kind: "same" }
 *   | Verdict} StateAnswer
 */

// ANCHOR: ask
/**
 * Asks for the state, unless it is still the one that this client has.
 *
 * @param {URL} base where the server's routes lie
 * @param {string | null} etag the ETag of the state that the client has, if any
 * @param {AbortSignal} signal
 * @returns {Promise<StateAnswer>}
 * @throws {Error} fit to be read, if no answer came
 */
export async function askState(base, etag, signal) {
  // Sent by hand. Left to itself the browser would send it too, from its cache; but
  // then it would turn the 304 into the 200 that it has kept, and nobody could see here
  // what was saved.
  /** @type {HeadersInit} */
  const headers = etag === null ? {} : { "If-None-Match": etag };
  const response = await request(new URL("state", base), { headers, signal });
  if (response.status === 304) return { kind: "same" };
  const text = await readBody(response, signal);
  const body = readObject(response, text);
  if (!response.ok) return verdictOf(response, body);
  const prices = readPrices(body?.prices);
  if (!prices) throw new Error("The server's answer is no state.");
  return {
    kind: "state",
    etag: response.headers.get("ETag"),
    prices,
    bytes: new Blob([text]).size,
  };
}
// ANCHOR_END: ask

/**
 * @param {unknown} value
 * @returns {Map<string, Price> | null} `null` if it is not a list of prices
 */
function readPrices(value) {
  if (typeof value !== "object" || value === null) return null;
  const prices = new Map(Object.entries(value));
  for (const entry of prices.values()) {
    if (typeof entry?.price !== "number" || typeof entry.change !== "number")
      return null;
  }
  return prices;
}

/**
 * What comes of the requests: each answer, and how it goes, for the status line.
 *
 * @typedef {{ type: "answer", answer: StateAnswer }
 *   | { type: "state", state: State, text: string }} StateUpdate
 */

// ANCHOR: poll
/**
 * Asks for the state again and again, until `signal` is aborted or the server refuses
 * for good.
 *
 * There is no cursor and no gap: whoever missed a state misses nothing, since the next
 * one is whole.
 *
 * @param {URL} base where the server's routes lie
 * @param {Rhythm} rhythm
 * @param {AbortSignal} signal
 * @param {Backoff} [backoff]
 * @returns {AsyncGenerator<StateUpdate, void, void>}
 */
export async function* pollState(base, rhythm, signal, backoff = new Backoff()) {
  /** @type {string | null} */
  let etag = null;
  let first = true;
  yield { type: "state", state: "connecting", text: "Connecting…" };
  while (!signal.aborted) {
    /** @type {StateAnswer} */
    const answer = await askState(base, etag, signal).catch((error) => ({
      kind: "unreachable",
      why: messageOf(error),
    }));
    if (signal.aborted) return;
    yield { type: "answer", answer };
    if (answer.kind === "state" || answer.kind === "same") {
      if (answer.kind === "state") etag = answer.etag;
      backoff.reset();
      yield {
        type: "state",
        state: "open",
        text: "Polling: asks, pauses, asks again.",
      };
      for await (const _ of rhythm.rest(first, signal));
      first = false;
    } else if (answer.kind === "refused") {
      return yield { type: "state", state: "failed", text: answer.why };
    } else {
      const why =
        "why" in answer ? answer.why : "The server did not answer with a state.";
      // What the server asks for is a minimum, and the jitter comes on top.
      const delay = (answer.kind === "busy" ? answer.retryAfter : 0) + backoff.next();
      const text = `${why} Next try in ${formatSeconds(delay)}.`;
      yield { type: "state", state: "waiting", text };
      await pause(delay, signal);
    }
  }
}
// ANCHOR_END: poll

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="start">Start</button>
  <button type="button" data-role="stop">Stop</button>
</div>
<table class="lp-table">
  <caption>The newest price of each share</caption>
  <thead><tr><th scope="col">Share</th><th scope="col">Price</th><th scope="col">Change</th><th scope="col">New</th></tr></thead>
  <tbody data-role="prices"><tr><td colspan="4">Prices appear here when you press Start.</td></tr></tbody>
</table>
`;

/**
 * Puts a table of prices into an element, in place of what is there.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {URL} options.base where the server's routes lie
 * @returns {{ destroy: () => void }}
 */
export function createPricesPanel(element, { base }) {
  const rhythm = new Rhythm();
  const counts = createCounts({
    etag: "ETag",
    asked: "Asked",
    full: "200",
    same: "304",
    bytes: "Bytes of bodies",
  });
  counts.set("etag", "none yet");
  const status = createStatusLine("Not connected. Press Start.");
  const root = createSection("The newest prices, by polling", MARKUP);
  const body = find(root, "prices");
  const buttons = { start: find(root, "start"), stop: find(root, "stop") };
  setEnabled(buttons.stop, false);
  root.querySelector(".lp-bar")?.append(createIntervalChoice(rhythm), status.element);
  root.append(counts.element);

  /** The requests under way. @type {AbortController | null} */
  let polling = null;
  /** What the table shows. @type {Map<string, Price>} */
  let shown = new Map();

  /** @param {StateAnswer} answer */
  function showAnswer(answer) {
    counts.add("asked", 1);
    if (answer.kind === "same") {
      counts.add("same", 1);
      // What an earlier answer changed, this one did not.
      drawPrices(body, shown, shown);
    } else if (answer.kind === "state") {
      counts.add("full", 1);
      counts.add("bytes", answer.bytes);
      counts.set("etag", answer.etag ?? "none");
      drawPrices(body, answer.prices, shown);
      shown = answer.prices;
    }
  }

  /**
   * @param {State} state
   * @param {string} text
   */
  function showState(state, text) {
    status.set(state, text);
    const active = state !== "idle" && state !== "failed";
    setEnabled(buttons.start, !active);
    setEnabled(buttons.stop, active);
  }

  async function poll() {
    polling = new AbortController();
    for await (const update of pollState(base, rhythm, polling.signal)) {
      if (update.type === "answer") showAnswer(update.answer);
      else showState(update.state, update.text);
    }
  }

  buttons.start.addEventListener("click", () => {
    if (isEnabled(buttons.start)) poll();
  });
  buttons.stop.addEventListener("click", () => {
    if (!isEnabled(buttons.stop)) return;
    polling?.abort();
    showState("idle", "Stopped.");
  });

  element.replaceChildren(root);
  return {
    destroy() {
      polling?.abort();
      root.remove();
    },
  };
}

/**
 * @param {HTMLElement} body of the table
 * @param {Map<string, Price>} prices
 * @param {Map<string, Price>} before what was shown until now
 */
function drawPrices(body, prices, before) {
  const rows = Array.from(prices, ([symbol, { price, change }]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = symbol;
    row.append(head);
    const old = before.get(symbol);
    const changed = old?.price !== price || old.change !== change;
    row.dataset.changed = String(changed);
    row.dataset.change = directionOf(change);
    // Whether the last answer changed it, in a word: neither bold type nor a colour
    // reaches every reader.
    for (const text of [
      price.toFixed(2),
      describeChange(change),
      changed ? "● yes" : "no",
    ]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
  if (rows.length > 0) body.replaceChildren(...rows);
  else
    body.firstElementChild?.firstElementChild?.replaceChildren(
      "There is no price yet.",
    );
}
