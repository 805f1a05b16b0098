// @ts-check
/**
 * The live panels of polling, for a page of their own and for a chapter of the book.
 */

import { createPageCounts, createPanel } from "../shared/panel.js";
import { createPolling } from "./polling-client.js";
import { createPricesPanel } from "./prices.js";
import { createIntervalChoice, Rhythm } from "./rhythm.js";

/**
 * Puts a panel into an element, in place of what is there. Nothing is asked before
 * Start.
 *
 * `data-view="state"` on the element asks for the newest prices; without it the panel
 * shows the events of the log.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the `polling` server lie.
 *   Relative to the page
 * @param {string} [options.modules] where the page has what needs no server, such as
 *   the wire view
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base, modules }) {
  const absolute = new URL(base, document.baseURI);
  if (element.dataset.view === "state")
    return createPricesPanel(element, { base: absolute });
  const rhythm = new Rhythm();
  const counts = createPageCounts();
  return createPanel(element, {
    wire: { base: absolute, modules },
    method: createPolling(absolute, { rhythm, onPage: counts.onPage }),
    label: "Live events by polling",
    controls: createIntervalChoice(rhythm),
    counts: counts.element,
    // It holds no connection that it could give back, and a hidden page asks less often
    // by itself.
    restsWhenHidden: false,
  });
}
