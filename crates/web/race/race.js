// @ts-check
/**
 * The race on a page: lanes, controls, numbers, and the same as text.
 */

import {
  addStyles,
  createSection,
  find,
  isEnabled,
  keepKeys,
  setEnabled,
} from "../shared/panel.js";
import {
  drawRace,
  formatBytes,
  formatDelay,
  summarise,
  tellLane,
  TITLES,
} from "./draw.js";
import { simulate, standingAt } from "./model.js";
import { CHOICES, DEFAULT, LENGTHS } from "./setting.js";

/** @typedef {import("./model.js").Fault} Fault */
/** @typedef {import("./model.js").Lane} Lane */
/** @typedef {import("./model.js").Race} Race */
/** @typedef {import("./model.js").Setting} Setting */
/** @typedef {keyof typeof CHOICES} Knob */

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="start">Play</button>
  <button type="button" data-role="first">From the start</button>
  <button type="button" data-role="cut" class="lp-star">Cut the line</button>
  <button type="button" data-role="restart" class="lp-star">Restart the server</button>
  <button type="button" data-role="reset">Reset</button>
</div>
<div class="lp-bar">
  <label class="lp-choice">Events <select data-role="rate" name="rate"></select></label>
  <label class="lp-choice">A poll every <select data-role="interval" name="interval"></select></label>
  <label class="lp-choice">Round trip <select data-role="roundTrip" name="round-trip"></select></label>
  <label class="lp-choice">Speed <select data-role="slowness" name="speed">
    <option value="1">as it is</option>
    <option value="5">5 times slower, closer</option>
    <option value="20">20 times slower, closer</option>
  </select></label>
</div>
<div class="race-lanes" data-role="lanes"></div>
<label class="race-time">Time <input type="range" data-role="time" name="time" min="0" step="50">
  <output data-role="now"></output></label>
<table class="lp-table race-table">
  <caption>So far; how late is said of the events that have come</caption>
  <thead><tr><th scope="col">Client</th><th scope="col">Late, on average</th><th scope="col">Bytes, both ways</th><th scope="col">Requests</th><th scope="col">Lost</th></tr></thead>
  <tbody data-role="standings"></tbody>
</table>
<p class="lp-note" data-role="summary" role="status"></p>
<details>
  <summary>The same as text</summary>
  <label class="lp-choice">Client <select data-role="lane" name="lane"></select></label>
  <div class="lp-log" data-role="log" role="log" aria-live="off" aria-label="What happens to this client" tabindex="0"><ol></ol></div>
</details>
<p class="race-note">A model in virtual time: nothing is sent. Its clients try again by the rules of this book's, and its bytes are those that the lab has counted, over HTTP/2 and TLS. No packet gets lost but in a cut, and the log outlives a restart.</p>
`;

/** How much time passes in a frame at most: a page that was hidden does not jump. */
const LONGEST_FRAME = 100;
/** How often a picture moves for who wants little motion. */
const STILL = 1000;
/** A race of many events has more lines than anybody reads. */
const MAX_LINES = 400;

let mounted = 0;

/**
 * Puts the race into an element, in place of what is there.
 *
 * @param {HTMLElement} element
 * @returns {{ destroy: () => void }}
 */
export function mount(element) {
  mounted += 1;
  const clip = `race-${mounted}`;
  const root = createSection("The race: a model", MARKUP);
  // After that of the panels, over which it says more.
  addStyles(new URL("race.css", import.meta.url));
  const lanes = find(root, "lanes");
  const time = /** @type {HTMLInputElement} */ (find(root, "time"));
  const play = find(root, "start");
  const table = createTable(find(root, "standings"));
  const list = /** @type {HTMLElement} */ (find(root, "log").firstElementChild);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const ending = new AbortController();

  /** @type {Setting} */
  let setting = { ...DEFAULT };
  let race = simulate(setting);
  let now = 0;
  let slowness = 1;
  /** The frame that is asked for, while it plays. */
  let frame = 0;
  /** When the last frame was, by the browser's clock. */
  let before = 0;
  /** When it was drawn last. */
  let drawnAt = -Infinity;
  /** What the picture shows, so that it is made anew only if it has to be. */
  let shown = "";
  let width = 0;
  /** @type {{ at: number, text: string }[]} */
  let lines = [];

  /** @returns {{ from: number, to: number }} the part of the time that is seen */
  function view() {
    const length = setting.lasts / slowness;
    const from = Math.min(Math.floor(now / length) * length, setting.lasts - length);
    return { from, to: from + length };
  }

  function draw() {
    drawPicture();
    time.value = String(Math.round(now));
    time.setAttribute("aria-valuetext", formatDelay(now));
    find(root, "now").textContent = `${(now / 1000).toFixed(1)} s`;
    table.draw(race, now);
    drawLines();
    const isOver = now >= setting.lasts;
    for (const kind of /** @type {const} */ (["cut", "restart"])) {
      const isDown = setting.faults.some(
        ({ kind: other, at, lasts }) =>
          other === kind && at <= now && now < at + lasts,
      );
      setEnabled(find(root, kind), !isOver && !isDown);
    }
  }

  function drawPicture() {
    if (width === 0) return;
    const { from, to } = view();
    const wanted = `${from} ${to} ${width}`;
    if (shown !== wanted) {
      shown = wanted;
      const label =
        "Five clients, each with a line for its page and one for its server. " +
        "What happens stands below as text.";
      lanes.innerHTML = drawRace(race, { width, from, to, clip, label });
    }
    // As wide as the picture has it: it keeps a margin of 8 at each side.
    const x = 8 + ((now - from) / (to - from)) * (width - 16);
    lanes.querySelector("clipPath rect")?.setAttribute("width", x.toFixed(1));
    lanes
      .querySelector(".race-head")
      ?.setAttribute("transform", `translate(${x.toFixed(1)} 0)`);
  }

  function drawLines() {
    if (!root.querySelector("details")?.open) return;
    const count = lines.findLastIndex(({ at }) => at <= now) + 1;
    const first = Math.max(0, count - MAX_LINES);
    if (list.childElementCount === count - first && count < MAX_LINES) return;
    const items = lines.slice(first, count).map(({ at, text }) => {
      const item = document.createElement("li");
      item.textContent = `${(at / 1000).toFixed(2)} s: ${text}`;
      return item;
    });
    list.replaceChildren(...items);
    const log = find(root, "log");
    log.scrollTop = log.scrollHeight;
  }

  function readLane() {
    const { value } = /** @type {HTMLSelectElement} */ (find(root, "lane"));
    const lane = race.lanes.find(({ name }) => name === value);
    lines = lane ? tellLane(race, lane) : [];
    list.replaceChildren();
  }

  /** @param {Partial<Setting>} change */
  function change(change) {
    setting = { ...setting, ...change };
    race = simulate(setting);
    shown = "";
    table.begin(race);
    readLane();
    draw();
    tell();
  }

  /** @param {Fault["kind"]} kind */
  function breakIt(kind) {
    if (!isEnabled(find(root, kind))) return;
    const fault = { kind, at: now, lasts: LENGTHS[kind] };
    const faults = [...setting.faults, fault].sort((one, other) => one.at - other.at);
    change({ faults });
  }

  /** @param {number} at */
  function step(at) {
    const passed = Math.min(at - before, LONGEST_FRAME) / slowness;
    before = at;
    now = Math.min(now + passed, setting.lasts);
    if (now >= setting.lasts) return stop();
    if (!still.matches || at - drawnAt >= STILL) {
      drawnAt = at;
      draw();
    }
    frame = requestAnimationFrame(step);
  }

  function start() {
    if (now >= setting.lasts) now = 0;
    play.textContent = "Pause";
    before = performance.now();
    frame = requestAnimationFrame(step);
    tell();
  }

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
    draw();
    tell();
  }

  /** Says how all stand, where nothing moves. */
  function tell() {
    find(root, "summary").textContent = frame ? "" : summarise(race, now);
  }

  play.addEventListener("click", () => (frame ? stop() : start()));
  find(root, "first").addEventListener("click", () => {
    now = 0;
    draw();
    tell();
  });
  find(root, "cut").addEventListener("click", () => breakIt("cut"));
  find(root, "restart").addEventListener("click", () => breakIt("restart"));
  find(root, "reset").addEventListener("click", () => {
    now = 0;
    change({ ...DEFAULT });
    for (const knob of /** @type {Knob[]} */ (Object.keys(CHOICES)))
      setKnob(root, knob, setting[knob]);
  });
  time.addEventListener("input", () => {
    now = Number(time.value);
    draw();
  });
  time.addEventListener("change", tell);
  for (const knob of /** @type {Knob[]} */ (Object.keys(CHOICES))) {
    const select = fillKnob(root, knob);
    setKnob(root, knob, setting[knob]);
    select.addEventListener("change", () => change({ [knob]: Number(select.value) }));
  }
  const speed = /** @type {HTMLSelectElement} */ (find(root, "slowness"));
  speed.addEventListener("change", () => {
    slowness = Number(speed.value);
    draw();
  });
  const chosen = /** @type {HTMLSelectElement} */ (find(root, "lane"));
  for (const { name } of race.lanes) chosen.add(new Option(TITLES[name].title, name));
  chosen.value = "no-cursor";
  chosen.addEventListener("change", () => {
    readLane();
    drawLines();
  });
  root.querySelector("details")?.addEventListener("toggle", drawLines);
  for (const field of root.querySelectorAll("input, select")) keepKeys(field);

  const resizes = new ResizeObserver(() => {
    const room = Math.round(Math.min(Math.max(lanes.clientWidth, 320), 1040));
    if (room === width) return;
    width = room;
    drawPicture();
  });
  resizes.observe(lanes);
  ending.signal.addEventListener("abort", () => resizes.disconnect());

  time.max = String(setting.lasts);
  table.begin(race);
  readLane();
  element.replaceChildren(root);
  draw();
  // Whoever has opened it has asked for it.
  start();
  return {
    destroy() {
      cancelAnimationFrame(frame);
      ending.abort();
      root.remove();
    },
  };
}

/**
 * @param {HTMLElement} root
 * @param {Knob} knob
 */
function fillKnob(root, knob) {
  const select = /** @type {HTMLSelectElement} */ (find(root, knob));
  for (const [value, words] of CHOICES[knob])
    select.add(new Option(words, String(value)));
  return select;
}

/**
 * @param {HTMLElement} root
 * @param {Knob} knob
 * @param {number} value
 */
function setKnob(root, knob, value) {
  /** @type {HTMLSelectElement} */ (find(root, knob)).value = String(value);
}

/**
 * The numbers, each with a bar as long as what it will be at the end.
 *
 * @param {HTMLElement} body of the table
 */
function createTable(body) {
  /** @type {Record<"late" | "bytes", Figure>[]} */
  const figures = [];
  /** @type {Record<"requests" | "lost", HTMLElement>[]} */
  const rows = [];
  let most = { late: 1, bytes: 1 };

  return {
    /** @param {Race} race */
    begin(race) {
      const ends = race.lanes.map((lane) => standingAt(race, lane, race.setting.lasts));
      most = {
        late: Math.max(1, ...ends.map(({ lateness }) => lateness ?? 0)),
        bytes: Math.max(1, ...ends.map(({ up, down }) => up + down)),
      };
      if (rows.length > 0) return;
      for (const { name } of race.lanes) {
        const row = document.createElement("tr");
        const head = document.createElement("th");
        head.scope = "row";
        const title = document.createElement("span");
        title.className = TITLES[name].className;
        title.textContent = TITLES[name].title;
        head.append(title);
        row.className = TITLES[name].className;
        const [late, bytes] = [createFigure(), createFigure()];
        const [requests, lost] = ["td", "td"].map((tag) => document.createElement(tag));
        row.append(head, late.element, bytes.element, requests, lost);
        body.append(row);
        figures.push({ late, bytes });
        rows.push({ requests, lost });
      }
    },
    /** @param {Race} race @param {number} now */
    draw(race, now) {
      for (const [place, row] of rows.entries()) {
        const figure = figures[place];
        const standing = standingAt(race, race.lanes[place], now);
        const bytes = standing.up + standing.down;
        const { lateness } = standing;
        figure.late.set(formatDelay(lateness), (lateness ?? 0) / most.late);
        figure.bytes.set(formatBytes(bytes), bytes / most.bytes);
        setText(row.requests, String(standing.requests));
        setText(row.lost, standing.lost > 0 ? `✕ ${standing.lost}` : "0");
        row.lost.className = standing.lost > 0 ? "race-lost" : "";
      }
    },
  };
}

/** @typedef {ReturnType<typeof createFigure>} Figure */

/** A number in a cell, with a bar below it. */
function createFigure() {
  const element = document.createElement("td");
  const text = document.createElement("span");
  const bar = document.createElement("span");
  bar.className = "race-bar";
  element.append(text, bar);
  return {
    element,
    /** @param {string} words @param {number} share */
    set(words, share) {
      setText(text, words);
      bar.style.width = `${Math.round(100 * Math.min(1, share))}%`;
    },
  };
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
