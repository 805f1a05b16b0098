// @ts-check
/**
 * The live panels of Server-Sent Events, for a page of their own and for a chapter of
 * the book.
 */

import { createPanel } from "../shared/panel.js";
import { createGenerationPanel } from "./generations.js";
import { createSse } from "./sse-client.js";
import { createTokenPanel } from "./tokens.js";

/**
 * Puts a panel into an element, in place of what is there. Nothing connects before
 * Start.
 *
 * `data-view="tokens"` on the element asks for the text that is generated token by
 * token, and `data-view="generations"` for one that outlives the page; without it the
 * panel shows the events of the log.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the `sse` server lie. Relative
 *   to the page
 * @param {string} [options.modules] where the page has what needs no server, such as
 *   the wire view
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base, modules }) {
  const absolute = new URL(base, document.baseURI);
  if (element.dataset.view === "tokens")
    return createTokenPanel(element, { base: absolute });
  if (element.dataset.view === "generations")
    return createGenerationPanel(element, { base: absolute });
  return createPanel(element, {
    wire: { base: absolute, modules },
    method: createSse(absolute),
    label: "Live events over Server-Sent Events",
  });
}
