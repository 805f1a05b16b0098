// @ts-check
// Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { readRecord } from "../wire/format.js";
import { explain } from "../wire/explain.js";
import { decode } from "./wire/support.js";

/** @typedef {import("../wire/format.js").Recording} Recording */

const FOLDER = new URL("../../../src/recordings/", import.meta.url);

/** @type {[name: string, recording: Recording][]} */
const KEPT = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".json"))
  .map((file) => [file, JSON.parse(readFileSync(new URL(file, FOLDER), "utf8"))]);

/** @param {Recording} recording @param {"up" | "down"} way */
function bytesOf({ pieces }, way) {
  const those = pieces.filter((piece) => piece.way === way);
  return those.reduce((sum, { size }) => sum + size, 0);
}

for (const [file, recording] of KEPT) {
  test(`the view reads ${file} to its last byte`, () => {
    assert.equal(readRecord(recording), recording);
    const { arrows } = decode(recording);
    for (const way of /** @type {const} */ (["up", "down"])) {
      const those = arrows.filter((arrow) => arrow.way === way);
      const size = those.reduce((sum, { size }) => sum + size, 0);
      assert.equal(size, bytesOf(recording, way), way);
    }
    for (const arrow of arrows) {
      const { kind, label, spans, bytes, isHalf } = arrow;
      // What a cut has broken off cannot be read.
      if (!isHalf) assert.notEqual(kind, "unread", label);
      if (!isHalf && !arrow.lines)
        assert.ok(!spans.some(({ what }) => what === "unread"), label);
      const explained = explain(arrow).map((part) => part.bytes);
      assert.deepEqual(Buffer.concat(explained), Buffer.from(bytes), label);
    }
  });
}

test("each panel's recording has all that was done with it", () => {
  for (const panel of ["polling", "long-polling", "sse", "websocket"]) {
    const those = KEPT.filter(([file]) => file.startsWith(`${panel}-`));
    assert.equal(those.length, 3, panel);
    const sent = panel === "websocket" ? "publish" : "POST events";
    for (const [file, recording] of those) {
      const { arrows } = decode(recording);
      assert.ok(arrows.filter(({ events }) => events.length > 0).length >= 4, file);
      assert.ok(arrows.some(({ kind, label }) => kind === sent || label === sent), file);
      const { connections, marks } = recording;
      const wasCut = marks.some(({ text }) => text.startsWith("Cut"));
      assert.equal(wasCut, panel !== "polling", file);
      if (wasCut) assert.ok(connections.some(({ by }) => by === "server"), file);
    }
  }
});
