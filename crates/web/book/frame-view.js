// @ts-check
/** A machine that builds a WebSocket frame while one types, and shows the masking. */

import {
  applyMask,
  closePayload,
  decodeFrame,
  describeFrame,
  encodeFrame,
  faultsOf,
  OPCODES,
  partsOf,
  textOf,
} from "./frame.js";
import { formatBits, formatHex, parseHex } from "./hex.js";
import {
  addStyle,
  button,
  create,
  createMachine,
  createStatus,
  field,
  select,
} from "./parts.js";

/** @typedef {import("./frame.js").Frame} Frame */

/** The key of the examples in RFC 6455 and in the chapter. */
const KEY = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/** How many bytes of a payload are shown, and how many of them beside their key. */
const SHOWN = 32;
const ROW = 8;

const KINDS = /** @type {const} */ ([
  ["1", "text"],
  ["8", "close 1001"],
  ["9", "ping"],
  ["10", "pong"],
]);

// Where the length begins to be written in another way, and one byte before.
const LENGTHS = /** @type {const} */ ([
  ["", "as typed"],
  ["125", "125 bytes"],
  ["126", "126 bytes"],
  ["65535", "65,535 bytes"],
  ["65536", "65,536 bytes"],
]);

/**
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("machine.css");
  for (const element of elements) mountOne(element);
}

/** @param {HTMLElement} element */
function mountOne(element) {
  const root = createMachine(element, "Build a frame");
  let key = KEY;
  let at = 0;

  const kind = select(KINDS);
  const text = create("input", {
    value: "hello?",
    maxlength: 200,
    autocomplete: "off",
    spellcheck: "false",
  });
  const length = select(LENGTHS);
  const sender = select([
    ["client", "a client, which masks"],
    ["server", "a server, which does not"],
  ]);
  const fin = create("input", { type: "checkbox", checked: true });
  const which = create("input", { type: "range", min: 1, max: 1, value: 1, step: 1 });
  const output = create("div", { class: "mc-output" });
  const masking = create("div", { class: "mc-masking" });
  const status = createStatus();

  /** @returns {Frame} */
  function frame() {
    const opcode = Number(kind.value);
    const typed = new TextEncoder().encode(text.value);
    const long = Number(length.value);
    const payload = long > 0 ? new Uint8Array(long).fill(0x61) : typed;
    return {
      fin: fin.checked,
      opcode,
      mask: sender.value === "client" ? key : null,
      payload: opcode === 8 && long === 0 ? closePayload(1001, text.value) : payload,
    };
  }

  function draw() {
    const built = frame();
    output.replaceChildren(...showFrame(built, senderOf(sender)));
    const steps = Math.min(built.payload.length, SHOWN);
    at = Math.max(0, Math.min(at, steps - 1));
    masking.hidden = built.mask === null || steps === 0;
    which.max = String(Math.max(1, steps));
    which.value = String(at + 1);
    stepped.replaceChildren();
    if (built.mask && steps > 0)
      stepped.append(...showMasking(built.payload, built.mask, at));
  }

  function report() {
    const built = frame();
    const size = encodeFrame(built).length;
    status.textContent = `${size} bytes on the wire: ${describeFrame(built)}.`;
  }

  const newKey = button("New key", () => {
    key = crypto.getRandomValues(new Uint8Array(4));
    draw();
    report();
  });
  const stepped = create("div");
  masking.append(field("Byte of the payload", which), stepped);

  root.append(
    create(
      "div",
      { class: "mc-fields" },
      field("Sent by", sender),
      field("Kind", kind),
      field("Text", text),
      field("Length", length),
      create("label", { class: "mc-check" }, fin, " last frame of its message"),
      newKey,
    ),
    status,
    output,
    masking,
    createReader(),
  );
  for (const control of [kind, text, length, sender, fin]) {
    control.addEventListener("input", draw);
    control.addEventListener("change", report);
  }
  which.addEventListener("input", () => {
    at = Number(which.value) - 1;
    draw();
  });
  draw();
  report();
}

/** @param {HTMLSelectElement} control */
function senderOf(control) {
  return control.value === "client" ? "client" : "server";
}

/**
 * @param {Frame} frame
 * @param {"client" | "server"} sender
 * @returns {HTMLElement[]}
 */
function showFrame(frame, sender) {
  const { head, length, key, payload } = partsOf(frame);
  /** @type {[string, Uint8Array, string][]} */
  const parts = [
    ["head", head, "two bytes, taken apart below"],
    ["length", length, `${frame.payload.length} in ${length.length} bytes of its own`],
    ["key", key, "four random bytes, new for each frame"],
    ["payload", payload, frame.mask ? "XOR the key" : "as it is"],
  ];
  const bytes = create("dl", { class: "mc-parts" });
  for (const [name, value, meaning] of parts) {
    if (value.length === 0) continue;
    const more = value.length > SHOWN ? ` … ${value.length - SHOWN} more` : "";
    bytes.append(
      create(
        "div",
        { "data-part": name },
        create("dt", {}, name),
        create(
          "dd",
          {},
          create("code", {}, formatHex(value.subarray(0, SHOWN)) + more),
          create("span", {}, ` ${meaning}`),
        ),
      ),
    );
  }
  const faults = faultsOf(frame, sender);
  const list = faults.map((fault) => create("p", { class: "mc-fault" }, fault));
  return [bytes, showHead(frame, head), ...list];
}

/**
 * The bits of the first two bytes, each group under its name.
 *
 * @param {Frame} frame
 * @param {Uint8Array} head
 */
function showHead({ fin, opcode, mask, payload }, [first, second]) {
  const short = second & 0x7f;
  const lengths = new Map([
    [126, "two bytes follow"],
    [127, "eight follow"],
  ]);
  const groups = [
    ["FIN", formatBits(first >> 7, 1), fin ? "last" : "more"],
    ["reserved", formatBits((first >> 4) & 7, 3), "none"],
    ["opcode", formatBits(opcode, 4), OPCODES.get(opcode) ?? "unknown"],
    ["MASK", formatBits(second >> 7, 1), mask ? "yes" : "no"],
    ["length", formatBits(short, 7), lengths.get(short) ?? String(payload.length)],
  ];
  const row = (/** @type {number} */ which, /** @type {"th" | "td"} */ cell) =>
    create("tr", {}, ...groups.map((group) => create(cell, {}, group[which])));
  return create(
    "table",
    { class: "mc-bits" },
    create("caption", {}, "The first two bytes, bit by bit"),
    create("thead", {}, row(0, "th")),
    create("tbody", {}, row(1, "td"), row(2, "td")),
  );
}

/**
 * Some bytes of the payload above their key, and one of them in bits.
 *
 * @param {Uint8Array} payload
 * @param {Uint8Array} key
 * @param {number} at
 */
function showMasking(payload, key, at) {
  const sent = applyMask(payload, key);
  const begin = at - (at % ROW);
  const row = Array.from(payload.subarray(begin, begin + ROW), (_, i) => begin + i);
  const line = (
    /** @type {string} */ name,
    /** @type {(at: number) => string} */ cell,
  ) =>
    create(
      "tr",
      {},
      create("th", { scope: "row" }, name),
      ...row.map((i) => create("td", i === at ? { class: "mc-here" } : {}, cell(i))),
    );
  const hex = (/** @type {number} */ byte) => formatHex([byte]);
  const bits = [
    ["payload", payload[at]],
    ["key", key[at % 4]],
    ["sent", sent[at]],
  ];
  return [
    create(
      "table",
      { class: "mc-row" },
      create("caption", {}, `Bytes ${begin + 1} to ${begin + row.length}`),
      create(
        "tbody",
        {},
        line("text", (i) => characterOf(payload[i])),
        line("payload", (i) => hex(payload[i])),
        line("key", (i) => hex(key[i % 4])),
        line("sent", (i) => hex(sent[i])),
      ),
    ),
    create(
      "pre",
      { class: "mc-xor" },
      bits
        .map(([name, byte]) => `${formatBits(Number(byte))}  ${name}`)
        .join("\n")
        .concat(`\nA bit of "sent" is 1 where the two above it differ.`),
    ),
  ];
}

/** @param {number} byte */
function characterOf(byte) {
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}

/** The machine backwards: bytes in, and what they say. */
function createReader() {
  const bytes = create("textarea", {
    rows: 2,
    maxlength: 2000,
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "88 82 37 fa 21 3d 34 13",
  });
  const said = createStatus();
  const read = button("Read them", () => {
    said.textContent = readBytes(bytes.value);
  });
  return create(
    "div",
    { class: "mc-reader" },
    field("Or read bytes as a frame", bytes, "Two hexadecimal digits for each byte."),
    read,
    said,
  );
}

/**
 * @param {string} text
 * @returns {string} what a frame says, or why it is none
 */
export function readBytes(text) {
  let bytes;
  try {
    bytes = parseHex(text);
  } catch (error) {
    return /** @type {SyntaxError} */ (error).message;
  }
  const read = decodeFrame(bytes);
  if (!read) return "This is not a whole frame: the rest comes with the next packet.";
  const { frame, size, isShortest } = read;
  const own = frame.opcode === 8 ? frame.payload.subarray(2) : frame.payload;
  const content = textOf(own);
  const says = [`A frame of ${size} bytes: ${describeFrame(frame)}.`];
  if (content) says.push(`Its text is "${content}".`);
  if (content === null) says.push(`Its payload is ${formatHex(own)}.`);
  // Who may have sent it shows by its mask.
  says.push(...faultsOf(frame, frame.mask ? "client" : "server"));
  if (!isShortest) says.push("Its length would fit into fewer bytes.");
  if (bytes.length > size) says.push(`${bytes.length - size} more bytes follow it.`);
  return says.join(" ");
}
