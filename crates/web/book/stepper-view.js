// @ts-check
/** A machine in which a reader orders the steps of two threads, and sees who sleeps. */

import {
  addStyle,
  create,
  createMachine,
  createStatus,
  field,
  select,
} from "./parts.js";
import { interleave, PLACES, PUBLISHER, READERS, run } from "./stepper.js";

/** @typedef {import("./stepper.js").Code} Code */
/** @typedef {import("./stepper.js").End} End */
/** @typedef {import("./stepper.js").Step} Step */

/** @type {readonly (readonly [Code, string])[]} */
const CODES = [
  ["look-first", "Wrong: looks, then registers"],
  ["register-first", "Right: registers, then looks"],
];

/** @type {Record<Step, string>} */
const STEPS = {
  look: "looks into the log",
  register: "registers for the wake-up",
  sleep: "sleeps, if it has found nothing",
  append: "appends the event",
  wake: "wakes all who have registered",
};

/** @type {Record<Step, string>} */
const SHORT = {
  look: "look",
  register: "register",
  sleep: "sleep",
  append: "append",
  wake: "wake",
};

/** @type {Record<End, [how: "good" | "bad", says: string]>} */
const ENDS = {
  found: ["good", "Found by the look: the event was in the log by then."],
  woken: ["good", "Woken: the reader had registered before the wake-up."],
  "for-ever": [
    "bad",
    "Sleeps for ever, beside its event: the look came too early, and the wake-up " +
      "found nobody registered.",
  ],
};

/** @type {Record<End, string>} */
const SHORT_ENDS = {
  found: "found by the look",
  woken: "woken",
  "for-ever": "sleeps for ever",
};

/**
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("machine.css");
  for (const element of elements) mountOne(element);
}

/** @param {HTMLElement} element */
function mountOne(element) {
  const root = createMachine(element, "In which order do two threads run?");
  const code = select(CODES);
  const status = createStatus();
  const now = create("div", { class: "mc-output" });
  const all = create("div", { class: "mc-output" });
  /** Where the publisher's steps are: how many of the reader's come before each. */
  let places = PLACES[0];

  const chosen = () => /** @type {Code} */ (code.value);

  /**
   * A button that stays where it is and keeps the focus while the rows move.
   *
   * @param {Step} step
   * @param {-1 | 1} by
   */
  function mover(step, by) {
    const which = PUBLISHER.indexOf(step);
    const name = by < 0 ? `↑ ${SHORT[step]} earlier` : `↓ ${SHORT[step]} later`;
    const control = create("button", { type: "button" }, name);
    control.addEventListener("click", () => {
      const moved = moveTo(which, by);
      if (moved) show(moved);
    });
    const update = () => setUsable(control, moveTo(which, by) !== null);
    return { control, update };
  }

  /**
   * @param {number} which of the publisher's steps
   * @param {number} by
   * @returns {readonly [number, number] | null} `null` where it cannot go
   */
  function moveTo(which, by) {
    const [append, wake] = places;
    const [a, w] = which === 0 ? [append + by, wake] : [append, wake + by];
    return PLACES.find(([append, wake]) => append === a && wake === w) ?? null;
  }

  const movers = [
    mover("append", -1),
    mover("append", 1),
    mover("wake", -1),
    mover("wake", 1),
  ];

  /** @param {readonly [append: number, wake: number]} next */
  function show(next) {
    places = next;
    const steps = interleave(chosen(), places);
    const [how, says] = ENDS[run(steps)];
    status.dataset.how = how;
    status.textContent = says;
    now.replaceChildren(showSteps(steps));
    all.replaceChildren(showAll(chosen(), places, show));
    for (const { update } of movers) update();
  }

  root.append(
    field("The reader's code", code),
    create("div", { class: "mc-bar" }, ...movers.map(({ control }) => control)),
    now,
    status,
    all,
  );
  code.addEventListener("change", () => show(places));
  show(places);
}

/**
 * A button that gets `disabled` while it has the focus loses it.
 *
 * @param {HTMLElement} control
 * @param {boolean} isUsable
 */
function setUsable(control, isUsable) {
  control.setAttribute("aria-disabled", String(!isUsable));
}

/** @param {readonly Step[]} steps */
function showSteps(steps) {
  const rows = steps.map((step, index) => {
    const isPublisher = PUBLISHER.includes(step);
    const text = create("td", { "data-step": step }, STEPS[step]);
    const none = create("td", {});
    return create(
      "tr",
      {},
      create("th", { scope: "row" }, String(index + 1)),
      ...(isPublisher ? [none, text] : [text, none]),
    );
  });
  const head = ["Step", "Reader", "Publisher"].map((name) =>
    create("th", { scope: "col" }, name),
  );
  return create(
    "table",
    { class: "mc-steps" },
    create("caption", {}, "This order"),
    create("thead", {}, create("tr", {}, ...head)),
    create("tbody", {}, ...rows),
  );
}

/**
 * @param {Code} code
 * @param {readonly [number, number]} places
 * @param {(places: readonly [number, number]) => void} show
 */
function showAll(code, places, show) {
  const ends = PLACES.map((places) => run(interleave(code, places)));
  const fatal = ends.filter((end) => end === "for-ever").length;
  const items = PLACES.map((other, index) => {
    const steps = interleave(code, other);
    const isThis = other === places;
    const item = create("li", { "data-end": ends[index] });
    const control = create(
      "button",
      { type: "button", "aria-pressed": isThis },
      `${steps.map((step) => SHORT[step]).join(", ")}: ${SHORT_ENDS[ends[index]]}`,
    );
    control.addEventListener("click", () => {
      show(other);
      // The list was drawn anew, and the keyboard's place went with it.
      const buttons = document.querySelectorAll(".mc-orders button");
      /** @type {HTMLElement | undefined} */ (buttons[index])?.focus();
    });
    item.append(control);
    return item;
  });
  const count = fatal === 0 ? "None of them is fatal" : `${fatal} of them is fatal`;
  return create(
    "div",
    {},
    create("p", { class: "mc-count" }, `All ${PLACES.length} orders. ${count}.`),
    create("ol", { class: "mc-orders" }, ...items),
  );
}
