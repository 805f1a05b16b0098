// @ts-check
/**
 * The live panel of long polling, for a page of its own and for a chapter of the book.
 */

import { createPageCounts, createPanel } from "../shared/panel.js";
import { createLongPolling } from "./long-polling-client.js";

/**
 * Puts a panel into an element, in place of what is there. Nothing is asked before
 * Start.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the `long-polling` server lie.
 *   Relative to the page
 * @param {string} [options.modules] where the page has what needs no server, such as
 *   the wire view
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base, modules }) {
  const absolute = new URL(base, document.baseURI);
  const counts = createPageCounts();
  return createPanel(element, {
    wire: { base: absolute, modules },
    method: createLongPolling(absolute, { onPage: counts.onPage }),
    label: "Live events by long polling",
    counts: counts.element,
  });
}
