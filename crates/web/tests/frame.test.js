// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  closePayload,
  decodeFrame,
  describeFrame,
  encodeFrame,
  faultsOf,
  partsOf,
  textOf,
} from "../book/frame.js";
import { readBytes } from "../book/frame-view.js";
import { formatBits, formatHex, parseHex } from "../book/hex.js";

/** @typedef {import("../book/frame.js").Frame} Frame */

const KEY = parseHex("37 fa 21 3d");

/**
 * @param {number} opcode
 * @param {string} text
 * @param {Partial<Frame>} [others]
 * @returns {Frame}
 */
function frame(opcode, text, others = {}) {
  const payload = new TextEncoder().encode(text);
  return { fin: true, reserved: 0, opcode, mask: null, payload, ...others };
}

test("the examples of RFC 6455 §5.7 are written and read as they stand there", () => {
  for (const [bytes, meant] of /** @type {[string, Frame][]} */ ([
    ["81 05 48 65 6c 6c 6f", frame(1, "Hello")],
    ["81 85 37 fa 21 3d 7f 9f 4d 51 58", frame(1, "Hello", { mask: KEY })],
    ["01 03 48 65 6c", frame(1, "Hel", { fin: false })],
    ["80 02 6c 6f", frame(0, "lo")],
    ["89 05 48 65 6c 6c 6f", frame(9, "Hello")],
    ["8a 85 37 fa 21 3d 7f 9f 4d 51 58", frame(10, "Hello", { mask: KEY })],
  ])) {
    assert.equal(formatHex(encodeFrame(meant)), bytes);
    const read = decodeFrame(parseHex(bytes));
    assert.deepEqual(read, { frame: meant, size: parseHex(bytes).length, isShortest: true });
  }
});

test("the frames of the chapter come out as the server's tests have them", () => {
  const golden = (/** @type {string} */ name) =>
    readFileSync(
      new URL(`../../../examples/websocket/tests/golden/${name}.txt`, import.meta.url),
      "utf8",
    );
  const asks = formatHex(encodeFrame(frame(1, "hello?", { mask: KEY })));
  assert.equal(asks, "81 86 37 fa 21 3d 5f 9f 4d 51 58 c5");
  for (const line of [asks.slice(0, 17), asks.slice(18)])
    assert.ok(golden("error").includes(line), line);
  const says = encodeFrame(frame(8, "", { payload: closePayload(1001, "shutdown") }));
  assert.equal(formatHex(says), "88 0a 03 e9 73 68 75 74 64 6f 77 6e");
  assert.ok(golden("shutdown").includes(formatHex(says.subarray(2))));
});

test("a length takes the fewest bytes that hold it", () => {
  for (const [length, head] of /** @type {[number, string][]} */ ([
    [125, "82 7d"],
    [126, "82 7e 00 7e"],
    [65_535, "82 7e ff ff"],
    [65_536, "82 7f 00 00 00 00 00 01 00 00"],
  ])) {
    const bytes = encodeFrame(frame(2, "", { payload: new Uint8Array(length).fill(7) }));
    const ownHead = bytes.subarray(0, bytes.length - length);
    assert.equal(formatHex(ownHead), head);
    const read = decodeFrame(bytes);
    assert.equal(read?.frame.payload.length, length);
    assert.equal(read?.isShortest, true);
  }
  // A length that fits into seven bits, in two bytes.
  const long = decodeFrame(parseHex("81 7e 00 02 6f 6b"));
  assert.equal(long && textOf(long.frame.payload), "ok");
  assert.equal(long?.isShortest, false);
});

test("a frame that is not complete is none, and what follows one is left", () => {
  const bytes = encodeFrame(frame(1, "a".repeat(200), { mask: KEY }));
  for (let length = 0; length < bytes.length; length++)
    assert.equal(decodeFrame(bytes.subarray(0, length)), null, `the first ${length} bytes`);
  const two = Uint8Array.of(...bytes, 0x89, 0x00);
  assert.equal(decodeFrame(two)?.size, bytes.length);
  // A length that nobody could hold.
  assert.equal(decodeFrame(parseHex("82 7f ff ff ff ff ff ff ff ff")), null);
  // Bytes from the middle of a buffer.
  assert.equal(decodeFrame(two.subarray(bytes.length))?.frame.opcode, 9);
});

test("what the protocol forbids is named", () => {
  const named = (
    /** @type {Frame} */ it,
    /** @type {"client" | "server"} */ sender,
    /** @type {RegExp[]} */ ...faults
  ) => {
    const found = faultsOf(it, sender);
    assert.equal(found.length, faults.length, found.join(" "));
    faults.forEach((fault, at) => assert.match(found[at], fault));
  };
  named(frame(1, "hi", { mask: KEY }), "client");
  named(frame(1, "hi"), "server");
  named(frame(1, "hi"), "client", /has to mask/);
  named(frame(1, "hi", { mask: KEY }), "server", /mask no frame/);
  named(frame(3, ""), "server", /opcode 3/);
  named(frame(1, "", { reserved: 4 }), "server", /reserved/);
  named(frame(9, "a".repeat(125)), "server");
  named(frame(9, "a".repeat(126)), "server", /125 bytes/);
  named(frame(9, "", { fin: false }), "server", /FIN is 1/);
  named(frame(8, ""), "server");
  named(frame(8, "a"), "server", /two bytes/);
  named(frame(1, "", { payload: Uint8Array.of(0xff) }), "server", /UTF-8/);
  // A character may be cut between two frames.
  named(frame(1, "", { payload: Uint8Array.of(0xc3), fin: false }), "server");
});

test("the parts say where the mask is", () => {
  const { head, length, key, payload } = partsOf(frame(1, "h", { mask: KEY }));
  assert.deepEqual([head, length, key, payload].map(formatHex), ["81 81", "", "37 fa 21 3d", "5f"]);
  assert.equal(
    describeFrame(frame(8, "", { payload: closePayload(1001, "") })),
    "close, code 1001, not masked, 2 bytes",
  );
  assert.equal(
    describeFrame(frame(1, "h", { mask: KEY })),
    "text, masked, 1 byte, the last frame of its message",
  );
});

test("bytes are read as people write them", () => {
  assert.deepEqual([...parseHex(" 81 05\n0x48,65 ")], [0x81, 0x05, 0x48, 0x65]);
  assert.deepEqual([...parseHex("8105")], [0x81, 0x05]);
  assert.deepEqual([...parseHex("")], []);
  assert.throws(() => parseHex("81 g5"), /"g" is no/);
  assert.throws(() => parseHex("81 5"), /two digits/);
  assert.equal(formatBits(0x5f), "01011111");
  assert.equal(formatBits(1, 4), "0001");
});

test("the reader of bytes says what they are", () => {
  const asked = readBytes("81 86 37 fa 21 3d 5f 9f 4d 51 58 c5");
  assert.match(asked, /12 bytes: text, masked.*"hello\?"/);
  assert.match(readBytes("88 82 37 fa 21 3d 34 13"), /close, code 1001/);
  assert.match(readBytes("81 05 48"), /not a whole frame/);
  assert.match(readBytes("zz"), /no hexadecimal digit/);
  assert.match(readBytes("89 00 89 00"), /2 more bytes/);
});
