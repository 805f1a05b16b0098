// @ts-check
/**
 * Two sockets that a page of another origin wants to open: one server looks who asks,
 * and the other does not.
 *
 * The other page is a frame without the permission to be of this origin. The browser
 * gives it one that is nobody's, and sends `Origin: null` with what it asks for.
 */

import { randomName } from "../shared/http.js";
import {
  addStyles,
  createSection,
  find,
  isEnabled,
  setEnabled,
} from "../shared/panel.js";
import { startTimer } from "../shared/timer.js";

/** @typedef {"plain" | "real"} Side */

// How long a socket may take, in milliseconds.
const PATIENCE = 10_000;

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="own">Open both from this page</button>
  <button type="button" data-role="foreign" class="lp-star">Open both from another origin</button>
</div>
<div class="tw-lanes">
  <div class="tw-lane" data-side="plain">
    <p class="tw-name">Plain: opens for every page</p>
    <div role="log" aria-label="Plain"><ol class="tw-answers" data-role="plain"></ol></div>
  </div>
  <div class="tw-lane" data-side="real">
    <p class="tw-name">Guarded: compares Origin with its host</p>
    <div role="log" aria-label="Guarded"><ol class="tw-answers" data-role="real"></ol></div>
  </div>
</div>
`;

const NO_NETWORK =
  "This twin is live only with cargo run: a service worker is asked by the pages of " +
  "its own origin alone, and never for a WebSocket. What the guarded one does is " +
  "recorded below, in three browsers.";

/**
 * Opens a socket, and tells what came of it. It is sent to a page as text as well, and
 * so uses nothing of this module.
 *
 * @param {string} url
 * @param {(answer: string) => void} tell
 */
function open(url, tell) {
  const socket = new WebSocket(url);
  let answer = "refused: the browser says 1006, and nothing more";
  socket.onmessage = ({ data }) => (answer = `open, and it reads: ${data}`);
  socket.onclose = () => tell(answer);
}

/**
 * @param {HTMLElement} element
 * @param {object} options
 * @param {string | URL} options.base where the routes of the twins lie
 * @param {boolean} options.hasNetwork whether a server is asked, and no worker
 * @returns {{ destroy: () => void }}
 */
export function mountForeign(element, { base, hasNetwork }) {
  addStyles(new URL("twin.css", import.meta.url));
  const root = createSection("A page of another origin", MARKUP);
  root.classList.add("tw");
  const own = find(root, "own");
  const foreign = find(root, "foreign");
  const directory = new URL("foreign/", new URL(base, document.baseURI));
  directory.protocol = directory.protocol === "https:" ? "wss:" : "ws:";
  const leaving = new AbortController();
  const { signal } = leaving;

  /**
   * @param {Side} side
   * @param {string} origin
   * @param {string} answer
   */
  function show(side, origin, answer) {
    const item = document.createElement("li");
    item.dataset.mark = answer.startsWith("open") ? "open" : "refused";
    item.dataset.origin = origin === location.origin ? "own" : "foreign";
    item.textContent = `${origin}: ${answer}`;
    find(root, side).append(item);
  }

  /** @param {Side} side */
  const address = (side) => new URL(side, directory).href;

  own.addEventListener("click", () => {
    for (const side of /** @type {Side[]} */ (["plain", "real"]))
      open(address(side), (answer) => show(side, location.origin, answer));
  });

  foreign.addEventListener("click", () => {
    if (!isEnabled(foreign)) return;
    setEnabled(foreign, false);
    const key = randomName();
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.hidden = true;
    frame.title = "A page of another origin";
    const calls = ["plain", "real"].map((side) => {
      const [url, name] = [address(/** @type {Side} */ (side)), side].map((text) =>
        JSON.stringify(text),
      );
      const told = `{ key: "${key}", side: ${name}, answer, origin: self.origin }`;
      return `open(${url}, (answer) => parent.postMessage(${told}, "*"));`;
    });
    const script = `const open = ${open};\n${calls.join("\n")}`;
    frame.srcdoc = `<!doctype html><script>${script}</${"script"}>`;
    const finished = new AbortController();
    const end = () => {
      finished.abort();
      frame.remove();
      setEnabled(foreign, true);
    };
    const late = startTimer(end, PATIENCE);
    let left = calls.length;
    addEventListener(
      "message",
      ({ data, source }) => {
        if (source !== frame.contentWindow || data?.key !== key) return;
        const side = data.side === "plain" ? "plain" : "real";
        show(side, `a page of the origin ${data.origin}`, String(data.answer));
        left -= 1;
        if (left > 0) return;
        clearTimeout(late);
        end();
      },
      { signal: AbortSignal.any([signal, finished.signal]) },
    );
    root.append(frame);
  });

  if (!hasNetwork) {
    own.remove();
    foreign.remove();
    const note = document.createElement("p");
    note.className = "lp-note";
    note.textContent = NO_NETWORK;
    root.querySelector(".lp-bar")?.replaceWith(note);
  }
  element.replaceChildren(root);
  return {
    destroy() {
      leaving.abort();
      root.remove();
    },
  };
}
