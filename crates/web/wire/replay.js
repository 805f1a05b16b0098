// @ts-check
/**
 * Recordings on a page of the book, with nothing live behind them.
 *
 * `data-recordings` names them, with spaces between. They are shown side by side on one
 * time axis; with `data-choice`, which is the label of the choice, one at a time.
 * `data-label` says what they are of.
 */

import { createSection } from "../shared/panel.js";
import { create, keepKeys, select } from "../book/parts.js";
import { readRecord } from "./format.js";
import { createWireView } from "./view.js";

/** @typedef {import("./format.js").Recording} Recording */

/** Where a recording's pieces were written down. */
const PLACES = {
  tap: "at the server's edge",
  worker: "in the service worker",
  client: "at the client",
};

/**
 * Puts recordings into an element, below what is there.
 *
 * @param {HTMLElement} element
 * @returns {Promise<{ destroy: () => void }>} rejects where one does not load
 */
export async function mount(element) {
  const { recordings = "", choice, label = "Recording" } = element.dataset;
  const all = await Promise.all(recordings.split(/\s+/).filter(Boolean).map(load));
  const root = createSection(label, "");
  const place = create("div", { class: "wire-replay" });
  /** @type {{ destroy: () => void } | undefined} */
  let view;

  /** @param {Recording[]} shown */
  function show(shown) {
    view?.destroy();
    const texts = describeAll(shown).map((text) =>
      create("p", { class: "wire-source" }, text),
    );
    place.replaceChildren(...texts);
    const sources = shown.map((source) => ({ source, label: nameOf(source, shown) }));
    // Another name than that of the section around it.
    view = createWireView(place, { sources, label: `${label}: the wire` });
  }

  if (choice) {
    const choices = /** @type {[string, string][]} */ (
      all.map((recording, place) => [String(place), nameOf(recording, all)])
    );
    const control = select(choices);
    control.dataset.role = "wire-choice";
    control.addEventListener("change", () => show([all[Number(control.value)]]));
    keepKeys(control);
    root.append(create("label", { class: "lp-choice" }, `${choice} `, control));
  }
  root.append(place);
  element.querySelector(".in-page-start")?.remove();
  element.append(root);
  show(choice ? all.slice(0, 1) : all);
  return {
    destroy() {
      view?.destroy();
      root.remove();
    },
  };
}

/**
 * @param {string} name of a file among the book's recordings
 * @returns {Promise<Recording>}
 */
async function load(name) {
  // From the modules to the book's root, which is above each of its pages elsewhere.
  const url = new URL(`../../../recordings/${name}.json`, import.meta.url);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${name} does not load: ${response.status}.`);
  const record = readRecord(await response.json());
  if (record?.source !== "recording") throw new Error(`${name} is no recording.`);
  return /** @type {Recording} */ (record);
}

/**
 * What they are, in a few sentences: first what each is alone, then what all are.
 *
 * @param {Recording[]} all
 * @returns {string[]}
 */
export function describeAll(all) {
  if (all.length === 1) return [describe(all[0])];
  const sentences = all.map((recording) =>
    describe(recording).split(/(?<=\.) (?=[A-Z])/),
  );
  const isCommon = (/** @type {string} */ sentence) =>
    sentences.every((of) => of.includes(sentence));
  const own = sentences.map((of, place) => {
    const alone = of.filter((sentence) => !isCommon(sentence));
    return [`${nameOf(all[place], all)}:`, ...alone].join(" ");
  });
  const common = sentences[0].filter(isCommon).join(" ");
  return common ? [...own, common] : own;
}

/**
 * What it is, in a sentence or two.
 *
 * @param {Recording} recording
 */
export function describe({ what, engine, date, of }) {
  const sentence = what.replace(/[.\s]*$/, ".");
  const where = `written down ${PLACES[of]}`;
  const by = `${engine.name} ${engine.version}`;
  return `${sentence} A recording of ${date}, with ${by}, ${where}.`;
}

/**
 * @param {Recording} recording
 * @param {Recording[]} all
 */
function nameOf({ name, engine, what }, all) {
  if (name) return name;
  if (all.length === 1) return "The wire";
  const { size } = new Set(all.map((other) => other.engine.name));
  return size === all.length ? `${engine.name} ${engine.version}` : what;
}
