// @ts-check
/**
 * A whiteboard for several: each stroke is an event on a log of its own, and each page
 * draws the log.
 *
 * It is drawn as SVG, so that the browser itself keeps it sharp at any size, and in the
 * colours of the page's theme.
 */

import { parseCursor } from "../shared/cursor.js";
import { messageOf } from "../shared/http.js";
import {
  BUTTONS,
  createFollowerCounts,
  createSection,
  describeGap,
  find,
  watchPage,
  isEnabled,
  keepKeys,
  setEnabled,
} from "../shared/panel.js";
import { Follower } from "../shared/reconnect.js";
import { createStatusLine } from "../shared/status-line.js";
import { startTimer } from "../shared/timer.js";
import { Board, COLOURS, Outbox, Pen, SIZE, WIDTHS } from "./strokes.js";
import { createWebSocket } from "./websocket-client.js";

/** @typedef {import("../shared/reconnect.js").FollowerUpdate} FollowerUpdate */
/** @typedef {import("./strokes.js").Stroke} Stroke */

// How wide the board is for its height. Its coordinates are the same in both
// directions, its units are not.
const RATIO = 1.5;
// How far an arrow key moves the pen, in thousandths of the board's width, and how much
// farther with Shift.
const STEP = 10;
const LARGE = 5;
// How long a count may be out of date, in milliseconds. It is read aloud, and strokes
// come many a second.
const COUNT_EVERY = 1000;

/** @type {Record<string, [x: number, y: number]>} */
const ARROWS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP * RATIO],
  ArrowDown: [0, STEP * RATIO],
};

const MARKUP = `
${BUTTONS}
<div class="lp-board" data-role="board" role="application" aria-label="Whiteboard" tabindex="0">
  <svg viewBox="0 0 ${SIZE * RATIO} ${SIZE}" aria-hidden="true" focusable="false">
    <g data-role="kept"></g>
    <g class="lp-unsent" data-role="unsent"></g>
    <g data-role="drawing"></g>
    <circle class="lp-pen" data-role="pen" r="14" visibility="hidden" />
  </svg>
</div>
<div class="lp-bar lp-pens">
  <fieldset class="lp-choices" data-role="colours"><legend>Colour</legend></fieldset>
  <fieldset class="lp-choices" data-role="widths"><legend>Line</legend></fieldset>
  <button type="button" data-role="clear">Clear for all</button>
</div>
<div class="lp-bar lp-foot">
<details class="lp-help">
  <summary>How to draw</summary>
  <p data-role="help">
    Draw with a mouse, a pen or a finger. By keyboard: the arrow keys move the pen, with
    Shift in larger steps; Space lowers it and lifts it.
  </p>
</details>
<p data-role="strokes" role="status">Strokes appear here as they come.</p>
</div>
<p class="lp-note" data-role="announced" role="status"></p>
`;

/**
 * Puts a whiteboard into an element, in place of what is there. Nothing connects before
 * Start.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {URL} options.base where the server's routes lie
 * @param {typeof WebSocket} [options.Socket] what to connect with
 * @returns {{ destroy: () => void }}
 */
export function createWhiteboard(element, { base, Socket }) {
  const method = createWebSocket(base, { log: "board", Socket });
  const counts = createFollowerCounts({ waiting: "On their way" });
  const status = createStatusLine("Not connected. Press Start.");
  const root = createSection("Whiteboard over WebSocket", MARKUP);
  find(root, "start").parentElement?.append(status.element);
  root.append(counts.element);
  // The help belongs to the field by its id, and a page may have more than one
  // whiteboard.
  const id = `lp-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  find(root, "help").id = `${id}-help`;
  const surface = find(root, "board");
  surface.setAttribute("aria-describedby", `${id}-help`);
  const colour = createChoice(find(root, "colours"), `${id}-colour`, COLOURS);
  const width = createChoice(find(root, "widths"), `${id}-width`, Object.keys(WIDTHS));
  const marker = findShape(root, "pen");
  const buttons = {
    start: find(root, "start"),
    stop: find(root, "stop"),
    cut: find(root, "cut"),
    clear: find(root, "clear"),
  };

  const board = new Board();
  const drawKept = createLayer(findShape(root, "kept"));
  const drawUnsent = createLayer(findShape(root, "unsent"));
  const drawPens = createLayer(findShape(root, "drawing"));

  // ANCHOR: follow
  const follower = new Follower(method, { from: "earliest" });

  async function follow() {
    for await (const update of follower.updates()) {
      if (update.type === "event") {
        board.apply(update.event);
        outbox.onEvent(update.event.id);
      } else if (update.type === "gap") {
        // What was drawn before the gap may have been cleared in it. A page that comes
        // now sees what is kept, and one that was here before shall see the same.
        board.clear();
        outbox.onGap();
        announce(`${describeGap(update.gap)} The board shows what is still kept.`);
      } else if (update.type === "state") {
        showState(update);
      }
      draw();
    }
  }

  /** @param {Extract<FollowerUpdate, { type: "state" }>} update */
  function showState({ state, text, note }) {
    if (note) announce(note);
    status.set(state, text);
    setEnabled(buttons.start, !follower.active);
    setEnabled(buttons.stop, follower.active);
    setEnabled(buttons.clear, follower.active);
    setEnabled(buttons.cut, state === "open");
    surface.classList.toggle("lp-drawable", follower.active);
    if (!follower.active) liftAll();
    if (state === "open") announceWhatIsGone();
    outbox.setOpen(state === "open");
  }
  // ANCHOR_END: follow

  const outbox = new Outbox(method.publish, {
    onChange: () => draw(),
    onRefused: (why) => announce(`Not taken. ${why}`),
    cursor: () => follower.cursor,
  });

  function announceWhatIsGone() {
    const { counts, cursor } = follower;
    const begin = counts.received === 0 && cursor !== null && parseCursor(cursor);
    if (begin && begin.id > 0n) announce("The oldest strokes are no longer kept.");
  }

  /** @param {string} text */
  function announce(text) {
    const announced = find(root, "announced");
    if (announced.textContent !== text) announced.textContent = text;
  }

  // ANCHOR: draw
  let frame = 0;
  /**
   * Once a frame, however much has come. A hidden page draws none, and then draws what
   * the log adds up to.
   */
  function draw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      drawKept(board.strokes);
      const unsent = [...outbox.unsent.values()].filter(
        ({ kind }) => kind === "stroke",
      );
      drawUnsent(
        new Map(unsent.map(({ key, data }) => [key, /** @type {Stroke} */ (data)])),
      );
      drawPens(new Map(Array.from(pens, ([key, pen]) => [key, pen.stroke])));
      counts.draw(follower);
      counts.set("waiting", String(outbox.unsent.size));
      countStrokes();
    });
  }
  // ANCHOR_END: draw

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let countTimer;
  function countStrokes() {
    countTimer ??= startTimer(() => {
      countTimer = undefined;
      const { size } = board.strokes;
      const text =
        size === 1 ? "1 stroke on the board." : `${size} strokes on the board.`;
      const strokes = find(root, "strokes");
      if (strokes.textContent !== text) strokes.textContent = text;
    }, COUNT_EVERY);
  }

  /**
   * The pens that are down: one for each pointer, and the keyboard's.
   *
   * @type {Map<number | "keyboard", Pen>}
   */
  const pens = new Map();

  /** @param {number | "keyboard"} key */
  function lower(key) {
    lift(key);
    const style = {
      colour: colour(),
      width: WIDTHS[/** @type {keyof typeof WIDTHS} */ (width())],
    };
    const pen = new Pen(style, (stroke) => {
      if (!outbox.add("stroke", stroke))
        announce("Not drawn: too much waits for the connection already.");
    });
    pens.set(key, pen);
    return pen;
  }

  /** @param {number | "keyboard"} key */
  function lift(key) {
    const pen = pens.get(key);
    pens.delete(key);
    pen?.lift();
    draw();
  }

  function liftAll() {
    for (const key of [...pens.keys()]) lift(key);
    drawMarker();
  }

  // ANCHOR: pointer
  /**
   * @param {Pen} pen
   * @param {PointerEvent} event
   */
  function movePen(pen, event) {
    const box = surface.getBoundingClientRect();
    // A fast pointer makes several events a frame, and the browser hands on one with
    // the others in it.
    const all = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of all.length > 0 ? all : [event]) {
      pen.moveTo(
        ((clientX - box.left - surface.clientLeft) / surface.clientWidth) * SIZE,
        ((clientY - box.top - surface.clientTop) / surface.clientHeight) * SIZE,
      );
    }
    draw();
  }

  surface.addEventListener("pointerdown", (event) => {
    showMarker(false);
    if (event.button !== 0) return;
    if (!follower.active) return announce("Press Start first.");
    // So that a line may leave the board and come back, and its end is not missed
    // outside.
    surface.setPointerCapture(event.pointerId);
    movePen(lower(event.pointerId), event);
  });
  surface.addEventListener("pointermove", (event) => {
    const pen = pens.get(event.pointerId);
    if (pen) movePen(pen, event);
  });
  // After `pointerup` and `pointercancel` alike, and whatever else takes the pointer
  // away.
  surface.addEventListener("lostpointercapture", (event) => lift(event.pointerId));
  // ANCHOR_END: pointer

  // ANCHOR: keyboard
  /** Where the keyboard's pen is. */
  let [x, y] = [SIZE / 2, SIZE / 2];

  surface.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const factor = event.shiftKey ? LARGE : 1;
      x = Math.min(SIZE, Math.max(0, x + arrow[0] * factor));
      y = Math.min(SIZE, Math.max(0, y + arrow[1] * factor));
      pens.get("keyboard")?.moveTo(x, y);
      draw();
    } else if (event.key === " ") {
      if (!event.repeat) toggle();
    } else {
      return;
    }
    event.preventDefault();
    showMarker(true);
  });

  function toggle() {
    if (!follower.active) return announce("Press Start first.");
    const isDown = pens.has("keyboard");
    if (isDown) lift("keyboard");
    else lower("keyboard").moveTo(x, y);
    draw();
    const move = isDown ? "up" : "down";
    announce(`Pen ${move}, ${percent(x)} across and ${percent(y)} down the board.`);
  }

  surface.addEventListener("focus", () =>
    showMarker(surface.matches(":focus-visible")),
  );
  surface.addEventListener("blur", () => {
    lift("keyboard");
    showMarker(false);
  });
  // ANCHOR_END: keyboard

  /** @param {boolean} visible */
  function showMarker(visible) {
    marker.setAttribute("visibility", visible ? "visible" : "hidden");
    drawMarker();
  }

  function drawMarker() {
    marker.setAttribute("cx", String(x * RATIO));
    marker.setAttribute("cy", String(y));
    marker.classList.toggle("lp-down", pens.has("keyboard"));
  }

  buttons.start.addEventListener("click", () => {
    if (!isEnabled(buttons.start)) return;
    // It then begins again, with the oldest that is kept.
    if (follower.state === "failed") board.clear();
    follow();
  });
  buttons.stop.addEventListener("click", () => follower.stop());
  buttons.clear.addEventListener("click", () => {
    if (isEnabled(buttons.clear)) outbox.add("clear", {});
  });
  buttons.cut.addEventListener("click", async () => {
    if (!isEnabled(buttons.cut)) return;
    setEnabled(buttons.cut, false);
    try {
      await method.cut?.();
    } catch (error) {
      announce(`Not cut. ${messageOf(error)}`);
      setEnabled(buttons.cut, follower.state === "open");
    }
  });
  for (const button of [buttons.stop, buttons.cut, buttons.clear])
    setEnabled(button, false);
  // The book turns its pages on the arrow keys.
  for (const field of [surface, ...root.querySelectorAll("input")]) keepKeys(field);
  const stopWatching = watchPage(follower, true);
  drawMarker();

  element.replaceChildren(root);
  return {
    destroy() {
      stopWatching();
      follower.stop();
      outbox.setOpen(false);
      cancelAnimationFrame(frame);
      clearTimeout(countTimer);
      root.remove();
    },
  };
}

/** @param {number} place */
function percent(place) {
  return `${Math.round((place / SIZE) * 100)} %`;
}

/**
 * Fills a group of radio buttons.
 *
 * @param {HTMLElement} group
 * @param {string} name of the group, once in the page
 * @param {string[]} values the first is chosen
 * @returns {() => string} gives the chosen one
 */
function createChoice(group, name, values) {
  const inputs = values.map((value, index) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = name;
    input.value = value;
    input.checked = index === 0;
    const sample = document.createElement("span");
    sample.className = "lp-sample";
    sample.dataset.sample = value;
    sample.setAttribute("aria-hidden", "true");
    // The name beside it: a colour alone does not tell every reader which one it is.
    label.append(input, sample, value);
    group.append(label);
    return input;
  });
  return () => inputs.find((input) => input.checked)?.value ?? values[0];
}

/**
 * Makes a layer of the drawing.
 *
 * @param {Element} group
 * @returns {(strokes: Map<string | number, Stroke>) => void} makes it show these and no
 *   others
 */
function createLayer(group) {
  /**
   * What is drawn, and what of it.
   *
   * @type {Map<string | number, { line: SVGPolylineElement, points: unknown, count:
   *   number }>}
   */
  const lines = new Map();
  return (strokes) => {
    for (const [key, { line }] of lines) {
      if (strokes.has(key)) continue;
      line.remove();
      lines.delete(key);
    }
    for (const [key, { colour, width, points }] of strokes) {
      let drawn = lines.get(key);
      if (!drawn) {
        drawn = {
          line: createLine(String(key), colour, width),
          points: null,
          count: 0,
        };
        lines.set(key, drawn);
        group.append(drawn.line);
      }
      // What is kept never changes. A pen that is down moves, and begins anew when its
      // stroke is full.
      if (drawn.points === points && drawn.count === points.length) continue;
      Object.assign(drawn, { points, count: points.length });
      // A line of one point is not drawn at all; from the point to itself it is a dot.
      const path = points.length === 1 ? [points[0], points[0]] : points;
      drawn.line.setAttribute(
        "points",
        path.map(([x, y]) => `${x * RATIO},${y}`).join(" "),
      );
    }
  };
}

/**
 * @param {string} key
 * @param {string} colour
 * @param {number} width
 */
function createLine(key, colour, width) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.dataset.key = key;
  line.dataset.colour = colour;
  line.setAttribute("stroke-width", String(width * RATIO));
  return line;
}

/**
 * @param {ParentNode} root
 * @param {string} role
 */
function findShape(root, role) {
  const element = root.querySelector(`svg [data-role="${role}"]`);
  if (!(element instanceof SVGElement))
    throw new Error(`The whiteboard has no part "${role}".`);
  return element;
}
