// @ts-check
/**
 * The lost wake-up: a reader and a publisher, whose steps a reader of the book puts in
 * an order.
 *
 * It is the program `lost_wake_up`, in which `Notify` wakes all who have registered,
 * and keeps nothing for later. That program runs in each of these orders as well, and
 * comes to the same ends.
 */

/**
 * A step of one of the two: the reader looks into the log, registers for the wake-up,
 * and sleeps if its look has found nothing; the publisher appends, and wakes.
 *
 * @typedef {"look" | "register" | "sleep" | "append" | "wake"} Step
 */

/**
 * How the reader gets its event: `found` by its look, `woken` while it sleeps or
 * before, or not at all: it sleeps `for-ever`, as far as this event is concerned.
 *
 * @typedef {"found" | "woken" | "for-ever"} End
 */

/** @typedef {"look-first" | "register-first"} Code */

/** The reader's steps. @type {Record<Code, readonly Step[]>} */
export const READERS = {
  "look-first": ["look", "register", "sleep"],
  "register-first": ["register", "look", "sleep"],
};

/** @type {readonly Step[]} */
export const PUBLISHER = ["append", "wake"];

/**
 * Where the publisher's two steps can go: how many of the reader's come before each.
 *
 * @type {readonly (readonly [append: number, wake: number])[]}
 */
export const PLACES = [0, 1, 2, 3].flatMap((append) =>
  [0, 1, 2, 3]
    .filter((wake) => wake >= append)
    .map((wake) => /** @type {const} */ ([append, wake])),
);

/**
 * The steps of both in one order.
 *
 * @param {Code} code
 * @param {readonly [append: number, wake: number]} places
 * @returns {Step[]}
 */
export function interleave(code, [append, wake]) {
  /** @type {Step[]} */
  const steps = [];
  READERS[code].forEach((step, index) => {
    if (append === index) steps.push("append");
    if (wake === index) steps.push("wake");
    steps.push(step);
  });
  if (append === 3) steps.push("append");
  if (wake === 3) steps.push("wake");
  return steps;
}

/**
 * What comes of an order.
 *
 * @param {readonly Step[]} steps
 * @returns {End}
 */
export function run(steps) {
  let isThere = false;
  let hasFound = false;
  let isRegistered = false;
  let isWoken = false;
  for (const step of steps) {
    if (step === "append") isThere = true;
    if (step === "look") hasFound = isThere;
    if (step === "register") isRegistered = true;
    // To those who have registered, and to nobody later.
    if (step === "wake" && isRegistered) isWoken = true;
  }
  if (hasFound) return "found";
  return isWoken ? "woken" : "for-ever";
}
