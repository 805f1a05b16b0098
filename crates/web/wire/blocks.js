// @ts-check
/**
 * Where the blocks of an event stream end, however its bytes are cut.
 */

import { lineEnds } from "../book/stream.js";
import { EventStreamParser } from "../sse/event-stream.js";
import { readBlock } from "./arrows.js";
import { concat } from "./bytes.js";

/** @typedef {import("./arrows.js").Meaning} Meaning */
/** @typedef {import("../sse/event-stream.js").StreamEvent} StreamEvent */

const CR = 0x0d;
const LF = 0x0a;

/** More than any block of this book has, in bytes. */
const LONGEST_BLOCK = 2 ** 20;

export class BlockReader {
  /** @type {StreamEvent[]} */
  #events = [];
  #parser = new EventStreamParser((event) => this.#events.push(event));
  /** What has come of the block, but for its last line. @type {Uint8Array[]} */
  #block = [];
  /** What has come of the line whose end is not certain. */
  #tail = new Uint8Array();
  #length = 0;

  /**
   * Reads on to the end of the block, or of the bytes.
   *
   * @param {Uint8Array} bytes
   * @returns {{ used: number, meaning: Meaning | null }} how many of them belong to the
   *   block, and what it means if it has ended with these
   * @throws {RangeError} if it grows too long
   */
  offer(bytes) {
    this.#length += bytes.length;
    if (this.#length > LONGEST_BLOCK) throw new RangeError("The block is too long.");
    const joined = concat([this.#tail, bytes]);
    let begin = 0;
    for (const end of lineEnds(joined)) {
      // An LF may follow, and would belong to it.
      if (end === joined.length && joined[end - 1] === CR) break;
      const isBlank = joined[begin] === CR || joined[begin] === LF;
      this.#block.push(joined.subarray(begin, end));
      begin = end;
      if (!isBlank) continue;
      const used = end - this.#tail.length;
      this.#tail = new Uint8Array();
      return { used, meaning: this.#end() };
    }
    this.#tail = joined.slice(begin);
    return { used: bytes.length, meaning: null };
  }

  /**
   * The stream has ended.
   *
   * @returns {Meaning | null} of a block that its last byte has ended
   */
  close() {
    if (this.#tail.length !== 1 || this.#tail[0] !== CR) return null;
    this.#block.push(this.#tail);
    this.#tail = new Uint8Array();
    return this.#end();
  }

  #end() {
    const block = concat(this.#block);
    this.#block = [];
    this.#length = 0;
    this.#events = [];
    this.#parser.push(block);
    return readBlock(this.#events[0], block);
  }
}
