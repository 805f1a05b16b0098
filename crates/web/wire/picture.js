// @ts-check
/**
 * The picture of one source: two lanes, client and server, and time downwards.
 *
 * It is an SVG whose arrows are buttons. It moves in steps, never by sliding, so that
 * an arrow stays where it is while somebody points at it.
 */

import { BARS } from "./arrows.js";
import { formatBytes, formatTime, sayArrow } from "./track.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./arrows.js").Bar} Bar */
/** @typedef {import("./decode.js").Closing} Closing */
/** @typedef {import("./track.js").Track} Track */

const SVG = "http://www.w3.org/2000/svg";
const TOP = 26;
const BOTTOM = 28;
/** Left of the client's lane are the times, right of the server's what is open. */
const LEFT = 50;
const RIGHT = 40;
/** Labels that are closer than this would overlap; the first says how many follow. */
const LINE = 14;
/** How far from an arrow a click may be, in pixels. */
const NEAR = 14;
/** From here on the text of a mark stands in the middle. */
const ROOM_BETWEEN = 480;
/** A letter of a label, on average. */
const LETTER = 6.1;
const SLOTS = 4;

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElementTagNameMap[Name]}
 */
function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/**
 * @typedef {object} Span
 * @property {number} from
 * @property {number} to
 */

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/**
 * How thick an arrow is: a pixel for each tenfold size.
 *
 * @param {number} size in bytes
 */
export function thicknessOf(size) {
  return round(Math.min(6, 1 + Math.max(0, Math.log10(size / 30)) * 1.5));
}

/** @param {number} length in milliseconds @returns {number} of a step of the axis */
function stepOf(length) {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];
  return steps.find((step) => length / step <= 8) ?? 60_000;
}

/**
 * @param {object} options
 * @param {string} options.label
 * @param {number} options.height
 * @param {(arrow: Arrow) => void} options.onOpen
 */
export function createPicture({ label, height, onOpen }) {
  const element = draw("svg", {
    class: "wire-picture",
    role: "group",
    "aria-label": label,
  });
  const ground = draw("g", { "aria-hidden": "true" });
  const open = draw("g", { "aria-hidden": "true" });
  const over = draw("g", { "aria-hidden": "true" });
  const arrows = draw("g");
  // What a button is called has to hold what is written in it, and a label is cut to
  // its room. So labels are no part of the buttons.
  const words = draw("g", { "aria-hidden": "true" });
  element.append(ground, open, arrows, words, over);

  /** @type {Map<Arrow, SVGGElement>} */
  const drawn = new Map();
  /** @type {Map<Arrow, SVGTextElement>} */
  const labels = new Map();
  /** @type {Map<Element, Arrow>} */
  const meant = new Map();
  let width = 320;
  let layout = "";
  /** Where the keyboard is. @type {Arrow | null} */
  let current = null;
  /** @type {Arrow | null} */
  let opened = null;
  /** @type {(t: number) => number} */
  let y = () => TOP;

  const bottom = height - BOTTOM;
  const client = LEFT;
  const server = () => width - RIGHT;

  /** @param {Span} span */
  function drawGround({ from, to }) {
    const step = stepOf(to - from);
    const parts = [];
    for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
      const text = `${Number((t / 1000).toFixed(3))} s`;
      parts.push(
        draw("path", {
          class: "wire-grid",
          d: `M${LEFT - 4} ${round(y(t))}H${server()}`,
        }),
        draw("text", { class: "wire-time", x: LEFT - 8, y: round(y(t)) + 3 }, text),
      );
    }
    for (const x of [client, server()])
      parts.push(draw("path", { class: "wire-lane", d: `M${x} ${TOP}V${bottom}` }));
    const ends = { y: 14, class: "wire-end" };
    parts.push(
      draw("text", { ...ends, x: client, "text-anchor": "middle" }, "client"),
      draw("text", { ...ends, x: server(), "text-anchor": "middle" }, "server"),
    );
    ground.replaceChildren(...parts);
  }

  /** @param {readonly Bar[]} bars @param {Span} span @param {number} now */
  function drawOpen(bars, { from, to }, now) {
    const parts = [];
    /** Until when each place beside the lane is taken. @type {number[]} */
    const taken = [];
    for (const bar of bars) {
      const end = Math.min(bar.to ?? now, now);
      if (end < from || bar.from > to) continue;
      const free = taken.findIndex((until) => until <= bar.from);
      const slot = free >= 0 ? free : Math.min(taken.length, SLOTS - 1);
      taken[slot] = end;
      const isOpen = bar.to === null || bar.to > now;
      const begin = y(Math.max(bar.from, from));
      const length = Math.max(2, y(Math.min(end, to)) - begin);
      const rect = draw(
        "rect",
        {
          class: `wire-bar wire-${bar.kind}${isOpen ? " wire-is-open" : ""}`,
          x: server() + 4 + slot * 8,
          y: round(begin),
          width: 6,
          height: round(length),
        },
        draw("title", {}, BARS[bar.kind]),
      );
      parts.push(rect);
    }
    open.replaceChildren(...parts);
  }

  /**
   * @param {readonly Closing[]} closings
   * @param {readonly { t: number, text: string }[]} marks
   * @param {Span} span
   * @param {number} now
   */
  function drawOver(closings, marks, { from, to }, now) {
    /** @param {{ t: number }} it */
    const isSeen = ({ t }) => t >= from && t <= to && t <= now;
    const parts = [];
    for (const { t, by } of closings.filter(isSeen)) {
      const x = by === "client" ? client : server();
      const at = round(y(t));
      parts.push(
        draw(
          "path",
          {
            class: `wire-closing${by ? "" : " wire-unknown"}`,
            d: `M${x - 5} ${at - 5}l10 10m0 -10l-10 10`,
          },
          draw("title", {}, `closed by the ${by ?? "client or the server"}`),
        ),
      );
    }
    /** Where the text of the mark before stands. */
    let before = -Infinity;
    // Labels stand at both ends: between them, where there is room.
    const room = server() - client;
    const place =
      room > ROOM_BETWEEN
        ? { x: client + room / 2, "text-anchor": "middle" }
        : { x: client + 6, "text-anchor": "start" };
    for (const { t, text } of marks.filter(isSeen)) {
      const at = round(y(t));
      const below = Math.max(at + 11, before + 11);
      before = below;
      const most = Math.floor((room - 8) / LETTER);
      parts.push(
        draw("path", { class: "wire-mark", d: `M${client} ${at}H${server()}` }),
        draw(
          "text",
          { class: "wire-mark-text", y: below, ...place },
          shorten(text, most),
        ),
      );
    }
    if (now >= from && now <= to)
      parts.push(
        draw("path", { class: "wire-now", d: `M${LEFT} ${round(y(now))}H${server()}` }),
      );
    over.replaceChildren(...parts);
  }

  /** @param {Arrow} arrow @returns {SVGGElement} */
  function drawArrow(arrow) {
    const { way, t, from, kind, size, isHalf } = arrow;
    const [x1, x2] = way === "up" ? [client, server()] : [server(), client];
    const at = round(y(t));
    const begin = round(y(from));
    const to = way === "up" ? 1 : -1;
    const end = isHalf ? (x1 + x2) / 2 : x2;
    const name = `${formatTime(t)}. ${sayArrow(arrow)}`;
    const g = draw("g", {
      class: `wire-arrow wire-${way} wire-${kind}${isHalf ? " wire-half" : ""}`,
      role: "button",
      tabindex: -1,
      "aria-label": name,
      "aria-expanded": "false",
    });
    const head = isHalf
      ? `M${end - 5} ${at - 5}l10 10m0 -10l-10 10`
      : `M${x2 - to * 8} ${at - 4}L${x2} ${at}L${x2 - to * 8} ${at + 4}`;
    g.append(
      draw("path", {
        class: "wire-line",
        "stroke-width": thicknessOf(size),
        d: `M${x1} ${begin}L${end} ${at}`,
      }),
      draw("path", { class: "wire-head", d: head }),
    );
    const label = draw("text", {
      class: "wire-label",
      x: x1 + to * 12,
      y: begin - 3,
      "text-anchor": way === "up" ? "start" : "end",
    });
    labels.set(arrow, label);
    words.append(label);
    return g;
  }

  /**
   * Writes as many labels as have room, each beside its sender. One that stands for
   * several is that of the first which is a message, and says how many there are
   * beside.
   *
   * @param {readonly Arrow[]} seen
   */
  function writeLabels(seen) {
    const room = Math.floor((server() - client - 24) / LETTER);
    /** @type {Map<Arrow, number>} */
    const counts = new Map();
    /** @type {Map<Arrow, Arrow>} */
    const named = new Map();
    for (const way of ["up", "down"]) {
      /** @type {Arrow | undefined} */
      let last;
      for (const arrow of seen) {
        if (arrow.way !== way) continue;
        if (last && y(arrow.t) - y(last.t) < LINE) {
          counts.set(last, (counts.get(last) ?? 0) + 1);
          if (named.get(last)?.kind === "other") named.set(last, arrow);
        } else {
          named.set(arrow, arrow);
          counts.set(arrow, 0);
          last = arrow;
        }
      }
    }
    for (const arrow of seen) {
      const text = labels.get(arrow);
      if (!text) continue;
      const more = counts.get(arrow);
      const others = more ? ` +${more}` : "";
      const { label, size } = named.get(arrow) ?? arrow;
      const whole = `${label}, ${formatBytes(size)}${others}`;
      // Beside a label of the other lane there is half of the room.
      const isShared = [...counts.keys()].some(
        ({ way, t }) => way !== arrow.way && Math.abs(y(t) - y(arrow.t)) < LINE,
      );
      const most = Math.floor(isShared ? room / 2 - 1 : room);
      const wanted = more === undefined ? "" : shorten(whole, most);
      if (text.textContent !== wanted) text.textContent = wanted;
    }
  }

  /** One arrow can be reached by Tab, the others from it. */
  function updateTabStop() {
    if (!current || !drawn.has(current)) current = [...drawn.keys()].at(-1) ?? null;
    for (const [arrow, g] of drawn) {
      const wanted = arrow === current ? "0" : "-1";
      if (g.getAttribute("tabindex") !== wanted) g.setAttribute("tabindex", wanted);
    }
  }

  /** @param {Arrow | undefined} arrow */
  function focus(arrow) {
    const g = arrow && drawn.get(arrow);
    if (!g) return;
    current = arrow;
    updateTabStop();
    g.focus({ preventScroll: true });
  }

  element.addEventListener("focusin", ({ target }) => {
    const arrow = target instanceof Element ? meant.get(target) : undefined;
    if (!arrow) return;
    current = arrow;
    updateTabStop();
  });

  element.addEventListener("keydown", (event) => {
    const all = [...drawn.keys()];
    const at = current ? all.indexOf(current) : -1;
    const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (event.key === "Enter" || event.key === " ") {
      if (current) onOpen(current);
    } else if (Object.hasOwn(places, event.key)) {
      focus(all[places[/** @type {keyof typeof places} */ (event.key)]]);
    } else {
      return;
    }
    event.preventDefault();
  });

  element.addEventListener("click", (event) => {
    // A screen reader clicks the arrow itself.
    const target =
      event.target instanceof Element ? event.target.closest("g[role]") : null;
    let arrow = target ? meant.get(target) : undefined;
    if (event.detail > 0) {
      const at = event.clientY - element.getBoundingClientRect().top;
      const near = [...drawn.keys()]
        .map((arrow) => ({ arrow, far: Math.abs(y(arrow.t) - at) }))
        .filter(({ far }) => far <= NEAR)
        .sort((one, other) => one.far - other.far);
      arrow = near[0]?.arrow;
    }
    if (!arrow) return;
    focus(arrow);
    onOpen(arrow);
  });

  return {
    element,

    /**
     * @param {Track} track
     * @param {Span} span what is seen
     * @param {number} now
     * @param {readonly { t: number, text: string }[]} [marks]
     */
    draw(track, span, now, marks = []) {
      const { from, to } = span;
      y = (t) => TOP + ((t - from) / (to - from)) * (bottom - TOP);
      const seen = track.arrows.filter(({ t }) => t >= from && t <= to);
      const wanted = `${from} ${to} ${width}`;
      const focused = current && drawn.get(current) === document.activeElement;
      if (layout !== wanted) {
        layout = wanted;
        element.setAttribute("viewBox", `0 0 ${width} ${height}`);
        element.setAttribute("width", String(width));
        element.setAttribute("height", String(height));
        drawGround(span);
        drawn.clear();
        meant.clear();
        labels.clear();
        arrows.replaceChildren();
        words.replaceChildren();
      }
      const isSeen = new Set(seen);
      for (const [arrow, g] of drawn) {
        if (isSeen.has(arrow)) continue;
        g.remove();
        labels.get(arrow)?.remove();
        labels.delete(arrow);
        drawn.delete(arrow);
        meant.delete(g);
      }
      for (const arrow of seen) {
        if (drawn.has(arrow)) continue;
        const g = drawArrow(arrow);
        drawn.set(arrow, g);
        meant.set(g, arrow);
        arrows.append(g);
        if (arrow === opened) this.mark(opened);
      }
      writeLabels(seen);
      drawOpen(track.barsAt(now), span, now);
      drawOver(track.closingsAt(now), marks, span, now);
      updateTabStop();
      // What had the focus was drawn anew, or has left the picture.
      if (focused) focus(current ?? undefined);
    },

    /** @param {number} room in pixels */
    resize(room) {
      width = room;
    },

    /** @param {Arrow | null} arrow the one whose bytes are open */
    mark(arrow) {
      opened = arrow;
      for (const [other, g] of drawn)
        g.setAttribute("aria-expanded", String(other === arrow));
    },

    /** @param {Arrow | undefined} arrow */
    focus,
  };
}

/** @param {string} text @param {number} most */
function shorten(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
