// @ts-check
/** A machine in which a reader lets a crowd come back. */

import { drawHerds, judge, tally, TITLES } from "./herd-draw.js";
import { DEFAULT, simulate } from "./herd.js";
import {
  addStyle,
  create,
  createMachine,
  createStatus,
  field,
  select,
} from "./parts.js";

/** @typedef {import("./herd.js").Policy} Policy */
/** @typedef {import("./herd.js").Setting} Setting */

/** @type {[value: string, text: string][]} */
const CLIENTS = [
  ["1000", "1,000"],
  ["3000", "3,000"],
  ["10000", "10,000"],
  ["20000", "20,000"],
];

/** @type {[value: string, text: string][]} */
const AWAY = [
  ["0", "not: another server is there"],
  ["3000", "for 3 s"],
  ["10000", "for 10 s"],
  ["30000", "for 30 s"],
];

/** @type {[value: string, text: string][]} */
const REFUSALS = [
  ["0.05", "a twentieth of it"],
  ["0.2", "a fifth of it"],
  ["1", "as much: a TLS handshake"],
];

/** How long a machine looks on after the server is there. */
const LOOKS_ON = 60_000;
/** As the figure of the chapter. The style sheet fits it into its room. */
const VIEW = {
  width: 420,
  height: 150,
  label:
    "Requests in each 100 ms over time, on a logarithmic axis. What comes of it is " +
    "said above, and in numbers below.",
};

/**
 * @param {readonly HTMLElement[]} elements
 */
export async function mount(elements) {
  await addStyle("machine.css");
  for (const element of elements) mountOne(element);
}

/** @param {HTMLElement} element */
function mountOne(element) {
  const root = createMachine(element, "How does the crowd come back?");
  const policies = /** @type {[Policy, string][]} */ (Object.entries(TITLES));
  const policy = select(policies);
  const clients = select(CLIENTS);
  const away = select(AWAY);
  const refusal = select(REFUSALS);
  const saysWhen = create("input", { type: "checkbox" });
  const status = createStatus();
  const picture = create("div", { class: "mc-picture" });
  const numbers = create("dl", { class: "mc-facts mc-numbers" });

  /** @returns {Setting} */
  function read() {
    return {
      ...DEFAULT,
      policy: /** @type {Policy} */ (policy.value),
      clients: Number(clients.value),
      away: Number(away.value),
      refusal: Number(refusal.value),
      saysWhen: saysWhen.checked,
      lasts: Number(away.value) + LOOKS_ON,
    };
  }

  function run() {
    const herd = simulate(read());
    const { how, says } = judge(herd);
    status.dataset.how = how;
    status.textContent = says;
    numbers.replaceChildren(
      ...tally(herd).map(([name, number]) =>
        create("div", {}, create("dt", {}, name), create("dd", {}, number)),
      ),
    );
    // The drawing is made of numbers and of words that stand in these modules.
    picture.innerHTML = drawHerds([{ title: "Requests in 100 ms", herd }], VIEW);
  }

  policy.value = DEFAULT.policy;
  clients.value = String(DEFAULT.clients);
  away.value = String(DEFAULT.away);
  refusal.value = String(DEFAULT.refusal);
  root.append(
    create(
      "div",
      { class: "mc-fields" },
      field("A client tries again", policy),
      field("Clients", clients),
      field("The server is away", away),
      field("To refuse costs, beside letting in", refusal),
    ),
    create(
      "label",
      { class: "mc-check" },
      saysWhen,
      " a refusal says when to come back: 1 to 10 s, drawn",
    ),
    status,
    picture,
    numbers,
    create(
      "p",
      { class: "mc-hint" },
      "A model in virtual time: nothing is sent. The server lets in 1,000 clients a " +
        "second, which is 100 in 100 ms; what comes beyond that is drawn in another " +
        "colour. On the grey ground there is no server.",
    ),
  );
  for (const control of root.querySelectorAll("input, select"))
    control.addEventListener("change", run);
  run();
}
