// @ts-check
/**
 * The wire view of a live panel: its server writes down what goes over the panel's
 * connections, and is asked for it while it is shown.
 */

import { create } from "../book/parts.js";
import { randomName, request } from "../shared/http.js";
import { createWireView, NoRecord } from "./view.js";

/** @typedef {import("../shared/reconnect.js").Follower} Follower */
/** @typedef {import("./format.js").WireRecord} WireRecord */

/** Where the bytes come from. */
const SOURCES = {
  tap:
    "The bytes are those that went over this panel's own connections, as the edge of " +
    "the server has seen them, with its times. Of a connection over TLS they are " +
    "those inside.",
  worker:
    "This is what a script sees of the requests: heads, and the bytes of bodies. " +
    "There is no network here, and so there are no other bytes.",
  socket:
    "The frames of the socket are the real bytes, which the server in this page " +
    "reads and writes. Only the network between is missing. The heads of the " +
    "handshake are written out as HTTP/1.1 has them. Of requests it is what a script " +
    "sees.",
};

/** The views that are open, by their panels. @type {WeakMap<HTMLElement, Open>} */
const views = new WeakMap();

/** @typedef {{ hide: () => void }} Open */

/**
 * Shows the wire of a panel below it, or hides it.
 *
 * @param {HTMLElement} panel
 * @param {object} options
 * @param {HTMLElement} options.button that was pressed
 * @param {URL} options.base where the method's routes lie; the key that makes the
 *   server watch goes into its query, and so into each request
 * @param {Follower} options.follower
 */
export function toggleWire(panel, { button, base, follower }) {
  const open = views.get(panel);
  if (open) open.hide();
  else views.set(panel, show(panel, base, follower));
  if (open) views.delete(panel);
  button.setAttribute("aria-expanded", String(!open));
  button.textContent = open ? "Show the wire" : "Hide the wire";
}

/**
 * @param {HTMLElement} panel
 * @param {URL} base
 * @param {Follower} follower
 * @returns {Open}
 */
function show(panel, base, follower) {
  const key = randomName();
  base.searchParams.set("tap", key);
  // A stream that is open was opened without the key.
  follower.pause();
  follower.resume();
  const origin = create("p", { class: "lp-note", "data-role": "wire-source" });
  panel.append(origin);
  const label = "The wire";
  const view = createWireView(panel, {
    label,
    source: {
      async poll(after) {
        const record = await ask(base, key, after);
        const isSocket = record.pieces.some(({ part }) => part === undefined);
        if (record.source === "tap") origin.textContent = SOURCES.tap;
        else if (isSocket) origin.textContent = SOURCES.socket;
        else origin.textContent ||= SOURCES.worker;
        return record;
      },
    },
  });
  return {
    hide() {
      base.searchParams.delete("tap");
      view.destroy();
      origin.remove();
    },
  };
}

/**
 * @param {URL} base
 * @param {string} key
 * @param {number} after
 * @returns {Promise<WireRecord>}
 */
async function ask(base, key, after) {
  const url = new URL("../wire", base);
  url.searchParams.set("tap", key);
  url.searchParams.set("after", String(after));
  const response = await request(url);
  if (response.status === 404)
    throw new NoRecord("This server keeps no record: start it with --tap.");
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}
