// @ts-check
/**
 * Marks the bytes and lines that readers write: by the Rust code that reads them on a
 * wire, compiled for a browser (`tools/marker`). It is loaded for the first answer.
 *
 * Nothing else marks them. Where a browser does not run it, a reader compares.
 */

import init, { mark } from "../marker/marker.js";

/** @typedef {import("./marking.js").Checker} Checker */
/** @typedef {import("./marking.js").Checkers} Checkers */

/** @type {Promise<unknown> | null} */
let loading = null;

async function load() {
  const module_or_path = new URL("../marker/marker_bg.wasm", import.meta.url);
  loading ??= init({ module_or_path });
  try {
    await loading;
  } catch (error) {
    // The next answer tries again.
    loading = null;
    throw error;
  }
}

/**
 * @param {string} name as the Rust code has it
 * @param {string} by
 * @returns {Checker}
 */
function create(name, by) {
  return {
    by,
    check: async (given, wanted) => {
      await load();
      const note = mark(name, given, JSON.stringify(wanted));
      return note ? { isRight: false, note } : { isRight: true };
    },
  };
}

const names = {
  "event-stream": "`event-stream`, the parser of the book's Rust client",
  frame: "`tungstenite`, as the book's WebSocket server runs it",
  request: "`httparse`, as the book's servers run it",
  page: "`contract`, as the book's clients run it",
  message: "`contract`, as the book's WebSocket server runs it",
};

/** @type {Checkers} */
export const CHECKERS = Object.fromEntries(
  Object.entries(names).map(([name, by]) => [name, create(name, by)]),
);
