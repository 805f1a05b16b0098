// @ts-check
/**
 * One of many tabs: a page that follows the stream. It shows nothing; the page around
 * it reads what it has.
 */

import { watchPage } from "../shared/panel.js";
import { Follower } from "../shared/reconnect.js";
import { createSse } from "../sse/sse-client.js";
import { shareByLock } from "./by-lock.js";
import { share } from "./share.js";

/** @typedef {import("../shared/contract.js").LogEvent} LogEvent */

/**
 * What the page around it reads, and tells it.
 *
 * @typedef {object} TabHere
 * @property {Follower} follower
 * @property {boolean} isHolder
 * @property {LogEvent | null} newest
 * @property {string} text
 * @property {(isSilent: boolean) => void} silence
 */

const frame = /** @type {HTMLElement} */ (window.frameElement);
const { base = "", name = "", way = "" } = frame.dataset;

/** What waits until it is no longer silent. @type {(() => void)[] | null} */
let waiting = null;

/** Says and hears nothing while it is silent, as a channel of a frozen page. */
class Channel extends BroadcastChannel {
  /** @param {unknown} message */
  postMessage(message) {
    const send = () => super.postMessage(message);
    if (waiting) waiting.push(send);
    else send();
  }

  /** @param {((event: MessageEvent) => void) | null} listener */
  set onmessage(listener) {
    super.onmessage = (event) => {
      if (waiting) waiting.push(() => listener?.(event));
      else listener?.(event);
    };
  }
}

const sse = createSse(new URL(base));
const onHold = (/** @type {boolean} */ isHolder) => {
  tab.isHolder = isHolder;
  tell();
};
const worker = new URL("sse-worker.js", import.meta.url);
worker.searchParams.set("base", base);
const follower = new Follower(
  way === "lock"
    ? shareByLock(sse, { name, onHold, Channel })
    : share(sse, { name, worker, way: way === "worker" ? "worker" : "alone" }),
);

/** @type {TabHere} */
const tab = {
  follower,
  isHolder: false,
  newest: null,
  text: "Connecting…",
  silence(isSilent) {
    const due = waiting ?? [];
    waiting = isSilent ? due : null;
    if (!isSilent) for (const run of due) run();
  },
};
Object.assign(window, { tab });

function tell() {
  frame.dispatchEvent(new Event("tab", { bubbles: true }));
}

watchPage(follower, true);
for await (const update of follower.updates()) {
  if (update.type === "event") tab.newest = update.event;
  else if (update.type === "state") tab.text = update.text;
  tell();
}
