// @ts-check
// The questions and machines as they stand in the chapters: each can be answered, and its own
// answer is right. Run with `node --test crates/web/tests/`.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { before, test } from "node:test";
import { CHECKERS } from "../book/checkers.js";
import { markOrder, readKind, readPlaces, readRange } from "../book/marking.js";
import { initSync } from "../marker/marker.js";

// What a page loads by its address.
const module = new URL("../marker/marker_bg.wasm", import.meta.url);
before(() => initSync({ module: readFileSync(module) }));

const src = new URL("../../../src/", import.meta.url);

/** The chapters that ask, four to six times each. The rest is for looking things up. */
const CHAPTERS = [
  "introduction.md",
  "foundations/round-trips.md",
  "foundations/connections.md",
  "foundations/http-versions.md",
  "foundations/in-between.md",
  "polling/index.md",
  "long-polling/index.md",
  "sse/index.md",
  "sse/tokens.md",
  "websocket/index.md",
  "websocket/whiteboard.md",
  "http2-push/index.md",
  "contract.md",
  "choosing/index.md",
  "choosing/cases.md",
  "choosing/neighbours.md",
];

/**
 * @typedef {object} Asked
 * @property {string} page
 * @property {Record<string, string>} attributes
 * @property {string} question what stands before the fold
 * @property {string[]} items
 * @property {string} fold
 */

/** @param {string} tag */
function attributesOf(tag) {
  const found = tag.matchAll(/([a-z-]+)=(?:"([^"]*)"|'([^']*)')/g);
  return Object.fromEntries(Array.from(found, ([, name, a, b]) => [name, a ?? b]));
}

/**
 * @param {string} page
 * @param {string} text
 * @returns {Asked[]}
 */
function questionsOf(page, text) {
  const boxes = text.matchAll(/^<div (class="question"[^\n]*)>\n\n([^]*?)\n<\/div>$/gm);
  const folds = text.matchAll(/^<details (class="question"[^\n]*)>\n([^]*?)\n<\/details>$/gm);
  const boxed = Array.from(boxes, ([, tag, inside]) => {
    const parts = inside.split("\n<details>\n<summary>Answer</summary>\n\n");
    assert.equal(parts.length, 2, `${page}: one fold with the summary Answer: ${tag}`);
    const [question, fold] = parts;
    const items = Array.from(question.matchAll(/^\d+\. (.+)$/gm), ([, item]) => item);
    return { page, attributes: attributesOf(tag), question, items, fold };
  });
  const open = Array.from(folds, ([, tag, inside]) => {
    const [question, fold] = inside.split("</summary>\n");
    return { page, attributes: attributesOf(tag), question, items: [], fold };
  });
  return [...boxed, ...open];
}

const pages = readdirSync(src, { encoding: "utf8", recursive: true })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => name.endsWith(".md") && !name.includes(".skt."));
const texts = new Map(pages.map((page) => [page, readFileSync(new URL(page, src), "utf8")]));
const all = Array.from(texts, ([page, text]) => questionsOf(page, text)).flat();

test("each chapter asks four to six questions of three kinds or more", () => {
  for (const chapter of CHAPTERS) {
    const asked = all.filter(({ page }) => page === chapter);
    assert.ok(asked.length >= 4 && asked.length <= 6, `${chapter}: ${asked.length}`);
    const kinds = new Set(asked.map(({ attributes }) => attributes["data-kind"]));
    assert.ok(kinds.size >= 3, `${chapter}: ${[...kinds]}`);
  }
});

test("no question is overlooked here", () => {
  for (const [page, text] of texts) {
    const marked = text.match(/class="question"/g)?.length ?? 0;
    assert.equal(all.filter((asked) => asked.page === page).length, marked, page);
  }
});

test("an id is unique", () => {
  const ids = all.map(({ attributes }) => attributes.id);
  for (const id of ids) assert.match(id, /^q-[a-z0-9-]+$/);
  assert.equal(new Set(ids).size, ids.length);
});

for (const { page, attributes, question, items, fold } of all) {
  const { id, "data-kind": named, "data-answer": answer, "data-checker": checker } = attributes;
  test(`${page}: ${id}`, async () => {
    const kind = readKind(named);
    assert.ok(fold.trim().length > 80, "an answer says why");
    if (kind === "open") return;
    assert.match(question, /^\*\*[A-Z][^*]+[.?]\*\* /, "it begins with what to do");
    assert.match(fold, /\]\([^)]*#/, "the answer leads to a section");
    if (kind === "number") {
      const [least, most] = readRange(answer);
      assert.deepEqual(items, []);
      // The answer's first words are the number.
      const first = /^\*\*([^*]+?)\.?\*\*/m.exec(fold)?.[1] ?? "";
      const words = ["none", "one", "two", "three", "four", "five", "six"];
      const spelt = words.indexOf(first.toLowerCase());
      const digits = /[\d,]+(?:\.\d+)?/.exec(first)?.[0].replaceAll(",", "");
      const number = spelt < 0 ? Number(digits) : spelt;
      assert.ok(least <= number && number <= most, `${first} is not ${answer}`);
    } else if (kind === "bytes") {
      const wanted = JSON.parse(answer);
      const listing = /^```[a-z]*\n([^]*?)^```$/m.exec(fold)?.[1] ?? "";
      const { check } = CHECKERS[checker];
      assert.deepEqual(await check(listing, wanted), { isRight: true }, listing);
      for (const wrong of ["", "nothing", listing.slice(0, listing.trimEnd().length / 2)])
        assert.equal((await check(wrong, wanted)).isRight, false, wrong);
    } else {
      const places = readPlaces(answer, items.length);
      assert.ok(items.length >= 2);
      if (kind === "choice") assert.equal(places.length, 1);
      if (kind === "several") assert.ok(places.length > 1 && places.length < items.length);
      if (kind === "order") {
        assert.equal(places.length, items.length);
        const printed = items.map((_, at) => at + 1);
        assert.equal(markOrder(printed, places).isRight, false, "it is printed in order");
      }
    }
  });
}

test("a page names machines that are there", async () => {
  let named = 0;
  for (const [page, text] of texts) {
    for (const [, rest] of text.matchAll(/^<div class="machine"([^\n]*)>$/gm)) {
      named += 1;
      const { "data-machine": name } = attributesOf(rest);
      const file = new URL(`../book/${name}-view.js`, import.meta.url);
      assert.ok(existsSync(file), `${page}: ${name}`);
      assert.equal(typeof (await import(file.href)).mount, "function", name);
    }
  }
  assert.ok(named >= 4, `only ${named} machines`);
});
