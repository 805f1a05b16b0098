// @ts-check
/**
 * Recordings on a page of the book, with nothing live behind them.
 *
 * `data-recording` names one, relative to the page, and `data-recordings` several with
 * spaces between, which are shown side by side. `data-label` says what they are of.
 */

import { createSection } from "../shared/panel.js";
import { create } from "../book/parts.js";
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
  const {
    recording = "",
    recordings = recording,
    label = "Recording",
  } = element.dataset;
  const names = recordings.split(/\s+/).filter(Boolean);
  const all = await Promise.all(names.map(load));
  const root = createSection(label, "");
  for (const recording of all)
    root.append(create("p", { class: "wire-source" }, describe(recording)));
  const sources = all.map((source) => ({ source, label: nameOf(source, all) }));
  const view = createWireView(root, { sources, label });
  element.querySelector(".in-page-start")?.remove();
  element.append(root);
  return {
    destroy() {
      view.destroy();
      root.remove();
    },
  };
}

/**
 * @param {string} name
 * @returns {Promise<Recording>}
 */
async function load(name) {
  const response = await fetch(new URL(name, document.baseURI));
  if (!response.ok) throw new Error(`${name} does not load: ${response.status}.`);
  const record = readRecord(await response.json());
  if (record?.source !== "recording") throw new Error(`${name} is no recording.`);
  return /** @type {Recording} */ (record);
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
  return `A recording. ${sentence} ${by}, ${date}, ${where}.`;
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
