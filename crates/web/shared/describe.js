// @ts-check
/**
 * Events and prices in words, for the panels.
 */

/** @typedef {import("./contract.js").LogEvent} LogEvent */

/**
 * Describes an event in one line.
 *
 * @param {LogEvent} event
 * @returns {string} plain text, never markup
 */
export function describeEvent(event) {
  const data = /** @type {any} */ (event.data);
  if (event.kind === "message" && typeof data?.text === "string") {
    return typeof data.from === "string" && data.from
      ? `${data.from}: ${data.text}`
      : data.text;
  }
  if (
    event.kind === "tick" &&
    typeof data?.symbol === "string" &&
    typeof data.price === "number"
  ) {
    return `${data.symbol} ${data.price.toFixed(2)} ${describeChange(data.change)}`;
  }
  return JSON.stringify(event.data) ?? "";
}

/**
 * Where a price went, for its colour.
 *
 * @param {unknown} change
 * @returns {"up" | "down" | "same"}
 */
export function directionOf(change) {
  const by = typeof change === "number" ? change : 0;
  return by > 0 ? "up" : by < 0 ? "down" : "same";
}

/**
 * Describes in a few characters by how much a price has changed.
 *
 * @param {unknown} change
 * @returns {string} plain text
 */
export function describeChange(change) {
  const by = typeof change === "number" ? change : 0;
  // An arrow and a sign beside the number: colour alone would not reach every reader. A
  // narrow line must not break between them, hence the no-break spaces.
  const arrow = by > 0 ? "▲\u00a0+" : by < 0 ? "▼\u00a0−" : "=\u00a0";
  return `${arrow}${Math.abs(by).toFixed(2)}`;
}
