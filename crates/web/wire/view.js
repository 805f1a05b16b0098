// @ts-check
/**
 * The wire view: what goes over the connections of a client, while it goes or from a
 * recording. One for all methods.
 */

import { create } from "../book/parts.js";
import { addStyles, createChoice, createCounts, keepKeys } from "../shared/panel.js";
import { startTimer } from "../shared/timer.js";
import { showArrow } from "./detail.js";
import { readRecord } from "./format.js";
import { createPicture } from "./picture.js";
import { formatBytes, formatDelay, formatTime, Track } from "./track.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./format.js").LiveSource} LiveSource */
/** @typedef {import("./format.js").Recording} Recording */

/**
 * @typedef {object} Shown
 * @property {LiveSource | Recording} source
 * @property {string} label
 */

/** How often a server is asked what is new, in milliseconds. */
const POLL = 500;
/** And after an answer did not come. */
const POLL_AGAIN = 3000;
/** How much time passes in a frame at most: a page that was hidden does not jump. */
const LONGEST_FRAME = 200;
/** How often a picture changes for who wants little motion. */
const STILL = 500;
const HEIGHT = 400;

const SPEEDS = /** @type {const} */ ([
  ["1", "×1"],
  ["0.25", "×¼"],
  ["0.1", "×1/10"],
]);
const LENGTHS = /** @type {const} */ ([
  ["1000", "1 s"],
  ["3000", "3 s"],
  ["10000", "10 s"],
  ["30000", "30 s"],
]);
const ALL = "0";

/** What is counted, by its role. */
const TRAFFIC = { "wire-requests": "Requests", "wire-up": "Up", "wire-down": "Down" };
const EVENTS = {
  "wire-events": "Events",
  "wire-lost": "Lost",
  "wire-doubled": "Doubled",
  "wire-p50": "Delay p50",
  "wire-p99": "p99",
};

const COUNTED = [
  "Lost are the ids between the first and the last that came here and did not come, " +
    "but for those that a gap has told of: the log of this book leaves none out. " +
    "Where bytes are missing from the record, nobody knows.",
  "A delay is the time from an event's “at” to its arrival at this wire, by the " +
    "server's clock, which “at” has in whole milliseconds. Counted are the last 1000 " +
    "events that were published after the view began.",
];

/** A view that cannot go on: nothing is to be expected of asking again. */
export class NoRecord extends Error {}

/**
 * Puts a wire view into an element of a panel, after what is there.
 *
 * @param {HTMLElement} element
 * @param {Shown | { sources: Shown[], label: string }} options several recordings are
 *   shown side by side, on one time axis; a source that grows is shown alone
 * @returns {{ element: HTMLElement, destroy: () => void }}
 */
export function createWireView(element, options) {
  const shown = "sources" in options ? options.sources : [options];
  const live = shown.map(({ source }) => source).find((source) => "poll" in source);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const ending = new AbortController();
  const { signal } = ending;

  let playing = live !== undefined;
  /** Whether the view is where the record is. */
  let following = live !== undefined;
  let speed = 1;
  /** What the view has reached, in milliseconds. */
  let now = 0;
  /** How much of the time is seen; all of it where it is 0. */
  let length = live ? 10_000 : 0;
  let frame = 0;
  let before = 0;
  let drawnAt = -Infinity;

  const root = create("section", { class: "wire", "aria-label": options.label });
  const sheet = addStyles(new URL("wire.css", import.meta.url));
  const play = createButton("", "wire-play", () => (playing ? pause() : go()));
  const catchUp = createButton("Live", "wire-live", follow);
  const speeds = createChoice("Speed", {
    role: "wire-speed",
    choices: SPEEDS,
    onChange(value) {
      speed = Number(value);
      if (live && speed < 1) following = false;
      update();
    },
  });
  const lengths = live ? LENGTHS : [/** @type {const} */ ([ALL, "all"]), ...LENGTHS];
  const windows = createChoice("Seen", {
    role: "wire-length",
    choices: lengths,
    onChange(value) {
      length = Number(value);
      update();
    },
  });
  windows.select.value = String(length);
  const behind = create("span", { class: "wire-behind", "data-role": "wire-behind" });
  const range = create("input", { type: "range", min: 0, max: 1000, step: 1 });
  const time = create(
    "label",
    { class: "wire-time-bar" },
    create("span", {}, "Time"),
    range,
  );
  const bar = create("div", { class: "lp-bar" }, play, speeds.element, windows.element);
  if (live) bar.append(catchUp);
  bar.append(behind);
  root.append(bar);
  if (!live) root.append(time);

  const note = create("p", {
    class: "lp-note",
    role: "status",
    "data-role": "wire-note",
  });
  const detail = createDetail();
  const columns = shown.map(createColumn);
  const grid = create(
    "div",
    { class: "wire-columns" },
    ...columns.map(({ element }) => element),
  );
  if (columns.length > 1) grid.dataset.several = String(columns.length);
  const texts = create("ol");
  const log = create(
    "div",
    {
      class: "lp-log",
      role: "log",
      "aria-live": "off",
      "aria-label": `${options.label}, as text`,
      tabindex: 0,
    },
    texts,
  );
  const text = create(
    "details",
    { "data-role": "wire-text" },
    create("summary", {}, "The same as text"),
    log,
  );
  const counted = create(
    "details",
    {},
    create("summary", {}, "How this is counted"),
    ...COUNTED.map((sentence) => create("p", { class: "wire-quiet" }, sentence)),
  );
  root.append(grid, note, detail.element, text, counted);
  keepKeys(root);

  /** @param {Shown} of */
  function createColumn({ source, label }) {
    const isLive = "poll" in source;
    const marks = isLive ? [] : source.marks;
    const picture = createPicture({
      label: `${label}: arrows between client and server, each a button`,
      height: HEIGHT,
      onOpen: (arrow) => detail.open(column, arrow),
    });
    const track = new Track({ isWhole: !isLive });
    if (!isLive) track.push(source);
    track.reach(track.now);
    // A recording without events has none that could be late or lost.
    const hasEvents = isLive || (track.totals?.events ?? 0) > 0;
    const counts = createCounts({ ...TRAFFIC, ...(hasEvents ? EVENTS : {}) });
    const box = create("div", { class: "wire-box" });
    box.append(picture.element);
    const column = {
      source,
      label,
      marks,
      picture,
      counts,
      box,
      track,
      hasEvents,
      element: create("div", { class: "wire-column" }),
    };
    if (shown.length > 1)
      column.element.append(create("p", { class: "wire-name" }, label));
    column.element.append(box, counts.element);
    return column;
  }

  /** @typedef {ReturnType<typeof createColumn>} Column */

  function createDetail() {
    const body = create("div", { class: "wire-detail-body" });
    const element = create("section", {
      class: "wire-detail",
      "aria-label": "Bytes of an arrow",
      "data-role": "wire-detail",
    });
    /** @type {Column | null} */
    let column = null;
    /** @type {Arrow | null} */
    let arrow = null;

    /** @param {1 | -1} step */
    function move(step) {
      const arrows = column?.track.arrows ?? [];
      const next = arrow && arrows[arrows.indexOf(arrow) + step];
      if (column && next) open(column, next);
    }

    /** @param {Column} of @param {Arrow} which */
    function open(of, which) {
      if (column !== of) column?.picture.mark(null);
      column = of;
      arrow = which;
      of.picture.mark(which);
      body.replaceChildren(...showArrow(which));
      element.hidden = false;
    }

    function close() {
      column?.picture.mark(null);
      column?.picture.focus(arrow ?? undefined);
      element.hidden = true;
      arrow = null;
    }

    element.append(
      create(
        "div",
        { class: "lp-bar" },
        createButton("Arrow before", "wire-before", () => move(-1)),
        createButton("Arrow after", "wire-after", () => move(1)),
        createButton("Close", "wire-close", close),
      ),
      body,
    );
    element.hidden = true;
    return { element, open };
  }

  /** The latest time of all records. */
  function end() {
    return Math.max(1, ...columns.map(({ track }) => track.now));
  }

  /** @returns {{ from: number, to: number }} the part of the time that is seen */
  function span() {
    if (length === 0) return { from: 0, to: end() };
    // It moves by halves, and not with each moment.
    const step = length / 2;
    const from = Math.max(0, (Math.floor(now / step) - 1) * step);
    return { from, to: from + length };
  }

  function update() {
    frame ||= requestAnimationFrame(step);
  }

  /** @param {number} at */
  function step(at) {
    frame = 0;
    const passed = Math.min(at - before, LONGEST_FRAME) * speed;
    before = at;
    const isMoving = playing && !following;
    if (isMoving) now = Math.min(now + passed, end());
    else if (following) now = end();
    if (!live && now >= end()) playing = false;
    const goesOn = isMoving && playing;
    if (!goesOn || !still.matches || at - drawnAt >= STILL) {
      drawnAt = at;
      draw();
    }
    if (goesOn) update();
  }

  function draw() {
    const seen = span();
    for (const { track, picture, counts, marks, hasEvents } of columns) {
      track.reach(now);
      picture.draw(track, seen, now, marks);
      const { totals } = track;
      if (!totals) continue;
      counts.set("wire-requests", String(totals.requests));
      counts.set("wire-up", formatBytes(totals.up));
      counts.set("wire-down", formatBytes(totals.down));
      if (!hasEvents) continue;
      counts.set("wire-events", String(totals.events));
      counts.set("wire-lost", totals.lost === null ? "unknown" : String(totals.lost));
      counts.set("wire-doubled", String(totals.doubled));
      counts.set("wire-p50", formatDelay(totals.delay(0.5)));
      counts.set("wire-p99", formatDelay(totals.delay(0.99)));
    }
    drawText();
    drawControls();
  }

  function drawText() {
    if (!text.open) return;
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight <= 24;
    const lines = columns.flatMap(({ track, label, marks }) => [
      ...track.linesAt(now).map(({ t, text }) => ({ t, text, label })),
      ...marks.filter(({ t }) => t <= now).map(({ t, text }) => ({ t, text, label })),
    ]);
    const items = lines
      .sort((one, other) => one.t - other.t)
      .map(({ t, text, label }) => {
        const of = columns.length > 1 ? `${label}: ` : "";
        return create("li", {}, `${formatTime(t)}. ${of}${text}.`);
      });
    // Most of them are there already.
    const same = items.length === texts.childElementCount;
    if (same && items.at(-1)?.textContent === texts.lastElementChild?.textContent)
      return;
    texts.replaceChildren(...items);
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  function drawControls() {
    const word = playing ? "Pause" : live ? "Go on" : "Play";
    if (play.textContent !== word) play.textContent = word;
    const late = end() - now;
    if (!live) {
      range.max = String(Math.ceil(end()));
      range.value = String(Math.round(now));
      range.setAttribute("aria-valuetext", formatTime(now));
      const [at, of] = [now, end()].map((t) => (t / 1000).toFixed(2));
      behind.textContent = `${at} of ${of} s`;
      return;
    }
    const waiting = columns.reduce((sum, { track }) => sum + track.waiting, 0);
    catchUp.setAttribute("aria-disabled", String(following));
    behind.textContent = following
      ? "As it comes"
      : `${(late / 1000).toFixed(1)} s behind, ${waiting} arrows to come`;
  }

  function pause() {
    playing = false;
    following = false;
    update();
  }

  function go() {
    if (!live && now >= end()) now = 0;
    playing = true;
    before = performance.now();
    update();
  }

  function follow() {
    following = true;
    playing = true;
    speed = 1;
    speeds.select.value = "1";
    update();
  }

  /** @param {LiveSource} source */
  async function poll(source) {
    const [column] = columns;
    let after = 0;
    let started = "";
    while (!signal.aborted) {
      let rest = POLL;
      try {
        if (document.visibilityState === "visible") {
          const record = readRecord(await source.poll(after));
          if (signal.aborted) return;
          if (!record) throw new NoRecord("The answer is no record of a wire.");
          if (record.started !== started || record.next < after) {
            // Another server, or the same one anew.
            const isAnew = started !== "";
            started = record.started;
            column.track = new Track();
            now = 0;
            if (isAnew && after > 0) {
              after = 0;
              continue;
            }
          }
          column.track.push(record);
          after = record.next;
          note.textContent = "";
          update();
        }
      } catch (error) {
        if (signal.aborted) return;
        note.textContent = error instanceof Error ? error.message : String(error);
        if (error instanceof NoRecord) return;
        rest = POLL_AGAIN;
      }
      await new Promise((resolve) => startTimer(() => resolve(null), rest));
    }
  }

  range.addEventListener("input", () => {
    now = Number(range.value);
    playing = false;
    update();
  });
  text.addEventListener("toggle", update);
  let resizing = 0;
  const resizes = new ResizeObserver(() => {
    // Not in here: what changes the layout while it is observed is an error in WebKit.
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(() => {
      for (const { box, picture } of columns)
        picture.resize(Math.max(180, box.clientWidth));
      update();
    });
  });
  for (const { box } of columns) resizes.observe(box);
  sheet.addEventListener("load", update, { signal });
  element.append(root);
  // A recording is seen whole before anybody presses anything.
  now = live ? 0 : end();
  update();
  if (live) poll(live);

  return {
    element: root,
    destroy() {
      ending.abort();
      cancelAnimationFrame(frame);
      cancelAnimationFrame(resizing);
      resizes.disconnect();
      root.remove();
    },
  };
}

/**
 * @param {string} text
 * @param {string} role
 * @param {() => void} onClick
 */
function createButton(text, role, onClick) {
  const button = create("button", { type: "button", "data-role": role }, text);
  button.addEventListener("click", onClick);
  return button;
}
