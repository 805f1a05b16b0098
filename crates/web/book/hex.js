// @ts-check
/** Bytes as people write them: two hexadecimal digits each, with spaces between. */

/**
 * @param {Iterable<number>} bytes
 * @returns {string} `81 05 48`
 */
export function formatHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/**
 * Reads bytes. Spaces and line ends may stand anywhere, `0x` before a byte, and a comma
 * behind it.
 *
 * @param {string} text
 * @returns {Uint8Array}
 * @throws {SyntaxError} that says what is wrong, for a reader
 */
export function parseHex(text) {
  const digits = text.replace(/0x/gi, " ").replace(/[\s,]+/g, "");
  const wrong = /[^0-9a-f]/i.exec(digits);
  if (wrong) throw new SyntaxError(`"${wrong[0]}" is no hexadecimal digit.`);
  if (digits.length % 2 === 1)
    throw new SyntaxError("A byte has two digits, and the last one here has one.");
  const bytes = digits.match(/../g) ?? [];
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 16));
}

/**
 * @param {number} byte
 * @param {number} [width]
 * @returns {string} its bits
 */
export function formatBits(byte, width = 8) {
  return byte.toString(2).padStart(width, "0");
}
