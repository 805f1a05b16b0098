// @ts-check
/**
 * The questions in the chapters. A page has each as text, a list maybe, and a fold with
 * the answer; this adds what a reader answers with.
 *
 * It changes no height of the page before somebody answers (theme/book.css keeps the
 * room), so that nothing moves under a reader.
 */

import {
  markChoice,
  markNumber,
  markOrder,
  readKind,
  readPlaces,
  readRange,
} from "./marking.js";
import { addStyle, button, create, keepKeys } from "./parts.js";
import { browserStorage, Progress } from "./progress.js";

/** @typedef {import("./marking.js").Checkers} Checkers */
/** @typedef {import("./marking.js").Kind} Kind */
/** @typedef {import("./marking.js").Mark} Mark */

/**
 * What a kind of question needs to be answered.
 *
 * @typedef {object} Input
 * @property {Node[]} controls for the line below the question
 * @property {() => Mark | Promise<Mark>} mark
 */

/**
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("questions.css");
  // The book's root: this module lies in assets/modules/book/.
  const { pathname } = new URL("../../../", import.meta.url);
  mountAll(elements, {
    progress: new Progress(browserStorage(), `questions ${pathname}`),
    checkers: async () => (await import("./checkers.js")).CHECKERS,
  });
}

/**
 * @param {readonly HTMLElement[]} elements the questions of a page, in order
 * @param {object} options
 * @param {Progress} options.progress
 * @param {() => Promise<Checkers>} options.checkers who reads what readers write. Asked
 *   when it is needed
 */
export function mountAll(elements, { progress, checkers }) {
  const ids = elements.map(({ id }) => id);
  const page = { progress, checkers, ids, refresh: () => {} };
  /** @type {(() => void)[]} */
  const refreshers = [];
  page.refresh = () => refreshers.forEach((refresh) => refresh());
  for (const [at, element] of elements.entries()) {
    try {
      refreshers.push(mountOne(element, at, page));
      element.dataset.state = "ready";
    } catch (error) {
      // The fold is there as before.
      console.error(`The question ${element.id} cannot be answered:`, error);
      element.dataset.state = "failed";
    }
  }
  page.refresh();
}

/**
 * @typedef {object} Page
 * @property {Progress} progress
 * @property {() => Promise<Checkers>} checkers
 * @property {string[]} ids
 * @property {() => void} refresh shows the progress anew, in all questions
 */

/**
 * @param {HTMLElement} element
 * @param {number} at
 * @param {Page} page
 * @returns {() => void} shows its state
 */
function mountOne(element, at, page) {
  const kind = readKind(element.dataset.kind);
  const fold = element instanceof HTMLDetailsElement ? element : findFold(element);
  const summary = fold.querySelector("summary");
  if (!summary) throw new TypeError("no summary");
  keepKeys(element);
  const place = create("span", { class: "q-place" });
  const count = create("span");
  const after = createAfter(count, page);
  // A long summary would break into one line more by it.
  if (kind === "open") after.prepend(place);
  else summary.append(place);
  // Not at "toggle": a printer opens folds, and so does a link into one.
  summary.addEventListener("click", () => {
    if (kind !== "open") page.progress.set(element.id, "seen");
    page.refresh();
  });

  if (kind === "open") after.prepend(createOpen(element.id, page));
  else fold.before(createLine(element, fold, page, createInput(kind, element, page)));
  fold.after(after);

  return () => {
    const state = page.progress.get(element.id);
    element.dataset.mark = state ?? "";
    const total = page.ids.length;
    const word = state ? WORDS[state] : "";
    const name = kind === "open" ? "Question" : " · question";
    place.textContent = `${name} ${at + 1} of ${total}${word}`;
    const done = page.progress.count(page.ids);
    count.textContent = `${done} of ${total} on this page answered.`;
  };
}

const WORDS = { right: ", answered", seen: ", looked up", tried: "" };

/**
 * @param {HTMLElement} element
 * @returns {HTMLDetailsElement}
 */
function findFold(element) {
  const fold = element.querySelector("details");
  if (!fold) throw new TypeError("no fold with an answer");
  return fold;
}

/**
 * @param {Kind} kind
 * @param {HTMLElement} element
 * @param {Page} page
 * @returns {Input}
 */
function createInput(kind, element, page) {
  const answer = element.dataset.answer ?? "";
  if (kind === "number") return createNumber(answer, element.dataset.unit ?? "");
  if (kind === "bytes") return createBytes(element, answer, page);
  const list = element.querySelector(":scope > ol");
  if (!(list instanceof HTMLOListElement)) throw new TypeError("no list");
  const places = readPlaces(answer, list.children.length);
  if (kind === "order") return createOrder(list, places);
  return createChoice(list, element.id, places, kind === "several");
}

/**
 * The line below a question: its controls, the button, and what became of it.
 *
 * @param {HTMLElement} element
 * @param {HTMLDetailsElement} fold
 * @param {Page} page
 * @param {Input} input
 */
function createLine(element, fold, page, { controls, mark }) {
  const question = element.querySelector(":scope > p");
  if (question) {
    question.id ||= `${element.id}-text`;
    element.setAttribute("role", "group");
    element.setAttribute("aria-labelledby", question.id);
  }
  const said = create("span", { class: "q-said", role: "status" });
  const check = async () => {
    /** @type {Mark} */
    let marked;
    try {
      marked = await mark();
    } catch (error) {
      // What would read it did not load.
      console.error(`${element.id} was not checked:`, error);
      said.textContent = "This could not be checked. Open the answer to compare.";
      return;
    }
    const { isRight, note, by } = marked;
    page.progress.set(element.id, isRight ? "right" : "tried");
    element.dataset.last = isRight ? "right" : "wrong";
    const word = isRight ? "Right." : "Not yet.";
    const next = isRight ? "" : " Try again, or open the answer.";
    const words = [word, note].filter(Boolean).join(" ") + next;
    said.replaceChildren(...withCode(words));
    if (by) said.append(" ", create("span", { class: "q-by" }, ...withCode(by)));
    if (isRight) fold.open = true;
    page.refresh();
  };
  const line = create(
    "div",
    { class: "q-line" },
    ...controls,
    button("Check", check),
    said,
  );
  for (const control of line.querySelectorAll("input")) {
    control.addEventListener("keydown", (event) => {
      if (event.key === "Enter") check();
    });
  }
  return line;
}

/**
 * A sentence, in which code stands between backticks.
 *
 * @param {string} text
 */
function withCode(text) {
  const parts = text.split("`");
  // A backtick without another is one.
  if (parts.length % 2 === 0) return [text];
  return parts.map((part, at) => (at % 2 ? create("code", {}, part) : part));
}

/**
 * @param {HTMLOListElement} list
 * @param {string} name
 * @param {number[]} wanted
 * @param {boolean} isSeveral
 * @returns {Input}
 */
function createChoice(list, name, wanted, isSeveral) {
  const type = isSeveral ? "checkbox" : "radio";
  const inputs = Array.from(list.children, (item) => {
    const input = create("input", { type, name });
    const label = create("label", {}, input, " ", ...item.childNodes);
    item.append(label);
    return input;
  });
  return {
    controls: [],
    mark: () => {
      const given = inputs.flatMap((input, at) => (input.checked ? [at + 1] : []));
      if (given.length === 0) return { isRight: false, note: "Nothing is chosen." };
      return markChoice(given, wanted);
    },
  };
}

/**
 * @param {HTMLOListElement} list
 * @param {number[]} wanted
 * @returns {Input}
 */
function createOrder(list, wanted) {
  const printed = Array.from(list.children);
  const moved = create("span", { class: "q-moved", role: "status" });
  for (const item of printed) {
    const text = item.textContent?.trim() ?? "";
    /** @param {-1 | 1} by */
    const move = (by) => {
      const other = by < 0 ? item.previousElementSibling : item.nextElementSibling;
      if (by < 0) other?.before(item);
      else other?.after(item);
      const at = Array.from(list.children).indexOf(item) + 1;
      moved.textContent = `Now ${at} of ${printed.length}.`;
    };
    const up = button("↑", () => (move(-1), up.focus()));
    const down = button("↓", () => (move(1), down.focus()));
    up.setAttribute("aria-label", `Move up: ${text}`);
    down.setAttribute("aria-label", `Move down: ${text}`);
    item.append(create("span", { class: "q-move" }, up, down));
  }
  return {
    controls: [moved],
    mark: () =>
      markOrder(
        Array.from(list.children, (item) => printed.indexOf(item) + 1),
        wanted,
      ),
  };
}

/**
 * @param {string} answer
 * @param {string} unit
 * @returns {Input}
 */
function createNumber(answer, unit) {
  const range = readRange(answer);
  const input = create("input", {
    class: "q-number",
    inputmode: "decimal",
    maxlength: 20,
    autocomplete: "off",
    "aria-label": unit ? `Your answer, in ${unit}` : "Your answer",
  });
  return {
    controls: [input, create("span", {}, unit)],
    mark: () => markNumber(input.value, range),
  };
}

/**
 * @param {HTMLElement} element
 * @param {string} answer
 * @param {Page} page
 * @returns {Input}
 */
function createBytes(element, answer, page) {
  const wanted = JSON.parse(answer);
  const name = element.dataset.checker ?? "";
  const text = create("textarea", {
    class: "q-bytes",
    rows: 4,
    maxlength: 4000,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-label": "Your answer",
  });
  return {
    controls: [text],
    mark: async () => {
      const { by, check } = (await page.checkers())[name];
      const marked = await check(text.value, wanted);
      return { ...marked, by: `Marked by the Rust code of ${by}.` };
    },
  };
}

/**
 * @param {string} id
 * @param {Page} page
 */
function createOpen(id, page) {
  const had = button("I had this", () => {
    page.progress.set(id, "right");
    page.refresh();
  });
  const not = button("Not quite", () => {
    page.progress.set(id, "seen");
    page.refresh();
  });
  return create("div", { class: "q-line" }, had, not);
}

/**
 * What stands below an open fold. Outside of it: on paper the answer is its last part.
 *
 * @param {HTMLElement} count
 * @param {Page} page
 */
function createAfter(count, page) {
  const forget = button("Forget it", () => {
    page.progress.forget();
    page.refresh();
  });
  const kept = " What you have answered is kept in this browser, and sent nowhere. ";
  return create(
    "div",
    { class: "q-after" },
    create("p", {}, count, kept, forget),
  );
}
