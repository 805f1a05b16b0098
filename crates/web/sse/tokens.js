// @ts-check
/**
 * A text that is generated token by token: an event stream in the answer to a POST.
 *
 * `EventSource` cannot send a prompt, since it only knows GET, and it would ask again
 * after each end. Here a request has one answer, and an answer that broke off is an
 * error that the reader must see.
 */

import { parseObject } from "../shared/contract.js";
import { describeProblem, messageOf } from "../shared/http.js";
import {
  createSection,
  find,
  isEnabled,
  keepKeys,
  setEnabled,
} from "../shared/panel.js";
import { createStatusLine } from "../shared/status-line.js";
import { readEvents } from "./event-stream.js";

// ANCHOR: generate
/**
 * Asks for a text, and yields its pieces as they come.
 *
 * Leaving the loop early, or aborting the signal, closes the request. The server
 * notices and stops generating.
 *
 * @param {URL} base where the server's routes lie
 * @param {string} prompt
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<string, number, void>} gives the number of tokens at its end
 * @throws {Error} if the server refuses, or the stream ends before the server said that
 *   it is done
 */
export async function* generate(base, prompt, signal) {
  const response = await fetch(new URL("tokens", base), {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify({ prompt }),
    signal,
  });
  // Unlike an EventSource, `fetch` shows why a request was refused.
  if (!response.ok)
    throw new Error(describeProblem(response, parseObject(await response.text())));
  const type = response.headers.get("Content-Type") ?? "";
  if (!/^text\/event-stream\s*(;|$)/i.test(type) || !response.body) {
    await response.body?.cancel();
    throw new Error("The server's answer is no event stream.");
  }
  for await (const event of readEvents(response.body)) {
    const data = parseObject(event.data);
    if (event.type === "done")
      return typeof data?.tokens === "number" ? data.tokens : 0;
    if (event.type === "message" && typeof data?.text === "string") yield data.text;
  }
  // A server that is shut down half-way ends the body in good order, as one that has
  // finished does. Only the event `done` tells them apart.
  throw new Error(
    "The text broke off: the stream ended before the server said that it was done.",
  );
}
// ANCHOR_END: generate

const MARKUP = `
<form class="lp-form">
  <label class="lp-grow">Prompt <input data-role="prompt" name="prompt" autocomplete="off" maxlength="500" required></label>
  <button type="submit" data-role="generate">Generate</button>
  <button type="button" data-role="stop-generating">Stop</button>
</form>
<div class="lp-output" data-role="output" role="region" aria-label="Generated text" aria-live="polite" aria-busy="false"></div>
`;

/**
 * Puts a form and its answer into an element, in place of what is there.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {URL} options.base where the server's routes lie
 * @returns {{ destroy: () => void }}
 */
export function createTokenPanel(element, { base }) {
  const root = createSection("A text generated token by token", MARKUP);
  const status = createStatusLine("Nothing asked yet.");
  root.append(status.element);

  const prompt = /** @type {HTMLInputElement} */ (find(root, "prompt"));
  const output = find(root, "output");
  const buttons = {
    generate: find(root, "generate"),
    stop: find(root, "stop-generating"),
  };
  prompt.value = "Tell me about the log.";
  setEnabled(buttons.stop, false);

  /** The request under way. @type {AbortController | null} */
  let request = null;

  async function run() {
    const mine = new AbortController();
    request = mine;
    setEnabled(buttons.generate, false);
    setEnabled(buttons.stop, true);
    output.textContent = "";
    // Not read aloud piece by piece: a screen reader waits until the region is no
    // longer busy, and then reads the whole.
    output.setAttribute("aria-busy", "true");
    status.set("connecting", "Asking…");
    try {
      const pieces = generate(base, prompt.value, mine.signal);
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) {
          status.set("ended", `Done: ${value} tokens.`);
          break;
        }
        if (status.element.dataset.state !== "open") {
          status.set("open", "Generating…");
        }
        // Each piece is a text node at the end. Setting the whole text again would cost
        // more with each piece, and would throw away what the reader had selected.
        output.append(value);
      }
    } catch (error) {
      // `TypeError` is all that `fetch` says about a network that failed.
      if (mine.signal.aborted)
        status.set("idle", "Stopped. The server has stopped generating too.");
      else if (error instanceof TypeError)
        status.set("failed", "The connection to the server failed.");
      else status.set("failed", messageOf(error));
    }
    output.setAttribute("aria-busy", "false");
    request = null;
    setEnabled(buttons.generate, true);
    setEnabled(buttons.stop, false);
  }

  root.querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isEnabled(buttons.generate)) run();
  });
  buttons.stop.addEventListener("click", () => request?.abort());
  keepKeys(prompt);

  element.replaceChildren(root);
  return {
    destroy() {
      request?.abort();
      root.remove();
    },
  };
}
