// @ts-check
/**
 * The seventh request: six streams are open, and one more thing is asked of the same
 * server. It gives up by itself, so that nothing else of the page waits for long.
 */

import { messageOf, request, routeOf } from "../shared/http.js";
import {
  addStyles,
  createSection,
  find,
  isEnabled,
  setEnabled,
} from "../shared/panel.js";
import { pause } from "../shared/timer.js";

const STREAMS = 6;
/** How long the streams are held, in milliseconds. */
const HELD = 5000;
/** An answer that comes sooner has waited for nobody. */
const SOON = 1500;

const MARKUP = `
<div class="lp-bar">
  <button type="button" data-role="start">Open ${STREAMS} streams, and ask more</button>
</div>
<ol class="tabs-cards" data-role="streams"></ol>
<p class="lp-note" data-role="seventh">Nothing is asked yet.</p>
<p class="lp-note" data-role="verdict" role="status"></p>
`;

/**
 * @param {HTMLElement} element
 * @param {object} options
 * @param {URL} options.base where the routes of the stream lie
 * @param {boolean} options.hasNetwork whether there is a server, and not a worker
 * @returns {{ destroy: () => void }}
 */
export function mountSeventh(element, { base, hasNetwork }) {
  addStyles(new URL("tabs.css", import.meta.url));
  const root = createSection("The seventh request", MARKUP);
  const start = find(root, "start");
  const list = find(root, "streams");
  const seventh = find(root, "seventh");
  const verdict = find(root, "verdict");
  const leaving = new AbortController();
  const { signal } = leaving;
  addEventListener("pagehide", () => closeAll(), { signal });

  /** @type {EventSource[]} */
  let streams = [];
  const closeAll = () => streams.forEach((stream) => stream.close());

  /** @param {number} number */
  function open(number) {
    const item = document.createElement("li");
    item.dataset.role = "stream";
    const name = document.createElement("strong");
    name.textContent = `Stream ${number}`;
    const words = document.createElement("span");
    item.append(name, words);
    list.append(item);
    const show = (/** @type {string} */ state, /** @type {string} */ text) => {
      item.dataset.state = state;
      words.textContent = text;
    };
    show("connecting", "Waits for a connection…");
    const stream = new EventSource(routeOf("events", base));
    const opened = new Promise((resolve) => {
      stream.onopen = () => {
        show("open", "Open.");
        resolve(true);
      };
      // Another try would only change the picture.
      stream.onerror = () => {
        stream.close();
        show("failed", "Refused.");
        resolve(false);
      };
    });
    const close = () => {
      stream.close();
      if (item.dataset.state === "open") show("ended", "Let go.");
    };
    streams.push(stream);
    return { opened, close };
  }

  async function run() {
    setEnabled(start, false);
    list.replaceChildren();
    verdict.textContent = "";
    seventh.textContent = `Opening ${STREAMS} streams…`;
    const all = Array.from({ length: STREAMS }, (_, at) => open(at + 1));
    // Where something else of this site holds one, the sixth does not open either.
    const opened = Promise.all(all.map(({ opened }) => opened));
    await Promise.race([opened, pause(SOON, signal)]);

    const begin = performance.now();
    const time = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
    const asking = new AbortController();
    countUp(asking.signal, () => {
      seventh.textContent = `Asked for the status: ${time()}, no answer.`;
    });
    const url = routeOf("status", base);
    url.searchParams.set("asked", String(Date.now()));
    const answer = request(url).then((response) => response.text());
    const letGo = pause(HELD, signal).then(() => {
      if (!asking.signal.aborted) all[0].close();
    });
    try {
      await answer;
      asking.abort();
      const took = performance.now() - begin;
      seventh.textContent = `Asked for the status: answered after ${time()}.`;
      verdict.textContent = describe(took, url, hasNetwork);
    } catch (error) {
      verdict.textContent = messageOf(error);
    } finally {
      asking.abort();
      for (const { close } of all) close();
      closeAll();
      streams = [];
    }
    await letGo;
    setEnabled(start, true);
  }

  start.addEventListener("click", () => {
    if (isEnabled(start)) run();
  });
  element.replaceChildren(root);
  return {
    destroy() {
      leaving.abort();
      closeAll();
      root.remove();
    },
  };
}

/**
 * Shows the time anew until it is told to stop.
 *
 * @param {AbortSignal} stop
 * @param {() => void} show
 */
async function countUp(stop, show) {
  while (!stop.aborted) {
    show();
    await pause(100, stop);
  }
}

/**
 * @param {number} took
 * @param {URL} url
 * @param {boolean} hasNetwork
 */
function describe(took, { href }, hasNetwork) {
  if (took >= SOON)
    return (
      "It stood in the browser, and the server knew nothing of it. " +
      "When one stream let go, its connection carried the question."
    );
  if (!hasNetwork)
    return (
      "It did not wait: a service worker answers here, and no connection is used. " +
      "From a server over HTTP/1.1 it waits until a stream lets go."
    );
  const entries = performance.getEntriesByName(href);
  const { nextHopProtocol } = /** @type {PerformanceResourceTiming} */ (
    entries.at(-1) ?? {}
  );
  return nextHopProtocol === "h2"
    ? "It did not wait: over HTTP/2 all of them share one connection."
    : "It did not wait: this browser opens more connections to one server.";
}
