// @ts-check
/**
 * What a record of a wire looks like: the JSON that a server's tap, the service worker
 * and `cargo xtask record` write, and that the wire view reads.
 */

/**
 * A record, whole or what is new in it.
 *
 * @typedef {object} WireRecord
 * @property {1} version
 * @property {"tap" | "worker" | "recording"} source
 * @property {string} started the recorder's clock at t = 0, RFC 3339 with milliseconds,
 *   in UTC. Every `t` is in milliseconds after it
 * @property {number} now the `t` at which this was written; in a recording, its end
 * @property {number} next how many pieces there have been so far: `after` of the next
 *   question
 * @property {number} dropped how many pieces the recorder's bounds have dropped, of
 *   those that `next` counts
 * @property {WireConnection[]} connections all of them, each time
 * @property {WirePiece[]} pieces in the order of their times
 */

/**
 * @typedef {object} WireConnection
 * @property {number} id
 * @property {number} opened when the record of it begins
 * @property {number | null} closed
 * @property {"client" | "server" | null} by who closed it, where that is known
 */

/**
 * What went over a connection at once. Either it has bytes of a network, or it has a
 * `part`: then it is what a script sees of a request, and one `c` is one request.
 *
 * @typedef {object} WirePiece
 * @property {number} c the connection's id
 * @property {number} t
 * @property {"up" | "down"} way `up` is from the client to the server
 * @property {number} size in bytes; of a part, of its body
 * @property {string} [data] base64. Shorter than `size` where the recorder's bounds
 *   have cut it
 * @property {"request" | "response" | "body" | "end"} [part]
 * @property {WireHead} [head] of a request or a response
 * @property {string} [label] a few words that a recorder has decoded, such as the type
 *   of an HTTP/2 frame and its stream. A piece that has it is shown as it is: nothing
 *   decodes its bytes further
 * @property {string} [text] more of that, in lines: decoded headers
 * @property {"request" | "response" | "event" | "other"} [kind] with a label: how its
 *   arrow is drawn and counted
 */

/**
 * @typedef {object} WireHead
 * @property {string} [method]
 * @property {string} [target]
 * @property {number} [status]
 * @property {[name: string, value: string][]} headers
 */

/**
 * What only a recording has.
 *
 * @typedef {object} RecordingHead
 * @property {"tap" | "worker" | "client"} of where its pieces were written down
 * @property {{ name: string, version: string }} engine
 * @property {string} date `2026-11-29`
 * @property {string} what a sentence: what was done, and against what
 * @property {string} [name] a few words, where several are shown side by side: `push`
 * @property {{ t: number, text: string }[]} marks what happened: published, cut
 */

/** @typedef {WireRecord & RecordingHead} Recording */

/**
 * Where a view's records come from while they grow.
 *
 * @typedef {object} LiveSource
 * @property {(after: number) => Promise<WireRecord>} poll gives the pieces after the
 *   first `after` ones
 */

/** The keys under which a client may have its connections watched. */
export const TAP_KEY = /^[A-Za-z0-9]{16,64}$/;

/**
 * @param {any} value from JSON
 * @returns {WireRecord | null} `null` where it is no record of this version
 */
export function readRecord(value) {
  if (value?.version !== 1 || typeof value.started !== "string") return null;
  if (![value.now, value.next, value.dropped].every(Number.isFinite)) return null;
  const { connections, pieces } = value;
  return Array.isArray(connections) && Array.isArray(pieces) ? value : null;
}

/**
 * @param {string} [base64]
 * @returns {Uint8Array<ArrayBuffer>} empty where there is none, or it is not base64
 */
export function decodeBytes(base64 = "") {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
