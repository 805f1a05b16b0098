// @ts-check
/**
 * What the machines and the questions on the book's own pages are built with.
 *
 * The loader calls `mount` of their modules with the elements of a page. What stands in
 * such an element before is the same in words, for a page without script and for paper,
 * and stays in the page.
 */

/**
 * Makes an element. What is given as text never becomes markup.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean>} [attributes] `true` is one without
 *   a value; those that are `false` are left out
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function create(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false) continue;
    element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/**
 * Style sheets that are loaded or being loaded.
 *
 * @type {Map<string, Promise<unknown>>}
 */
const styles = new Map();

/**
 * Loads a style sheet of this folder, once. What is shown before it has come would move
 * when it does, so wait for it. One that does not load leaves the page plain, and its
 * controls at work.
 *
 * @param {string} name
 * @returns {Promise<unknown>}
 */
export function addStyle(name) {
  const href = new URL(name, import.meta.url).href;
  let loaded = styles.get(href);
  if (!loaded) {
    const link = create("link", { rel: "stylesheet", href });
    loaded = new Promise((resolve) => {
      link.addEventListener("load", resolve);
      link.addEventListener("error", resolve);
    });
    styles.set(href, loaded);
    document.head.append(link);
  }
  return loaded;
}

/**
 * Keeps all keys that are pressed inside an element from mdBook, which turns the page
 * at arrow keys and opens its search at a letter.
 *
 * @param {HTMLElement} element
 */
export function keepKeys(element) {
  element.addEventListener("keydown", (event) => event.stopPropagation());
}

/**
 * Puts an empty machine into its place on the page, below its worked example.
 *
 * @param {HTMLElement} element
 * @param {string} label what the machine does
 * @returns {HTMLElement} where its controls go
 */
export function createMachine(element, label) {
  const root = create(
    "section",
    { class: "mc", "aria-label": label },
    create("p", { class: "mc-title" }, label),
  );
  keepKeys(root);
  element.append(root);
  element.dataset.state = "ready";
  return root;
}

let fields = 0;

/**
 * A control with its label above it, and maybe a hint below.
 *
 * @param {string} label
 * @param {HTMLElement} control
 * @param {string} [hint]
 * @returns {HTMLElement}
 */
export function field(label, control, hint) {
  fields += 1;
  control.id ||= `mc-field-${fields}`;
  const box = create(
    "div",
    { class: "mc-field" },
    create("label", { for: control.id }, label),
    control,
  );
  if (hint) {
    const id = `mc-hint-${fields}`;
    control.setAttribute("aria-describedby", id);
    box.append(create("span", { class: "mc-hint", id }, hint));
  }
  return box;
}

/**
 * A select with these choices; the first is chosen.
 *
 * @param {readonly (readonly [value: string, text: string])[]} choices
 */
export function select(choices) {
  const control = create("select");
  for (const [value, text] of choices) control.add(new Option(text, value));
  return control;
}

/**
 * A button that calls a function.
 *
 * @param {string} text
 * @param {() => void} onClick
 */
export function button(text, onClick) {
  const control = create("button", { type: "button" }, text);
  control.addEventListener("click", onClick);
  return control;
}

/**
 * A line that a screen reader reads out when it changes.
 *
 * It is written when the reader has finished with a control, and not at each key.
 */
export function createStatus() {
  return create("p", { class: "mc-status", role: "status" });
}
