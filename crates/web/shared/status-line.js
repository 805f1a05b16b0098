// @ts-check
/**
 * One line that shows how a connection is, to the eye and to a screen reader.
 */

/** @typedef {import("./reconnect.js").State} State */

/**
 * A shape for each state, so that none is shown by colour alone.
 *
 * @type {Record<State, string>}
 */
const SHAPES = {
  idle: "○",
  connecting: "◔",
  open: "●",
  waiting: "◑",
  ended: "■",
  failed: "✕",
};

/**
 * Makes a status line.
 *
 * @param {string} text what it shows at first, in the state `idle`
 * @returns {{ element: HTMLElement, set: (state: State, text: string) => void }}
 */
export function createStatusLine(text) {
  const element = document.createElement("p");
  element.className = "lp-status";
  element.dataset.role = "status";
  // `status` is a polite live region: it is read at the next pause, and never
  // interrupts.
  element.setAttribute("role", "status");

  const shape = document.createElement("span");
  shape.className = "lp-shape";
  shape.setAttribute("aria-hidden", "true");
  const words = document.createElement("span");
  element.append(shape, words);

  /**
   * @param {State} state
   * @param {string} next
   */
  const set = (state, next) => {
    element.dataset.state = state;
    shape.textContent = SHAPES[state];
    // The same words set again would be read again.
    if (words.textContent !== next) words.textContent = next;
  };
  set("idle", text);
  return { element, set };
}
