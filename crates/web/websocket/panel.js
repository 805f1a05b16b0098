// @ts-check
/**
 * The live panels of WebSocket, for a page of their own and for a chapter of the book.
 */

import { createPanel } from "../shared/panel.js";
import { createWebSocket } from "./websocket-client.js";
import { createWhiteboard } from "./whiteboard.js";

/**
 * Puts a panel into an element, in place of what is there. Nothing connects before
 * Start.
 *
 * `data-view="whiteboard"` on the element asks for the whiteboard; without it the panel
 * shows the events of the log.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the `websocket` server lie.
 *   Relative to the page
 * @param {typeof WebSocket} [options.Socket] what to connect with, where that is not
 *   the browser's own
 * @param {string} [options.modules] where the page has what needs no server, such as
 *   the wire view
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base, modules, Socket }) {
  const absolute = new URL(base, document.baseURI);
  if (element.dataset.view === "whiteboard")
    return createWhiteboard(element, { base: absolute, Socket });
  return createPanel(element, {
    wire: { base: absolute, modules },
    method: createWebSocket(absolute, { Socket }),
    label: "Live events over WebSocket",
  });
}
