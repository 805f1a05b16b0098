// @ts-check
/** A machine that reads an event stream, as far as it has arrived. */

import {
  addStyle,
  button,
  create,
  createMachine,
  createStatus,
  field,
} from "./parts.js";
import { bytesOf, CR_SIGN, EXERCISE, lineEnds, readStream } from "./stream.js";

/** @typedef {import("./stream.js").Line} Line */
/** @typedef {import("./stream.js").Reading} Reading */

const FIRST = [
  "id: k3f9x2.17",
  "event: hello",
  "retry: 1730",
  'data: {"cursor":"k3f9x2.17","every":15000}',
  "",
  "id: k3f9x2.18",
  "data: one",
  "data: two",
  "",
  ": a comment",
  "",
  "data: cut off",
].join("\n");

/**
 * `data-view="exercise"` on an element takes the stream of the exercise, before its
 * first line.
 *
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("machine.css");
  for (const element of elements) mountOne(element);
}

/** @param {HTMLElement} element */
function mountOne(element) {
  const isExercise = element.dataset.view === "exercise";
  const title = isExercise ? "Read it line by line" : "Read an event stream";
  const root = createMachine(element, title);

  const text = create("textarea", {
    rows: isExercise ? 18 : 12,
    maxlength: 4000,
    spellcheck: "false",
    autocomplete: "off",
  });
  text.value = isExercise ? EXERCISE : FIRST;
  const arrived = create("input", { type: "range", min: 0, step: 1 });
  const lines = create("ol", { class: "mc-lines" });
  const events = create("div", { class: "mc-output" });
  const status = createStatus();

  let bytes = bytesOf(text.value);

  /** @param {number} count how many bytes have arrived */
  function show(count) {
    arrived.max = String(bytes.length);
    arrived.value = String(count);
    arrived.setAttribute("aria-valuetext", `${count} of ${bytes.length} bytes`);
    const read = readStream(bytes.subarray(0, count));
    lines.replaceChildren(...read.lines.map(showLine));
    events.replaceChildren(...showEvents(read));
  }

  /** Says what the last line has done. */
  function report() {
    const count = Number(arrived.value);
    const { lines, events: seen } = readStream(bytes.subarray(0, count));
    const last = lines.at(-1);
    const did = last ? `Line ${lines.length} ${last.effect}.` : "Nothing has arrived.";
    const number = seen.length === 1 ? "1 event" : `${seen.length} events`;
    status.textContent = `${did} ${number} so far.`;
  }

  const next = button("Next line", () => {
    const here = Number(arrived.value);
    show(lineEnds(bytes).find((end) => end > here) ?? bytes.length);
    report();
  });
  const all = button("All of it", () => {
    show(bytes.length);
    report();
  });
  const over = button("From the beginning", () => {
    show(0);
    report();
  });
  const cr = button("Insert a CR", () => {
    const { selectionStart, selectionEnd } = text;
    text.setRangeText(CR_SIGN, selectionStart, selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
    text.focus();
  });

  const hint = `A line end is LF here. ${CR_SIGN} stands for a CR.`;
  root.append(
    field("What the server writes", text, hint),
    create("div", { class: "mc-bar" }, next, all, over, cr),
    field("Bytes that have arrived", arrived),
    status,
    lines,
    events,
  );
  text.addEventListener("input", () => {
    bytes = bytesOf(text.value);
    show(bytes.length);
  });
  text.addEventListener("change", report);
  arrived.addEventListener("input", () => show(Number(arrived.value)));
  arrived.addEventListener("change", report);
  show(isExercise ? 0 : bytes.length);
  report();
}

/** @param {Line} line */
function showLine({ text, end, effect, event }) {
  return create(
    "li",
    event ? { "data-event": "true" } : {},
    create("code", {}, text || " "),
    create("small", {}, end && ` ${end} `),
    create("span", {}, effect),
  );
}

/**
 * @param {Reading} reading
 * @returns {HTMLElement[]}
 */
function showEvents({ events, lastEventId, retry, dropped }) {
  const cell = (/** @type {string} */ text) =>
    create("td", {}, create("code", {}, text === "" ? '""' : text));
  const rows = events.map(({ type, data, lastEventId: id }) =>
    create("tr", {}, cell(type), cell(data), cell(id)),
  );
  const heads = ["type", "data", "lastEventId"].map((name) =>
    create("th", { scope: "col" }, name),
  );
  const shown = rows.length > 0 ? rows : [noEvent()];
  const table = create(
    "table",
    { class: "mc-events" },
    create("caption", {}, "What a browser dispatches"),
    create("thead", {}, create("tr", {}, ...heads)),
    create("tbody", {}, ...shown),
  );
  const fact = (/** @type {string} */ name, /** @type {string} */ value) =>
    create(
      "div",
      {},
      create("dt", {}, name),
      create("dd", {}, create("code", {}, value)),
    );
  const left = dropped.trim() ? JSON.stringify(dropped) : "nothing";
  const facts = create(
    "dl",
    { class: "mc-facts" },
    fact("Last-Event-ID of the next request", lastEventId || "none"),
    fact("Time to come back", retry === null ? "the browser's own" : `${retry} ms`),
    fact("Dropped, if it ends here", left),
  );
  return [table, facts];
}

function noEvent() {
  return create("tr", {}, create("td", { colspan: 3 }, "nothing yet"));
}
