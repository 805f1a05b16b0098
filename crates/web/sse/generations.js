// @ts-check
/**
 * A generated text that has a log of its own, and so outlives this page: a request
 * starts it, and the follower reads it as it reads any other log.
 */

import { parseObject } from "../shared/contract.js";
import {
  describeProblem,
  messageOf,
  randomName,
  readBody,
  request,
  routeOf,
} from "../shared/http.js";
import { Follower } from "../shared/reconnect.js";
import {
  createSection,
  find,
  isEnabled,
  keepKeys,
  setEnabled,
  watchPage,
} from "../shared/panel.js";
import { createStatusLine } from "../shared/status-line.js";
import { createSse } from "./sse-client.js";

// ANCHOR: start
/**
 * Starts a text, or finds the one that was started with this key.
 *
 * @param {URL} base where the server's routes lie
 * @param {string} prompt
 * @param {string} key the same for as long as there is no answer
 * @returns {Promise<string>} its name, which is a part of its address
 * @throws {Error} if the server refuses
 */
export async function start(base, prompt, key) {
  const response = await request(routeOf("generations", base), {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify({ prompt }),
  });
  const answer = parseObject(await readBody(response));
  if (!response.ok || typeof answer?.id !== "string")
    throw new Error(describeProblem(response, answer));
  return answer.id;
}

/**
 * What reads a text, from its beginning: a follower like any other, with another base.
 *
 * @param {URL} base
 * @param {string} name
 */
export function createReader(base, name) {
  const address = routeOf(`generations/${name}/`, base);
  return new Follower(createSse(address), { from: "earliest" });
}
// ANCHOR_END: start

/**
 * @param {URL} base
 * @param {string} name
 */
export async function stop(base, name) {
  await request(routeOf(`generations/${name}`, base), { method: "DELETE" });
}

/**
 * The last word of a log, for a person.
 *
 * @param {string} kind
 * @param {any} data
 * @returns {{ state: "ended" | "failed" | "idle", text: string } | null} `null` if it
 *   is not the last
 */
export function readLast(kind, data) {
  switch (kind) {
    case "done": {
      const cut = data?.cut ? ", and as long as it may become" : "";
      return { state: "ended", text: `Done: ${data?.tokens} tokens${cut}.` };
    }
    case "failed":
      return { state: "failed", text: `It failed: ${data?.detail ?? data?.title}.` };
    case "stopped": {
      const why = data?.because === "asked" ? "as you asked" : "as nobody read it";
      return { state: "idle", text: `Stopped after ${data?.tokens} tokens, ${why}.` };
    }
    default:
      return null;
  }
}

const MARKUP = `
<form class="lp-form">
  <label class="lp-grow">Prompt <input data-role="prompt" name="prompt" autocomplete="off" maxlength="500" required></label>
  <button type="submit" data-role="generate">Generate</button>
  <button type="button" data-role="stop-generating">Stop</button>
</form>
<div class="lp-output" data-role="output" role="region" aria-label="Generated text that survives" aria-live="polite" aria-busy="false"></div>
`;

/**
 * Puts a form and its text into an element, in place of what is there. Whoever reloads
 * the page in the middle reads on.
 *
 * @param {HTMLElement} element
 * @param {object} options
 * @param {URL} options.base where the server's routes lie
 * @returns {{ destroy: () => void }}
 */
export function createGenerationPanel(element, { base }) {
  const root = createSection("A text that outlives this page", MARKUP);
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

  const kept = `generation ${base.pathname}`;
  const pending = `${kept} asked`;
  /**
   * What was asked for and has no answer yet.
   *
   * @type {{ prompt: string, key: string } | null}
   */
  let asked = null;
  /** What is read now. @type {{ name: string, follower: Follower } | null} */
  let reading = null;

  /** @param {string} name */
  async function read(name) {
    const follower = createReader(base, name);
    reading = { name, follower };
    const unwatch = watchPage(follower, true);
    setEnabled(buttons.generate, false);
    setEnabled(buttons.stop, true);
    output.textContent = "";
    output.setAttribute("aria-busy", "true");
    /** @type {ReturnType<typeof readLast>} */
    let last = null;
    for await (const update of follower.updates()) {
      if (update.type === "event") {
        const { kind, data } = update.event;
        const token = /** @type {any} */ (data);
        if (kind === "token" && typeof token?.text === "string")
          output.append(token.text);
        last = readLast(kind, data) ?? last;
      } else if (update.type === "state" && update.state !== "ended") {
        const text = update.state === "open" ? "Generating…" : update.text;
        status.set(update.state, text);
      }
    }
    unwatch();
    if (reading?.follower !== follower) return;
    reading = null;
    // Where the server refuses, the status line has said why.
    if (last) status.set(last.state, last.text);
    remember(kept, null);
    output.setAttribute("aria-busy", "false");
    setEnabled(buttons.generate, true);
    setEnabled(buttons.stop, false);
  }

  /**
   * @param {string} item
   * @param {string | null} value
   */
  function remember(item, value) {
    try {
      if (value === null) sessionStorage.removeItem(item);
      else sessionStorage.setItem(item, value);
    } catch {
      // A browser that keeps nothing: then a reload loses the address.
    }
  }

  /** @param {string} item */
  function recall(item) {
    try {
      return sessionStorage.getItem(item);
    } catch {
      return null;
    }
  }

  async function generate() {
    setEnabled(buttons.generate, false);
    status.set("connecting", "Asking…");
    try {
      // Whoever asks again for want of an answer gets the text that is there.
      if (asked?.prompt !== prompt.value)
        asked = { prompt: prompt.value, key: randomName() };
      // Before it is sent: a reload may come before the answer.
      remember(pending, JSON.stringify(asked));
      const name = await start(base, asked.prompt, asked.key);
      // Before anything is read: from here on the text is not lost with the page.
      remember(kept, name);
      remember(pending, null);
      asked = null;
      await read(name);
    } catch (error) {
      status.set("failed", messageOf(error));
      setEnabled(buttons.generate, true);
    }
  }

  root.querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isEnabled(buttons.generate)) generate();
  });
  buttons.stop.addEventListener("click", () => {
    if (!reading || !isEnabled(buttons.stop)) return;
    setEnabled(buttons.stop, false);
    // The log says that it was stopped, to all who read it.
    stop(base, reading.name).catch((error) => status.set("open", messageOf(error)));
  });
  keepKeys(prompt);
  element.replaceChildren(root);

  const name = recall(kept);
  const before = parseObject(recall(pending) ?? "");
  if (name !== null) read(name);
  else if (typeof before?.prompt === "string" && typeof before.key === "string") {
    asked = { prompt: before.prompt, key: before.key };
    prompt.value = asked.prompt;
    generate();
  }
  return {
    destroy() {
      reading?.follower.stop();
      reading = null;
      root.remove();
    },
  };
}
