// @ts-check
/**
 * Frames of a WebSocket, written and read by hand (RFC 6455 §5.2).
 *
 * A browser does this below `WebSocket`, where no script sees it. This module is for
 * seeing it.
 */

/**
 * @typedef {object} Frame
 * @property {boolean} fin whether it is the last frame of its message
 * @property {number} [reserved] three bits, 0 unless an extension has been agreed on
 * @property {number} opcode
 * @property {Uint8Array | null} mask four bytes, in a frame of a client
 * @property {Uint8Array} payload as it is meant, without the mask
 */

/** What an opcode says. */
export const OPCODES = new Map([
  [0, "goes on with a message"],
  [1, "text"],
  [2, "binary"],
  [8, "close"],
  [9, "ping"],
  [10, "pong"],
]);

/** The longest payload of a close, a ping or a pong, in bytes (RFC 6455 §5.5). */
const MOST_OF_CONTROL = 125;

/**
 * Each byte XOR one of the key's, in turn. The same call takes the mask off again.
 *
 * @param {Uint8Array} payload
 * @param {Uint8Array} key four bytes
 */
export function applyMask(payload, key) {
  return payload.map((byte, at) => byte ^ key[at % 4]);
}

/**
 * The parts of a frame in the order in which they travel.
 *
 * @typedef {object} Parts
 * @property {Uint8Array} head two bytes
 * @property {Uint8Array} length empty where the head says the length itself
 * @property {Uint8Array} key empty where there is no mask
 * @property {Uint8Array} payload as it is sent
 */

/**
 * @param {Frame} frame
 * @returns {Parts}
 */
export function partsOf({ fin, reserved = 0, opcode, mask, payload }) {
  const { short, length } = lengthOf(payload.length);
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  // In this order.
  return {
    head: Uint8Array.of(first, (mask ? 0x80 : 0) | short),
    length,
    key: mask ?? new Uint8Array(),
    payload: mask ? applyMask(payload, mask) : payload,
  };
}

/**
 * How a length is written: 125 is the most that the 7 bits of the head say themselves,
 * and 126 and 127 there mean that two or eight bytes follow.
 *
 * @param {number} bytes
 */
function lengthOf(bytes) {
  if (bytes < 126) return { short: bytes, length: new Uint8Array() };
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes));
  return bytes < 2 ** 16
    ? { short: 126, length: length.slice(6) }
    : { short: 127, length };
}

/**
 * The bytes of a frame on the wire.
 *
 * @param {Frame} frame
 * @returns {Uint8Array}
 */
export function encodeFrame(frame) {
  const parts = Object.values(partsOf(frame));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Reads one frame from the front of some bytes.
 *
 * @param {Uint8Array} bytes
 * @returns {{ frame: Frame, size: number, isShortest: boolean } | null} with the bytes
 *   that the frame takes, and whether its length is written in as few bytes as it could
 *   be; `null` where the frame is not complete
 */
export function decodeFrame(bytes) {
  if (bytes.length < 2) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const short = bytes[1] & 0x7f;
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const keyAt = 2 + lengthBytes;
  if (bytes.length < keyAt) return null;
  let length = short;
  if (lengthBytes === 2) length = view.getUint16(2);
  // A length that a number does not hold exactly is far more than there are bytes.
  else if (lengthBytes === 8) length = Number(view.getBigUint64(2));
  const isMasked = (bytes[1] & 0x80) !== 0;
  const payloadAt = keyAt + (isMasked ? 4 : 0);
  if (bytes.length < payloadAt + length) return null;
  const mask = isMasked ? bytes.slice(keyAt, payloadAt) : null;
  const sent = bytes.slice(payloadAt, payloadAt + length);
  return {
    frame: {
      fin: (bytes[0] & 0x80) !== 0,
      reserved: (bytes[0] >> 4) & 7,
      opcode: bytes[0] & 0x0f,
      mask,
      payload: mask ? applyMask(sent, mask) : sent,
    },
    size: payloadAt + length,
    isShortest: lengthOf(length).short === short,
  };
}

/**
 * What the protocol forbids in a frame, in words for a reader. It looks at one frame,
 * and so not at what needs those before it.
 *
 * @param {Frame} frame
 * @param {"client" | "server"} sender
 * @returns {string[]}
 */
export function faultsOf({ fin, reserved = 0, opcode, mask, payload }, sender) {
  const faults = [];
  if (reserved !== 0)
    faults.push("A reserved bit is set, and no extension is agreed on.");
  if (!OPCODES.has(opcode)) faults.push(`No frame has the opcode ${opcode}.`);
  if (sender === "client" && !mask) faults.push("A client has to mask each frame.");
  if (sender === "server" && mask) faults.push("A server may mask no frame.");
  if (opcode >= 8) {
    if (!fin) faults.push("A close, a ping or a pong is one frame, so FIN is 1.");
    if (payload.length > MOST_OF_CONTROL)
      faults.push(`A close, a ping or a pong has at most ${MOST_OF_CONTROL} bytes.`);
  }
  if (opcode === 8 && payload.length === 1)
    faults.push("A close has no payload, or a code of two bytes first.");
  const text = opcode === 8 ? payload.slice(2) : payload;
  if ((opcode === 8 || (opcode === 1 && fin)) && textOf(text) === null)
    faults.push("The text is not UTF-8.");
  return faults;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string | null} `null` if they are not UTF-8
 */
export function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The payload of a close: its code in two bytes, and the reason.
 *
 * @param {number} code
 * @param {string} reason
 */
export function closePayload(code, reason) {
  return Uint8Array.of(code >> 8, code & 0xff, ...new TextEncoder().encode(reason));
}

/**
 * A frame in a sentence.
 *
 * @param {Frame} frame
 * @returns {string}
 */
export function describeFrame({ fin, opcode, mask, payload }) {
  const hasCode = opcode === 8 && payload.length > 1;
  return [
    OPCODES.get(opcode) ?? `opcode ${opcode}`,
    ...(hasCode ? [`code ${(payload[0] << 8) | payload[1]}`] : []),
    mask ? "masked" : "not masked",
    payload.length === 1 ? "1 byte" : `${payload.length} bytes`,
    ...(opcode >= 8 ? [] : [fin ? "the last frame of its message" : "more follows"]),
  ].join(", ");
}
