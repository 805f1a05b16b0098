// @ts-check
/**
 * What many tabs cost, and one stream for all of them. Each tab here is a page of its
 * own, in a frame that is not shown.
 */

import { describeEvent } from "../shared/describe.js";
import { randomName, request, routeOf } from "../shared/http.js";
import {
  addStyles,
  createChoice,
  createCounts,
  createSection,
  find,
  isEnabled,
  setEnabled,
} from "../shared/panel.js";
import { startTimer } from "../shared/timer.js";
import { mountSeventh } from "./seventh.js";
import { waysOf } from "./share.js";

/** @typedef {import("./frame.js").TabHere} TabHere */

/** Of the lock and the channel: every window of this book shares one stream. */
const NAME = "waiting-tabs";
/** How many tabs there are at first, */
const FIRST = 3;
/** and at most. */
const MOST = 8;
// How often it is looked how many share, and asked how many streams are open, in
// milliseconds.
const LOOK = 1000;

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="start">Start ${FIRST} tabs</button>
  <button type="button" data-role="stop">Stop</button>
  <button type="button" data-role="more">Another tab</button>
  <button type="button" data-role="close" class="lp-star">Close the leader</button>
  <button type="button" data-role="freeze">Freeze the leader</button>
</div>
<div class="lp-bar" data-role="choices"></div>
<ol class="tabs-cards" data-role="tabs"></ol>
<p class="lp-note" data-role="note" role="status"></p>
`;

const LABELS = {
  lock: "Web Locks and a channel",
  worker: "A shared worker",
  alone: "None: a stream for each",
};

/**
 * A tab, and its card.
 *
 * @typedef {object} Card
 * @property {number} number
 * @property {HTMLIFrameElement} frame
 * @property {HTMLLIElement} element
 * @property {boolean} isFrozen
 */

/**
 * Puts the panel into an element, in place of what is there. Nothing connects before
 * Start.
 *
 * `data-view="seventh"` on the element asks for the seventh request, which waits.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of `tabs` lie. Relative to the
 *   page
 * @param {unknown} [options.Socket] given where a service worker is the server
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base: relative, Socket }) {
  const base = new URL(relative, document.baseURI);
  const group = ownGroup();
  const stream = new URL("sse/", base);
  stream.searchParams.set("group", group);
  if (element.dataset.view === "seventh")
    return mountSeventh(element, { base: stream, hasNetwork: Socket === undefined });

  addStyles(new URL("tabs.css", import.meta.url));
  const root = createSection("Many tabs, one stream", MARKUP);
  const place = find(root, "tabs");
  const note = find(root, "note");
  const buttons = {
    start: find(root, "start"),
    stop: find(root, "stop"),
    more: find(root, "more"),
    close: find(root, "close"),
    freeze: find(root, "freeze"),
  };
  const counts = createCounts({
    streams: "Streams at the server",
    sharing: "Tabs that share",
    lost: "Lost",
    doubled: "Doubled",
  });
  place.before(counts.element);

  /** @type {Card[]} */
  let cards = [];
  let last = 0;
  /** What the tabs that were closed had counted. */
  const gone = { lost: 0, doubled: 0 };
  let way = waysOf()[0];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const choices = waysOf().flatMap((it) =>
    it === "alone" ? [] : [/** @type {const} */ ([it, LABELS[it]])],
  );
  const { element: choice, select } = createChoice("Shared by", {
    role: "way",
    name: "tabs-way",
    choices: choices.length > 0 ? choices : [["alone", LABELS.alone]],
    onChange: (value) => {
      way = /** @type {typeof way} */ (value);
      const count = cards.length;
      stop();
      for (let tab = 0; tab < count; tab++) add();
    },
  });
  select.value = way;
  find(root, "choices").append(choice);

  function add() {
    if (cards.length >= MOST) return;
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.title = "A tab";
    frame.src = new URL("frame.html", import.meta.url).href;
    Object.assign(frame.dataset, { base: stream.href, name: NAME, way });
    const card = document.createElement("li");
    card.dataset.role = "tab";
    cards.push({ number: ++last, frame, element: card, isFrozen: false });
    card.append(frame);
    place.append(card);
    draw();
    look();
  }

  /** @param {Card} closed */
  function close(closed) {
    const { lost, doubled } = tabOf(closed)?.follower.counts ?? gone;
    gone.lost += lost;
    gone.doubled += doubled;
    // As a tab that is closed: nothing of its own is told of it.
    leave(closed);
    cards = cards.filter((card) => card !== closed);
    draw();
  }

  function stop() {
    for (const card of cards) leave(card);
    cards = [];
    Object.assign(gone, { lost: 0, doubled: 0 });
    note.textContent = "";
    draw();
  }

  function freeze() {
    const frozen = cards.find((card) => card.isFrozen);
    const chosen = frozen ?? leader();
    if (!chosen) return;
    chosen.isFrozen = !frozen;
    tabOf(chosen)?.silence(chosen.isFrozen);
    note.textContent = chosen.isFrozen
      ? `Tab ${chosen.number} says and hears nothing, and keeps its lock. ` +
        "In 8 to 11 seconds another takes it by force."
      : `Tab ${chosen.number} goes on, and says what it had to say.`;
    draw();
  }

  const leader = () => cards.find((card) => tabOf(card)?.isHolder && !card.isFrozen);

  function draw() {
    for (const card of cards) drawCard(card, tabOf(card));
    const sum = (/** @type {"lost" | "doubled"} */ what) => {
      const here = cards.map((card) => tabOf(card)?.follower.counts[what] ?? 0);
      return here.reduce((all, count) => all + count, gone[what]);
    };
    counts.set("lost", String(sum("lost")));
    counts.set("doubled", String(sum("doubled")));
    const isRunning = cards.length > 0;
    setEnabled(buttons.start, !isRunning);
    setEnabled(buttons.stop, isRunning);
    setEnabled(buttons.more, isRunning && cards.length < MOST);
    setEnabled(buttons.close, leader() !== undefined);
    const frozen = cards.find((card) => card.isFrozen);
    setEnabled(buttons.freeze, frozen !== undefined || leader() !== undefined);
    buttons.freeze.textContent = frozen
      ? `Thaw tab ${frozen.number}`
      : "Freeze the leader";
  }

  async function look() {
    clearTimeout(timer);
    if (cards.length === 0) {
      counts.set("streams", "0");
      counts.set("sharing", "0");
      return;
    }
    timer = startTimer(look, LOOK);
    if (document.visibilityState === "hidden") return;
    counts.set("sharing", String(await countSharing(way)));
    try {
      const url = routeOf("held", base);
      url.searchParams.set("group", group);
      const answer = await request(url);
      const { streams } = await answer.json();
      counts.set("streams", String(streams));
    } catch {
      counts.set("streams", "not known");
    }
  }

  /** @param {HTMLElement} button @param {() => void} press */
  const onPress = (button, press) =>
    button.addEventListener("click", () => {
      if (isEnabled(button)) press();
    });
  onPress(buttons.start, () => {
    for (let tab = 0; tab < FIRST; tab++) add();
  });
  onPress(buttons.stop, stop);
  onPress(buttons.more, add);
  onPress(buttons.close, () => {
    const closed = leader();
    if (!closed) return;
    close(closed);
    note.textContent = `Tab ${closed.number} is closed. The next one leads.`;
  });
  onPress(buttons.freeze, freeze);
  let isDue = false;
  root.addEventListener("tab", () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  });
  draw();
  element.replaceChildren(root);
  return {
    destroy() {
      stop();
      clearTimeout(timer);
      root.remove();
    },
  };
}

/**
 * Leaves the page of a tab, and then takes its frame away: WebKit hangs when a frame is
 * removed whose page still waits.
 *
 * @param {Card} card
 */
function leave({ frame, element }) {
  element.hidden = true;
  delete element.dataset.role;
  frame.addEventListener("load", () => element.remove(), { once: true });
  frame.src = "about:blank";
}

/** @param {Card} card @returns {TabHere | undefined} once its page has loaded */
function tabOf({ frame }) {
  const inside = /** @type {{ tab?: TabHere } | null} */ (
    /** @type {unknown} */ (frame.contentWindow)
  );
  return inside?.tab;
}

/**
 * @param {Card} card
 * @param {TabHere | undefined} tab
 */
function drawCard({ number, frame, element, isFrozen }, tab) {
  // Its script runs on, since a page cannot stop a frame's. What is seen does not.
  if (isFrozen && element.dataset.state === "frozen") return;
  const leads = Boolean(tab?.isHolder);
  const state = isFrozen ? "frozen" : (tab?.follower.state ?? "connecting");
  element.dataset.leads = String(leads);
  element.dataset.state = state;
  const title = document.createElement("strong");
  title.textContent = `Tab ${number}${leads ? " leads" : ""}`;
  const words = document.createElement("span");
  words.textContent = isFrozen ? "Frozen." : (tab?.text ?? "Loading…");
  const newest = document.createElement("span");
  newest.dataset.role = "newest-event";
  newest.textContent = tab?.newest
    ? `${tab.newest.id.split(".")[1]} ${describeEvent(tab.newest)}`
    : "No event yet.";
  const had = document.createElement("span");
  const received = tab?.follower.counts.received ?? 0;
  had.dataset.role = "had";
  had.textContent = `${received} received`;
  // The frame stays where it is: one that is moved loads anew.
  for (const child of [...element.children]) if (child !== frame) child.remove();
  element.append(title, words, newest, had);
}

/**
 * @param {"lock" | "worker" | "alone"} way
 * @returns {Promise<number>} of how many tabs the browser has locks or requests
 */
async function countSharing(way) {
  const { held = [], pending = [] } = (await navigator.locks?.query()) ?? {};
  const names = (way === "worker" ? held : [...held, ...pending]).map((it) => it.name);
  const isOne = (/** @type {string | undefined} */ name) =>
    way === "worker" ? name?.startsWith("tab ") : name === NAME;
  return names.filter(isOne).length;
}

/** By which the server counts the streams of this browser: the same in all windows. */
function ownGroup() {
  try {
    localStorage["waiting-tabs-group"] ??= randomName();
    return localStorage["waiting-tabs-group"];
  } catch {
    // It may keep nothing here.
    return randomName();
  }
}
