// @ts-check
/** The bytes of an arrow on the page: text and hexadecimal side by side, by parts. */

import { create } from "../book/parts.js";
import { formatHex } from "../book/hex.js";
import { countBytes, explain } from "./explain.js";
import { formatTime, sayArrow } from "./track.js";

/** @typedef {import("./arrows.js").Arrow} Arrow */
/** @typedef {import("./explain.js").Part} Part */

/** How much of a part is shown. */
const MOST_SHOWN = 512;
/** A response with a hundred headers is no use to a reader. */
const MOST_PARTS = 100;

/**
 * @param {Arrow} arrow
 * @returns {HTMLElement[]}
 */
export function showArrow(arrow) {
  const parts = explain(arrow);
  const head = create(
    "p",
    {},
    create("strong", {}, formatTime(arrow.t)),
    ` ${sayArrow(arrow)}.`,
  );
  const rows = parts.slice(0, MOST_PARTS).map(showPart);
  const body = create("tbody", {}, ...rows);
  const columns = ["Part", "Text", "Bytes"].map((name) =>
    create("th", { scope: "col" }, name),
  );
  const table = create(
    "table",
    { class: "wire-parts" },
    create("caption", {}, "Its bytes, in their order"),
    create("thead", {}, create("tr", {}, ...columns)),
    body,
  );
  const notes = [];
  if (parts.length > MOST_PARTS)
    notes.push(`${parts.length - MOST_PARTS} further parts are not shown.`);
  const kept = arrow.bytes.length;
  if (arrow.head) notes.push("Of the heads there are no bytes: a script sees none.");
  else if (kept < arrow.size)
    notes.push(`Of its ${countBytes(arrow.size)}, ${kept} have been kept.`);
  return [
    head,
    create(
      "div",
      { class: "wire-scroll", tabindex: 0, role: "group", "aria-label": "Bytes" },
      table,
    ),
    ...notes.map((note) => create("p", { class: "wire-quiet" }, note)),
  ];
}

/** @param {Part} part */
function showPart({ name, says, bytes, text }) {
  const hex = formatHex(bytes.subarray(0, MOST_SHOWN));
  const left = bytes.length - MOST_SHOWN;
  const more = left > 0 ? ` … and ${countBytes(left)} more` : "";
  const shown =
    text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} … and more` : text;
  return create(
    "tr",
    {},
    create("th", { scope: "row" }, name),
    create(
      "td",
      {},
      ...(shown ? [create("code", {}, shown)] : []),
      ...(says ? [create("span", {}, says)] : []),
    ),
    create("td", {}, create("code", {}, hex + more)),
  );
}
