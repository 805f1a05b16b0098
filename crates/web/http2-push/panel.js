// @ts-check
/**
 * The panel of HTTP/2 push. A browser takes no pushes, so a client on the server's side
 * asks in its place, and the panel shows what went over the wire.
 */

import { describeProblem, readBody, request, messageOf } from "../shared/http.js";
import { createSection, find, keepKeys } from "../shared/panel.js";

/**
 * @typedef {{ path: string, pushed: boolean, bytes: number }} Part
 * @typedef {{ hints: number, parts: Part[], frames: string }} Exchange
 */

const MARKUP = `
<form class="lp-stack">
<div class="lp-form">
  <label>The page comes with
    <select data-role="way" name="way">
      <option value="push">HTTP/2 push</option>
      <option value="early-hints">103 Early Hints</option>
      <option value="plain">neither</option>
    </select>
  </label>
</div>
<label class="lp-check"><input type="checkbox" data-role="accept" checked> The client takes pushes</label>
<div class="lp-bar">
  <button type="submit" data-role="ask">Ask for the page</button>
</div>
</form>
<p data-role="summary" role="status">The frames of one exchange appear here.</p>
<pre class="lp-output" data-role="frames" role="region" tabindex="0" aria-label="Frames" hidden></pre>
<p data-role="own" hidden>
  To see what your own browser does, open
  <a data-role="address" target="_blank" rel="noopener">the same page in a new tab</a>.
  It will warn you: the certificate was made by this server a moment ago, and nobody
  else vouches for it.
</p>
`;

/**
 * Puts the panel into an element, in place of what is there. Nothing is asked before
 * the button is pressed.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the panel's routes lie. Relative to the page
 * @returns {{ destroy: () => void }}
 */
export function mount(element, { base }) {
  const root = createSection("HTTP/2 push, frame by frame", MARKUP);
  const form = /** @type {HTMLFormElement} */ (root.querySelector("form"));
  const way = /** @type {HTMLSelectElement} */ (find(root, "way"));
  const accept = /** @type {HTMLInputElement} */ (find(root, "accept"));
  const summary = find(root, "summary");
  const frames = find(root, "frames");
  const address = /** @type {HTMLAnchorElement} */ (find(root, "address"));
  const from = new URL(base, document.baseURI);
  /** Ends everything when the panel goes. */
  const gone = new AbortController();
  /** Ends the exchange that is under way when another begins. */
  let asking = new AbortController();

  async function ask() {
    asking.abort();
    asking = new AbortController();
    const signal = AbortSignal.any([asking.signal, gone.signal]);
    summary.textContent = "Asking …";
    const query = new URLSearchParams({
      way: way.value,
      accept: String(accept.checked),
    });
    try {
      const answer = await request(new URL(`exchange?${query}`, from), { signal });
      const body = JSON.parse(await readBody(answer, signal));
      if (!answer.ok) {
        // Those of the exchange before say nothing about this one.
        frames.hidden = true;
        const none = "The push server is not running: its port was taken.";
        const absent = answer.status === 404;
        summary.textContent = absent ? none : describeProblem(answer, body);
        return;
      }
      summary.textContent = describe(body);
      frames.textContent = body.frames;
      frames.hidden = false;
    } catch (error) {
      if (signal.aborted) return;
      frames.hidden = true;
      summary.textContent = messageOf(error);
    }
  }

  async function offer() {
    const answer = await request(new URL("server", from), { signal: gone.signal });
    const { address: found } = JSON.parse(await readBody(answer, gone.signal));
    if (!found) return;
    address.href = found;
    find(root, "own").hidden = false;
  }

  keepKeys(way);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  offer().catch(() => {
    // The link is an offer; the button will say what is wrong.
  });
  element.replaceChildren(root);
  return { destroy: () => gone.abort() };
}

/**
 * What came of an exchange, in a sentence.
 *
 * @param {Exchange} exchange
 */
function describe({ hints, parts }) {
  const pushed = parts.filter((part) => part.pushed).length;
  const asked = parts.length - pushed;
  const early = hints > 0 ? "A 103 came before the page. " : "";
  const counts = `${pushed} were pushed and ${asked} had to be asked for.`;
  return `${early}Of the page's ${parts.length} parts, ${counts}`;
}
