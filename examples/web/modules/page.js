// @ts-check
/**
 * Brings a page of its own to life: each of its panels, by the method's own `panel.js` beside the page.
 */

import { mount } from "../panel.js";

for (const element of document.querySelectorAll(".live-panel")) {
  // The routes lie beside the page, wherever that is: at the root of its own server, or nested.
  if (element instanceof HTMLElement) mount(element, { base: new URL("../", import.meta.url) });
}
