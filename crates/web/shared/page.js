// @ts-check
/**
 * Brings a page of its own to life: each of its panels, by the method's own `panel.js`
 * beside the page.
 */

/**
 * @typedef {{ mount: (element: HTMLElement, options: { base: URL }) => unknown }} Panel
 */

// Relative to the page, which is at the root of its own server or nested in another
// site.
const base = new URL("./", document.baseURI);
/** @type {Panel} */
const panel = await import(new URL("panel.js", base).href);

for (const element of document.querySelectorAll(".live-panel")) {
  if (element instanceof HTMLElement) panel.mount(element, { base });
}
