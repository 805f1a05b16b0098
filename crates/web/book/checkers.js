// @ts-check
/**
 * Reads the bytes and lines that readers write, with the modules of this book's pages.
 *
 * Each of these can be replaced by one that asks the book's servers, where they run. An
 * event stream is read by the parser that the pages use themselves.
 */

import { decodeFrame, describeFrame, faultsOf, textOf } from "./frame.js";
import { parseHex } from "./hex.js";
import { bytesOf, readStream } from "./stream.js";

/** @typedef {import("./marking.js").Checkers} Checkers */
/** @typedef {import("./marking.js").Mark} Mark */

/**
 * @param {string} note
 * @returns {Mark}
 */
function wrong(note) {
  return { isRight: false, note };
}

/**
 * The lines of a text as a reader may type them: without spaces at their ends, and
 * without empty lines before and after.
 *
 * @param {string} text
 */
function tidy(text) {
  return text.replace(/[ \t]+$/gm, "").replace(/^\n+|\s+$/g, "");
}

/**
 * An event stream that makes a browser dispatch certain events. `wanted` has a list of
 * them, `events`, with some of their members, and maybe the `lastEventId` at the end.
 *
 * @param {string} given
 * @param {unknown} wanted
 * @returns {Mark}
 */
function checkStream(given, wanted) {
  const { events, lastEventId } =
    /** @type {{ events: object[], lastEventId?: string }} */ (wanted);
  // Nobody sees an empty line at the end of a text field.
  const read = readStream(bytesOf(`${given.replace(/\n+$/, "")}\n\n`));
  const seen = read.events.map(({ type, data, lastEventId: id }) => ({
    type,
    data,
    lastEventId: id,
  }));
  if (seen.length !== events.length)
    return wrong(`A browser dispatches ${seen.length} here, and not ${events.length}.`);
  for (const [at, event] of events.entries()) {
    for (const [name, value] of Object.entries(event)) {
      const is = seen[at][/** @type {keyof typeof seen[0]} */ (name)];
      if (is !== value) return wrong(`${name} of event ${at + 1} is "${is}" here.`);
    }
  }
  if (lastEventId !== undefined && read.lastEventId !== lastEventId)
    return wrong(`Afterwards the last event id is "${read.lastEventId}" here.`);
  return { isRight: true };
}

/**
 * @typedef {object} WantedFrame
 * @property {"client" | "server"} sender by whose rules it is judged
 * @property {number} opcode
 * @property {string} [text] the payload, or the reason of a close
 * @property {number} [code] of a close
 */

/**
 * A whole message in one frame, in hexadecimal digits. `wanted` is a
 * {@link WantedFrame}.
 *
 * @param {string} given
 * @param {unknown} wanted
 * @returns {Mark}
 */
function checkFrame(given, wanted) {
  const { sender, opcode, text, code } = /** @type {WantedFrame} */ (wanted);
  let bytes;
  try {
    bytes = parseHex(given);
  } catch (error) {
    return wrong(/** @type {SyntaxError} */ (error).message);
  }
  const read = decodeFrame(bytes);
  if (!read) return wrong("This is not a whole frame yet.");
  const { frame, size, isShortest } = read;
  const extra = bytes.length - size;
  if (extra > 0) return wrong(`The frame ends ${extra} bytes before your last byte.`);
  const [fault] = faultsOf(frame, sender);
  if (fault) return wrong(fault);
  if (!isShortest) return wrong("Its length fits into fewer bytes.");
  const { payload } = frame;
  const own = opcode === 8 ? payload.slice(2) : payload;
  if (
    frame.opcode !== opcode ||
    !frame.fin ||
    (text !== undefined && textOf(own) !== text) ||
    (code !== undefined && ((payload[0] << 8) | payload[1]) !== code)
  )
    return wrong(`This reads: ${describeFrame(frame)}, "${textOf(own) ?? "?"}".`);
  return { isRight: true };
}

/**
 * The head of a request. `wanted` has its first line, and headers by their names; other
 * headers may stand there as well.
 *
 * @param {string} given
 * @param {unknown} wanted
 * @returns {Mark}
 */
function checkRequest(given, wanted) {
  const { line, headers = {} } =
    /** @type {{ line: string, headers?: Record<string, string> }} */ (wanted);
  const [first = "", ...rest] = tidy(given).split("\n");
  // Whether the path is relative, and the version, are not what is asked for.
  const plain = (/** @type {string} */ text) =>
    text
      .trim()
      .replace(/\s+HTTP\/[\d.]+$/i, "")
      .replace(/\s+\/?/, " ");
  if (plain(first) !== plain(line)) return wrong(`Not this first line: ${first}`);
  const found = new Map(
    rest.map((text) => {
      const [name, ...value] = text.split(":");
      return [name.trim().toLowerCase(), value.join(":").trim()];
    }),
  );
  for (const [name, value] of Object.entries(headers)) {
    const is = found.get(name.toLowerCase());
    if (is === undefined) return wrong("A header is missing.");
    if (is !== value) return wrong(`Not this value of ${name}: ${is}`);
  }
  return { isRight: true };
}

/**
 * JSON with the same content, whatever its spaces and the order of its members.
 *
 * @param {string} given
 * @param {unknown} wanted
 * @returns {Mark}
 */
function checkJson(given, wanted) {
  let value;
  try {
    value = JSON.parse(given);
  } catch {
    return wrong("This is no JSON.");
  }
  if (sorted(value) === sorted(wanted)) return { isRight: true };
  return wrong("Not this content.");
}

/**
 * @param {unknown} value
 * @returns {string} the same text for the same content
 */
function sorted(value) {
  return JSON.stringify(value, (_, inner) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** @type {Checkers} */
export const CHECKERS = {
  "event-stream": { by: "the parser that the book's pages use", check: checkStream },
  frame: { by: "the module that builds the frames above", check: checkFrame },
  request: { by: "a script on this page", check: checkRequest },
  json: { by: "a script on this page", check: checkJson },
};
