// @ts-check
/**
 * One stream for all tabs, held by a shared worker: a script that runs once for all
 * pages of an origin, and for as long as one of them is there.
 */

import { randomName } from "../shared/http.js";
import { Queue } from "../shared/queue.js";
import { startTimer } from "../shared/timer.js";
import { Holder } from "./holder.js";
import { cursorAfter, listen } from "./tab.js";

/** @typedef {import("../shared/reconnect.js").Method} Method */
/** @typedef {import("./holder.js").Question} Question */
/** @typedef {import("./holder.js").Word} Word */

// How long the worker may take to start and to answer, in milliseconds. After that the
// tab has a stream of its own.
const PATIENCE = 10_000;

/**
 * @typedef {object} SharedByWorker
 * @property {string | URL} worker the script, which calls `serveTabs`
 * @property {Pick<LockManager, "request">} [locks]
 * @property {typeof SharedWorker} [Worker]
 */

/**
 * The same method, waiting for all tabs at once.
 *
 * @param {Method} method for what the worker does not keep
 * @param {SharedByWorker} options
 * @returns {Method}
 */
export function shareByWorker(method, options) {
  const { worker: script, locks = navigator.locks, Worker = SharedWorker } = options;
  return {
    ...method,
    async *follow(after, signal) {
      const tab = randomName();
      const worker = new Worker(script, { type: "module" });
      const { port } = worker;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      let release = () => {};
      /** @type {Queue<Word>} */
      const words = new Queue(signal, () => {
        clearTimeout(timer);
        port.postMessage({ type: "leave", tab });
        port.close();
        release();
      });
      let isAlone = false;
      const giveUp = () => {
        isAlone = true;
        words.end();
      };
      worker.onerror = giveUp;
      port.onmessage = ({ data }) => {
        clearTimeout(timer);
        words.push(data);
      };
      // ANCHOR: alive
      // A port does not tell that its other end is gone. A lock does: the worker gets
      // it when this tab has released it, was closed, or has crashed.
      await new Promise((held) => {
        locks.request(lockOf(tab), () => {
          held(null);
          return new Promise((resolve) => (release = () => resolve(null)));
        });
      });
      // ANCHOR_END: alive
      const ask = (/** @type {string} */ cursor) => {
        port.postMessage({ type: "ask", tab, after: cursor });
        clearTimeout(timer);
        timer = startTimer(giveUp, PATIENCE);
      };
      if (signal.aborted) return release();
      let cursor = after;
      for await (const update of listen(method, { tab, after, signal, words, ask })) {
        cursor = cursorAfter(update, cursor);
        yield update;
      }
      if (isAlone) yield* method.follow(cursor, signal);
    },
  };
}

/**
 * The worker's side: holds the stream as long as there are tabs.
 *
 * @param {Method} method what to hold the stream with
 * @param {object} [options]
 * @param {{ onconnect: ((event: MessageEvent) => void) | null }} [options.scope] the
 *   worker's own
 * @param {Pick<LockManager, "request">} [options.locks]
 */
export function serveTabs(
  method,
  { scope = /** @type {any} */ (globalThis), locks = navigator.locks } = {},
) {
  /** @type {Map<string, MessagePort>} */
  const tabs = new Map();
  /** @type {Holder | null} */
  let holder = null;

  /** @param {Word} word */
  function say(word) {
    if (word.to !== undefined) return tabs.get(word.to)?.postMessage(word);
    for (const port of tabs.values()) port.postMessage(word);
  }

  /** @param {string} tab */
  function remove(tab) {
    tabs.get(tab)?.close();
    tabs.delete(tab);
    if (tabs.size > 0) return;
    holder?.stop();
    holder = null;
  }

  /**
   * @param {MessagePort} port
   * @param {Question | { type: "leave", tab: string }} said
   */
  function hear(port, said) {
    const { tab } = said;
    if (said.type === "leave") return remove(tab);
    if (!tabs.has(tab)) {
      tabs.set(tab, port);
      locks.request(lockOf(tab), () => remove(tab));
    }
    holder ??= new Holder(method, { after: said.after, term: Date.now(), say });
    holder.answer(said);
  }

  scope.onconnect = ({ ports: [port] }) => {
    port.onmessage = ({ data }) => hear(port, data);
  };
}

/** @param {string} tab */
function lockOf(tab) {
  return `tab ${tab}`;
}
