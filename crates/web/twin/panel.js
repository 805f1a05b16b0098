// @ts-check
/**
 * Twins: the server that one writes first and the book's own side by side, with the
 * same events and under one button.
 *
 * The page itself publishes the events, numbered from 1, so it knows what there was to
 * receive.
 */

import { createIntervalChoice, Rhythm } from "../polling/rhythm.js";
import { messageOf, randomName, request } from "../shared/http.js";
import {
  addStyles,
  createChoice,
  createSection,
  find,
  isEnabled,
  setEnabled,
} from "../shared/panel.js";
import { Follower } from "../shared/reconnect.js";
import { bounded, pause, startTimer } from "../shared/timer.js";
import { TWINS } from "./cases.js";
import { mountForeign } from "./foreign.js";
import { events, Lane } from "./lane.js";
import { read, textOf, write } from "./tally.js";

/** @typedef {import("./cases.js").Case} Case */
/** @typedef {import("./cases.js").Twin} Twin */
/** @typedef {import("./plain.js").Client} Client */
/** @typedef {import("./plain.js").Knobs} Knobs */

// What one press publishes: more than a plain server's channel of 16 has room for,
const BURST = 40;
// and more than the window of 64.
const FAR = 200;
/** How many happen while both lanes are away. */
const MEANWHILE = 3;
// How long the lanes of polling stay away, which have no connection to cut, in
// milliseconds.
const AWAY = 3000;
// How long they stay away to fall behind.
const ASIDE = 1000;
// How long a lane may take until it is open, or broken, in milliseconds. An EventSource
// comes back after some seconds.
const PATIENCE = 15_000;
// As for the live panel.
const HIDDEN_TOO_LONG = 30_000;

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="start">Start both</button>
  <button type="button" data-role="stop">Stop</button>
  <button type="button" data-role="cut" class="lp-star">Cut both</button>
  <button type="button" data-role="burst">Burst of ${BURST}</button>
  <button type="button" data-role="behind">Fall behind by ${FAR}</button>
  <button type="button" data-role="freeze">Freeze both</button>
</div>
<div class="lp-bar" data-role="knobs"></div>
<p class="lp-note" data-role="hint"></p>
<div class="tw-lanes" data-role="lanes"></div>
<p class="lp-note">The log here keeps 64 events; a channel has room for 16. The page publishes the events itself.</p>
<p class="lp-note tw-verdict" data-role="verdict" role="status"></p>
`;

/** One start of both lanes, until its stop. */
class Run {
  #key = randomName();
  #ended = new AbortController();
  #case;
  #base;
  #knobs;
  #Socket;
  #lanes;
  #follower;
  /** @type {Client | null} */
  #plain = null;
  /** One after the other, so that the numbers grow. */
  #sending = Promise.resolve();
  published = 0;

  /**
   * @param {object} options
   * @param {Twin} options.twin
   * @param {Case} options.chosen
   * @param {URL} options.base of the method's twins
   * @param {Knobs} options.knobs
   * @param {{ plain: Lane, real: Lane }} options.lanes
   * @param {typeof WebSocket} [options.Socket]
   */
  constructor({ twin, chosen, base, knobs, lanes, Socket }) {
    this.#case = chosen;
    this.#base = new URL(`${this.#key}/`, base);
    this.#knobs = knobs;
    this.#lanes = lanes;
    this.#Socket = Socket;
    const real = twin.real(new URL("real/", this.#base), knobs, Socket);
    this.#follower = new Follower(real);
  }

  get signal() {
    return this.#ended.signal;
  }

  /** Opens both lanes, and waits until they are open. */
  async start() {
    this.#follow();
    this.#openPlain();
    await this.#reach((lane) => lane.state === "open");
  }

  stop() {
    this.#ended.abort();
    this.#follower.stop();
    this.#plain?.close();
    this.#lanes.plain.set("idle", "Stopped.");
    this.#lanes.real.set("idle", "Stopped.");
  }

  async #follow() {
    const { real } = this.#lanes;
    for await (const update of this.#follower.updates()) {
      if (update.type === "event") this.#take(real, update.event.data);
      else if (update.type === "gap") real.gap();
      else if (update.type === "state" && !this.signal.aborted) {
        const isAway = update.state === "waiting" && this.#plain === null;
        real.set(update.state, isAway ? "Away." : update.text);
      }
    }
  }

  #openPlain() {
    const { plain } = this.#lanes;
    plain.set("connecting", "Connecting…");
    const listener = {
      onOpen: () => plain.set("open", "Open: waiting for events."),
      onText: (/** @type {unknown} */ text) => this.#take(plain, text),
      onBreak: () => plain.set("connecting", "It broke, and will try again."),
    };
    const base = new URL("plain/", this.#base);
    this.#plain = this.#case.open(base, listener, this.#knobs, this.#Socket);
  }

  /**
   * @param {Lane} lane
   * @param {unknown} data
   */
  #take(lane, data) {
    const event = read(this.#key, data);
    if (!event) return;
    const published = textOf(event.number, this.#case.hasLines ?? false);
    lane.take(event.number, event.text, published);
  }

  /** @param {number} count how many events; both servers get them at once */
  publish(count) {
    const texts = Array.from({ length: count }, () => {
      const number = ++this.published;
      return write(this.#key, number, textOf(number, this.#case.hasLines ?? false));
    });
    this.#sending = this.#sending.then(() => this.#post("publish", texts));
    return this.#sending;
  }

  /** Publishes as often as the reader wants, as long as the page is seen. */
  async publishAtRate() {
    let due = 0;
    let then = performance.now();
    while (!this.signal.aborted) {
      const { rate } = this.#knobs;
      await pause(rate > 0 ? 1000 / rate : 250, this.signal);
      const now = performance.now();
      // Not what a page that slept was to publish meanwhile.
      due = Math.min(due + ((now - then) / 1000) * rate, Math.max(rate, 1));
      then = now;
      const count = Math.floor(due);
      due -= count;
      if (count > 0 && document.visibilityState === "visible")
        await this.publish(count);
    }
  }

  // Each of these gives the number up to which events should have come.

  /** Breaks both connections, and lets something happen before they are back. */
  async cut() {
    const broken = this.#reach((lane) => lane.state !== "open");
    await this.#post("cut");
    await broken;
    await this.publish(MEANWHILE);
    return this.#isBack();
  }

  /** Publishes more in one go than a channel has room for. */
  async burst() {
    await this.publish(BURST);
    return this.#isBack();
  }

  /** Stops both connections without a word. */
  async freeze() {
    const { real } = this.#lanes;
    await this.#post("freeze");
    await this.publish(MEANWHILE);
    const { published } = this;
    await real.reach((lane) => lane.state !== "open", this.#patience());
    await real.reach((lane) => lane.last >= published, this.#patience());
    return published;
  }

  /**
   * Leaves with both lanes, lets events happen, and comes back.
   *
   * @param {number} count
   * @param {number} milliseconds the shortest time away
   */
  async away(count, milliseconds) {
    this.#plain?.close();
    this.#plain = null;
    this.#lanes.plain.set("waiting", "Away.");
    this.#follower.pause();
    await this.publish(count);
    await pause(milliseconds, this.signal);
    if (this.signal.aborted) return 0;
    this.#openPlain();
    this.#follower.resume();
    return this.#isBack();
  }

  /** Both lanes are open, and have all that they will get. */
  async #isBack() {
    await this.#reach((lane) => lane.state === "open");
    // What was lost is seen when the next event comes.
    await this.publish(1);
    const { published } = this;
    await this.#reach((lane) => lane.last >= published);
    return published;
  }

  #patience() {
    return AbortSignal.any([this.signal, AbortSignal.timeout(bounded(PATIENCE))]);
  }

  /** @param {(lane: Lane) => boolean} isSo of both lanes, each in its time */
  async #reach(isSo) {
    const { plain, real } = this.#lanes;
    const patience = this.#patience();
    await Promise.all([plain.reach(isSo, patience), real.reach(isSo, patience)]);
  }

  /**
   * @param {string} what
   * @param {unknown} [body]
   */
  async #post(what, body = null) {
    const response = await request(new URL(what, this.#base), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  }
}

/**
 * Puts a twin into an element, in place of what is there. Nothing connects before
 * Start.
 *
 * `data-view` on the element names the method, or is `foreign`: two sockets that a page
 * of another origin wants to open.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the twins lie. Relative to the
 *   page
 * @param {typeof WebSocket} [options.Socket] what to connect with, where that is not
 *   the browser's own
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base, Socket }) {
  if (element.dataset.view === "foreign")
    return mountForeign(element, { base, hasNetwork: Socket === undefined });
  const method = element.dataset.view ?? "";
  const twin = TWINS[method];
  const absolute = new URL(`${method}/`, new URL(base, document.baseURI));
  addStyles(new URL("twin.css", import.meta.url));
  const root = createSection(twin.title, MARKUP);
  root.classList.add("tw");
  const hint = find(root, "hint");
  const verdict = find(root, "verdict");
  const place = find(root, "lanes");
  const bar = find(root, "knobs");
  /** @type {Record<string, HTMLElement>} */
  const buttons = {};
  for (const role of ["start", "stop", "cut", "burst", "behind", "freeze"])
    buttons[role] = find(root, role);
  if (!twin.cuts) buttons.cut.textContent = `Away for ${AWAY / 1000} s, both`;
  buttons.freeze.hidden = !twin.freezes;

  /** @type {Knobs} */
  const knobs = { rhythm: new Rhythm({ interval: 2000 }), delay: 0, rate: 0 };
  let [chosen] = twin.cases;
  /** @type {Run | null} */
  let run = null;
  /** @type {{ plain: Lane, real: Lane }} */
  let lanes;

  /**
   * @param {string} role
   * @param {string} label
   * @param {string[][]} texts a value and a text each
   * @param {(value: string) => void} onChange
   */
  function addChoice(role, label, texts, onChange) {
    const choices = /** @type {[string, string][]} */ (texts);
    const options = { role, name: `twin-${role}`, choices, onChange };
    bar.append(createChoice(label, options).element);
  }

  if (twin.cases.length > 1) {
    const cases = twin.cases.map(({ title }, index) => [String(index), title]);
    addChoice("case", "What to see", cases, choose);
  }
  const rates = [0, 1, 2, 5, 10, 20].map((rate) => [
    String(rate),
    rate ? `${rate} a second` : "none",
  ]);
  const setRate = (/** @type {string} */ rate) => void (knobs.rate = Number(rate));
  addChoice("rate", "Events", rates, setRate);
  if (twin.knob === "rhythm") bar.append(createIntervalChoice(knobs.rhythm));
  if (twin.knob === "delay") {
    const delays = [0, 50, 200, 1000].map((delay) => [String(delay), `${delay} ms`]);
    const label = "Added round trip, in this page";
    const setDelay = (/** @type {string} */ delay) =>
      void (knobs.delay = Number(delay));
    addChoice("delay", label, delays, setDelay);
  }

  /** @param {string} index of the case */
  function choose(index) {
    stop();
    chosen = twin.cases[Number(index)];
    hint.textContent = chosen.hint;
    knobs.rate = chosen.rate;
    /** @type {HTMLSelectElement} */ (find(root, "rate")).value = String(chosen.rate);
    const hasLines = chosen.hasLines ?? false;
    const published = () => run?.published ?? 0;
    lanes = {
      plain: new Lane({ side: "plain", title: chosen.plain, hasLines, published }),
      real: new Lane({ side: "real", title: twin.server, hasLines, published }),
    };
    place.replaceChildren(lanes.plain.element, lanes.real.element);
    verdict.textContent = "";
  }

  function enable() {
    const isRunning = run !== null;
    setEnabled(buttons.start, !isRunning);
    setEnabled(buttons.stop, isRunning);
    for (const role of ["cut", "burst", "behind", "freeze"])
      setEnabled(buttons[role], isRunning && !isBusy);
  }

  let isBusy = false;

  async function start() {
    lanes.plain.clear();
    lanes.real.clear();
    verdict.textContent = "Connecting both…";
    const mine = new Run({ twin, chosen, base: absolute, knobs, lanes, Socket });
    run = mine;
    isBusy = true;
    enable();
    try {
      await mine.start();
      if (run !== mine) return;
      verdict.textContent = "Both get the same events.";
      isBusy = false;
      enable();
      await mine.publishAtRate();
    } catch (error) {
      fail(mine, error);
    }
  }

  function stop() {
    run?.stop();
    run = null;
    isBusy = false;
    enable();
  }

  /**
   * @param {Run} failed
   * @param {unknown} error
   */
  function fail(failed, error) {
    if (run !== failed) return;
    stop();
    verdict.textContent = messageOf(error);
  }

  /**
   * Does something to both lanes, and says what came of it.
   *
   * @param {string} name
   * @param {(run: Run) => Promise<number>} act
   */
  async function act(name, act) {
    const mine = run;
    if (!mine || isBusy) return;
    isBusy = true;
    enable();
    verdict.textContent = `${name}…`;
    const before = { plain: { ...lanes.plain.counts }, real: { ...lanes.real.counts } };
    try {
      const expected = await act(mine);
      if (run !== mine) return;
      const plain = describe(before.plain, lanes.plain, expected);
      const real = describe(before.real, lanes.real, expected);
      verdict.textContent =
        `${name}: the plain side ${plain}; the side with the log ${real}.`;
      isBusy = false;
      enable();
    } catch (error) {
      fail(mine, error);
    }
  }

  /** @param {string} role @param {() => unknown} press */
  const onPress = (role, press) =>
    buttons[role].addEventListener("click", () => {
      if (isEnabled(buttons[role])) press();
    });
  onPress("start", start);
  onPress("stop", stop);
  onPress("cut", () =>
    twin.cuts
      ? act("Cut", (run) => run.cut())
      : act("Away", (run) => run.away(MEANWHILE, AWAY)),
  );
  onPress("burst", () => act("Burst", (run) => run.burst()));
  onPress("behind", () => act("Behind", (run) => run.away(FAR, ASIDE)));
  onPress("freeze", () => act("Frozen", (run) => run.freeze()));

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hidden;
  const leaving = new AbortController();
  const { signal } = leaving;
  document.addEventListener(
    "visibilitychange",
    () => {
      clearTimeout(hidden);
      if (document.visibilityState === "hidden")
        hidden = startTimer(stop, HIDDEN_TOO_LONG);
    },
    { signal },
  );
  addEventListener("pagehide", stop, { signal });

  choose("0");
  element.replaceChildren(root);
  return {
    destroy() {
      leaving.abort();
      clearTimeout(hidden);
      stop();
      root.remove();
    },
  };
}

/**
 * What has become of a lane since then.
 *
 * @param {Lane["counts"]} before
 * @param {Lane} lane
 * @param {number} expected the number up to which events should have come
 */
function describe(before, { counts, state, last }, expected) {
  const lost = counts.lost - before.lost;
  const said = counts.gaps > before.gaps;
  const parts = [lost === 0 ? "lost nothing" : `lost ${events(lost)}`];
  if (lost > 0) parts.push(said ? "and was told so" : "and was not told");
  if (counts.doubled > before.doubled)
    parts.push(`and got ${events(counts.doubled - before.doubled)} twice`);
  const behind = expected - last;
  if (state !== "open") parts.push("and is not back yet");
  else if (behind > 0) parts.push(`and seems open, ${events(behind)} behind`);
  return parts.join(" ");
}
