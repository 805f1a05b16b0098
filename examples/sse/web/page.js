// @ts-check
import { mount } from "./panel.js";

for (const element of document.querySelectorAll(".live-panel")) {
  // The routes lie beside this page, wherever that is: at the root of its own server, or nested.
  if (element instanceof HTMLElement) mount(element, { base: new URL("./", import.meta.url) });
}
