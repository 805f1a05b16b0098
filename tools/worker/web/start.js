// @ts-check
/**
 * Starts the servers of the panels in the page itself, where no live server is: in a service
 * worker. It is asked for by a page with panels, and loads the servers on the first Start.
 */

/**
 * @typedef {object} Servers
 * @property {URL} root of the book
 * @property {string} script of the worker, relative to it
 * @property {Record<string, string>} methods their paths, relative to it
 */

/** @typedef {{ mount: (element: HTMLElement, options: object) => unknown }} Panel */

/** Where the modules of the panels are, below the book's root. */
const MODULES = "assets/modules/";
/** How long a worker may take until it answers, with its download, in milliseconds. */
const PATIENCE = 60_000;
/** A worker that nobody asks anything is ended after 30 s, by Firefox even amid a stream. */
const PING = 20_000;

const REAL =
  "Real here: your browser, the messages, and the server's Rust code, which runs in a service " +
  "worker of this page. Not real: there is no network in between.";
const REAL_SOCKET =
  "Real here: the messages, and the Rust code that shakes hands and reads and writes the frames. " +
  "Not real: the WebSocket and the network. No service worker can answer a WebSocket, so the " +
  "messages go to it by a message port.";

/**
 * Offers each panel that has a server here a button that starts it. Where the worker already runs,
 * the panels are live at once.
 *
 * @param {HTMLElement[]} elements
 * @param {Servers} servers
 * @returns {boolean} whether the browser can
 */
export function offer(elements, servers) {
  const container = navigator.serviceWorker;
  if (!container) return false;
  const script = new URL(servers.script, servers.root).href;
  if (container.controller?.scriptURL === script) {
    mountAll(elements, servers).catch((error) => fail(elements, error));
    return true;
  }
  /** All panels of a page start at once. @type {Promise<void> | null} */
  let starting = null;
  const start = async () => {
    await register(script, servers.root);
    await mountAll(elements, servers);
  };
  for (const element of elements) {
    const note = document.createElement("p");
    note.className = "live-panel-note";
    note.textContent =
      "No live server is here. Your browser can run one: the book's own, in WebAssembly.";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "live-panel-start";
    button.textContent = "Start it in this page";
    button.addEventListener("click", async () => {
      if (button.ariaDisabled === "true") return;
      // Not `disabled`, which would take the focus away.
      button.ariaDisabled = "true";
      button.textContent = "Loading …";
      const isFirst = !starting;
      starting ??= start();
      try {
        await starting;
        press(element);
      } catch (error) {
        if (isFirst) fail(elements, error);
      }
    });
    note.append(" ", button);
    element.append(note);
    element.dataset.state = "offered";
  }
  return true;
}

/**
 * Waits until the worker answers this page.
 *
 * @param {string} script
 * @param {URL} root
 */
async function register(script, root) {
  const container = navigator.serviceWorker;
  const late = AbortSignal.timeout(PATIENCE);
  const tooLate = new Promise((_, reject) => {
    late.addEventListener("abort", () => reject(new Error("The worker does not start.")));
  });
  const controlled = new Promise((resolve) => {
    container.addEventListener("controllerchange", resolve, { signal: late });
  });
  const started = async () => {
    await container.register(script, { scope: root.href, updateViaCache: "none" });
    const { active } = await container.ready;
    if (container.controller) return;
    // After a forced reload it takes no page by itself.
    active?.postMessage("claim");
    await controlled;
  };
  await Promise.race([started(), tooLate]);
}

/**
 * @param {HTMLElement[]} elements
 * @param {Servers} servers
 */
async function mountAll(elements, servers) {
  keepAlive();
  await Promise.all(elements.map((element) => mount(element, servers)));
}

/**
 * @param {HTMLElement} element
 * @param {Servers} servers
 */
async function mount(element, { root, methods }) {
  const method = element.dataset.method ?? "";
  const base = new URL(methods[method], root).href;
  const modules = new URL(MODULES, root).href;
  /** @type {Panel} */
  const panel = await import(new URL(`${method}/panel.js`, modules).href);
  panel.mount(element, { base, modules, Socket: PortSocket });
  const note = document.createElement("p");
  note.className = "live-panel-real";
  const { view } = element.dataset;
  const isSocket = method === "websocket" || view === "websocket";
  const more = document.createElement("a");
  more.href = new URL("facts.html#fact-worker-habits", root).href;
  more.textContent = "What a worker can do, by browser";
  note.append(isSocket ? REAL_SOCKET : REAL, " ", more, ".");
  // It says itself that nothing of it is here.
  if (view !== "foreign") element.append(note);
  element.dataset.state = "live";
}

/**
 * Presses the panel's own Start: it was asked for by the button before it.
 *
 * @param {HTMLElement} element
 */
function press(element) {
  /** @type {HTMLElement | null} */
  const start = element.querySelector("[data-role='start']");
  start?.click();
  // A panel that waits for a text begins with that.
  /** @type {HTMLElement | null} */
  const first = start ?? element.querySelector("input, button");
  first?.focus();
}

/**
 * @param {HTMLElement[]} elements
 * @param {unknown} error
 */
function fail(elements, error) {
  console.error("The worker did not start:", error);
  for (const element of elements) {
    element.querySelector(".live-panel-start")?.remove();
    const note = document.createElement("p");
    note.className = "live-panel-note";
    note.textContent = "It did not start. Load the page again, or run the book on your machine.";
    element.append(note);
    element.dataset.state = "failed";
  }
}

/** Those that are not closed. @type {Set<PortSocket>} */
const sockets = new Set();
let isKept = false;

/** Keeps the worker alive, and hears of it when it was ended all the same. */
function keepAlive() {
  if (isKept) return;
  isKept = true;
  ping();
  setInterval(ping, PING);
  navigator.serviceWorker.addEventListener("controllerchange", ping);
  document.addEventListener("visibilitychange", ping);
}

function ping() {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    port1.close();
    // Another worker, or the same one anew, knows nothing of the sockets of before.
    for (const socket of [...sockets])
      if (socket.log !== null && socket.log !== data) socket.lose();
  };
  navigator.serviceWorker.controller?.postMessage("ping", [port2]);
}

/**
 * A `WebSocket` whose messages go to the worker by a port. It has what the panels use of one.
 */
export class PortSocket {
  #port;
  /** What was closed has nothing more to say. */
  #isClosed = false;
  /** The log that it is about, once it is open. @type {string | null} */
  log = null;
  /** What the connection has not taken yet, in bytes; of a text, in characters. */
  bufferedAmount = 0;
  protocol = "";
  /** @type {number} */
  readyState = WebSocket.CONNECTING;
  /** @type {((event: { type: "open" }) => void) | null} */
  onopen = null;
  /** @type {((event: { data: string | ArrayBuffer }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number, reason: string }) => void) | null} */
  onclose = null;
  onerror = null;

  /**
   * @param {string | URL} url
   * @param {string} [protocol]
   */
  constructor(url, protocol = "") {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => this.#hear(data);
    const socket = { url: String(url), protocol };
    const { controller } = navigator.serviceWorker;
    if (controller) {
      sockets.add(this);
      controller.postMessage({ socket }, [port2]);
    } else {
      queueMicrotask(() => this.lose());
    }
  }

  /**
   * @param {{ open?: string, log?: string, data?: string | ArrayBuffer, taken?: number, close?:
   *   [number, string] }} message
   */
  #hear({ open, log, data, taken, close }) {
    if (this.#isClosed) return;
    if (open !== undefined) {
      this.protocol = open;
      this.log = log ?? null;
      this.readyState = WebSocket.OPEN;
      this.onopen?.({ type: "open" });
    } else if (data !== undefined) {
      // What comes after `close` was called is not handed on.
      if (this.readyState === WebSocket.OPEN) this.onmessage?.({ data });
    } else if (taken !== undefined) {
      this.bufferedAmount -= taken;
    } else if (close) {
      this.#end(...close);
    }
  }

  /** The worker that served it is gone. */
  lose() {
    this.#end(1006, "");
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.readyState = WebSocket.CLOSED;
    sockets.delete(this);
    this.#port.close();
    this.onclose?.({ code, reason });
  }

  /** @param {string | ArrayBuffer} data */
  send(data) {
    if (this.readyState === WebSocket.CONNECTING) throw new Error("It is not open yet.");
    if (this.readyState !== WebSocket.OPEN) return;
    this.bufferedAmount += typeof data === "string" ? data.length : data.byteLength;
    this.#port.postMessage({ data });
  }

  /**
   * @param {number} [code]
   * @param {string} [reason]
   */
  close(code = 1005, reason = "") {
    if (this.readyState >= WebSocket.CLOSING) return;
    this.readyState = WebSocket.CLOSING;
    this.#port.postMessage({ close: [code, reason] });
  }
}
