// @ts-check
/** A machine in which a reader sets the time-outs of a path, and sees who gives up. */

import {
  addStyle,
  button,
  create,
  createMachine,
  createStatus,
  field,
  select,
} from "./parts.js";
import { judge } from "./timeouts.js";

/** @typedef {import("./timeouts.js").Chain} Chain */
/** @typedef {import("./timeouts.js").Party} Party */
/** @typedef {import("./timeouts.js").Situation} Situation */
/** @typedef {import("./timeouts.js").Verdict} Verdict */

/** @type {readonly (readonly [Situation, string])[]} */
const SITUATIONS = [
  ["answer", "A long poll waits for its answer"],
  ["stream", "A stream on which nothing happens"],
  ["kept", "A kept connection, proxy to server"],
];

/** @type {Record<Party, string>} */
const TITLES = { client: "Client", cdn: "CDN", proxy: "Proxy", server: "Server" };

/** What each box's time is, in each situation. No text: it has no part in it. */
const MEANINGS = /** @type {Record<Situation, Record<Party, string>>} */ ({
  answer: {
    client: "waits for an answer",
    cdn: "bears silence",
    proxy: "bears silence",
    server: "parks the request",
  },
  stream: {
    client: "bears silence",
    cdn: "bears silence",
    proxy: "bears silence",
    server: "",
  },
  kept: { client: "", cdn: "", proxy: "keeps it", server: "keeps it" },
});

/**
 * Times to begin with, in seconds: those of this book's clients and servers, nginx and
 * Cloudflare, and paths that fail. The chapter's table has their sources.
 *
 * @type {[name: string, chain: Chain][]}
 */
export const PRESETS = [
  [
    "This book behind nginx and Cloudflare",
    {
      situation: "answer",
      client: 35,
      cdn: 120,
      proxy: 60,
      isWholeAnswer: false,
      server: 25,
      heartbeat: 15,
    },
  ],
  [
    "The same behind Envoy's route",
    {
      situation: "answer",
      client: 35,
      cdn: 120,
      proxy: 15,
      isWholeAnswer: true,
      server: 25,
      heartbeat: 15,
    },
  ],
  [
    "A stream behind Envoy's route",
    {
      situation: "stream",
      client: 31,
      cdn: 120,
      proxy: 15,
      isWholeAnswer: true,
      server: 25,
      heartbeat: 5,
    },
  ],
  [
    "A heartbeat each minute, and nginx",
    {
      situation: "stream",
      client: 121,
      cdn: 120,
      proxy: 60,
      isWholeAnswer: false,
      server: 25,
      heartbeat: 60,
    },
  ],
  [
    "A server that closes before its balancer",
    {
      situation: "kept",
      client: 35,
      cdn: 120,
      proxy: 60,
      isWholeAnswer: false,
      server: 10,
      heartbeat: 15,
    },
  ],
];

// An hour: longer than anybody waits, and a bar still has a width.
const LONGEST = 3600;

/**
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("machine.css");
  for (const element of elements) mountOne(element);
}

/** @param {HTMLElement} element */
function mountOne(element) {
  const root = createMachine(element, "Who gives up first?");
  const situation = select(SITUATIONS);
  const boxes = /** @type {Record<Party, Seconds>} */ ({});
  for (const party of parties()) boxes[party] = seconds();
  const heartbeat = seconds();
  const beats = create("input", { type: "checkbox" });
  const isWhole = create("input", { type: "checkbox" });
  const output = create("div", { class: "mc-output" });
  const status = createStatus();

  const fields = Object.fromEntries(
    parties().map((party) => [party, field(TITLES[party], boxes[party])]),
  );
  const heartbeatField = field("Heartbeat every, in s", heartbeat);
  const beatsField = create(
    "label",
    { class: "mc-check" },
    beats,
    " the server sends heartbeats",
  );
  const wholeField = create(
    "label",
    { class: "mc-check" },
    isWhole,
    " the proxy's time is for the whole answer",
  );

  /** @returns {Chain} */
  function chain() {
    return {
      situation: /** @type {Situation} */ (situation.value),
      client: read(boxes.client),
      cdn: read(boxes.cdn),
      proxy: read(boxes.proxy),
      server: read(boxes.server),
      isWholeAnswer: isWhole.checked,
      heartbeat: beats.checked ? read(heartbeat) : null,
    };
  }

  function draw() {
    const set = chain();
    const meanings = MEANINGS[set.situation];
    for (const party of parties()) {
      fields[party].hidden = meanings[party] === "";
      const label = fields[party].querySelector("label");
      if (label) label.textContent = `${TITLES[party]} ${meanings[party]}, in s`;
    }
    const isStream = set.situation === "stream";
    beatsField.hidden = !isStream;
    heartbeatField.hidden = !isStream || !beats.checked;
    wholeField.hidden = !isStream;
    output.replaceChildren(...showVerdict(set, judge(set)));
  }

  function report() {
    const { how, says } = judge(chain());
    status.dataset.how = how;
    status.textContent = says;
  }

  /** @param {Chain} preset */
  function take(preset) {
    situation.value = preset.situation;
    for (const party of parties()) boxes[party].value = String(preset[party]);
    beats.checked = preset.heartbeat !== null;
    heartbeat.value = String(preset.heartbeat ?? 15);
    isWhole.checked = preset.isWholeAnswer ?? false;
    draw();
    report();
  }

  const presets = PRESETS.map(([name, preset]) => button(name, () => take(preset)));
  root.append(
    create("div", { class: "mc-bar mc-presets" }, ...presets),
    field("What waits", situation),
    create(
      "div",
      { class: "mc-fields" },
      ...parties().map((party) => fields[party]),
      heartbeatField,
    ),
    beatsField,
    wholeField,
    status,
    output,
  );
  for (const control of root.querySelectorAll("input, select")) {
    control.addEventListener("input", draw);
    control.addEventListener("change", report);
  }
  take(PRESETS[0][1]);
}

/** @typedef {HTMLInputElement} Seconds */

/** @returns {Party[]} in the order of the path */
function parties() {
  return ["client", "cdn", "proxy", "server"];
}

/** @returns {Seconds} */
function seconds() {
  return create("input", {
    type: "number",
    min: 1,
    max: LONGEST,
    step: 1,
    inputmode: "numeric",
    autocomplete: "off",
  });
}

/**
 * @param {Seconds} control
 * @returns {number} within bounds, whatever stands in the field
 */
function read(control) {
  const value = control.valueAsNumber;
  return Number.isFinite(value) ? Math.min(LONGEST, Math.max(1, value)) : 1;
}

/**
 * @param {Chain} chain
 * @param {Verdict} verdict
 * @returns {HTMLElement[]}
 */
function showVerdict(chain, { first, how, sees }) {
  const shown = parties().filter((party) => MEANINGS[chain.situation][party] !== "");
  const times = shown.map((party) => chain[party]);
  const beat = chain.situation === "stream" ? chain.heartbeat : null;
  const longest = Math.max(...times, beat ?? 0);
  /**
   * @param {string} name
   * @param {number} time
   * @param {string} [mark]
   */
  const bar = (name, time, mark) =>
    create(
      "li",
      mark ? { "data-mark": mark } : {},
      create("span", {}, name),
      create(
        "span",
        { class: "mc-track" },
        create("span", { class: "mc-bar-of", style: `--part: ${time / longest}` }),
      ),
      create("span", {}, `${time} s${mark === "first" ? ", first" : ""}`),
    );
  const bars = shown.map((party) =>
    bar(TITLES[party], chain[party], first.includes(party) ? "first" : undefined),
  );
  if (beat !== null) bars.push(bar("Heartbeat", beat));
  const rows = parties()
    .filter((party) => sees[party] !== "")
    .map((party) =>
      create(
        "tr",
        {},
        create("th", { scope: "row" }, TITLES[party]),
        create("td", {}, sees[party]),
      ),
    );
  return [
    create("ol", { class: "mc-bars", "data-how": how }, ...bars),
    create(
      "table",
      { class: "mc-sees" },
      create("caption", {}, "What each of them sees"),
      create("tbody", {}, ...rows),
    ),
  ];
}
