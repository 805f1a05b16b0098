// @ts-check
/**
 * The calculator on a page: a form, the sums of four methods, what a cloud rules out,
 * and the formulas.
 */

import { HTTP1 } from "../figures/measured.js";
import { addStyles, createSection, find, keepKeys } from "../shared/panel.js";
import { CLOUDS, judge } from "./clouds.js";
import {
  NUMBERS,
  PRESETS,
  readEngine,
  readInputs,
  readNumber,
  writeInputs,
} from "./inputs.js";
import { KEEP_ALIVE, LIMITS, loadFormulas, METHODS, sum } from "./sums.js";

/** @typedef {import("./clouds.js").MethodName} MethodName */
/** @typedef {import("./inputs.js").Inputs} Inputs */
/** @typedef {import("./inputs.js").NumberName} NumberName */
/** @typedef {import("./sums.js").Sums} Sums */

const MARKUP = `
<form class="calculator-form" data-role="form">
  <label class="calculator-wide">A worked choice <select data-role="preset" name="preset"><option value="">your own numbers</option></select></label>
  <span data-role="numbers" class="calculator-numbers"></span>
  <label>HTTP <select data-role="http" name="http"><option value="2">2, over TLS</option><option value="1.1">1.1, without TLS</option></select></label>
  <label class="calculator-wide">Cloud <select data-role="cloud" name="cloud"><option value="">none that is in the way</option></select></label>
  <fieldset class="calculator-many">
    <legend>Many servers over one log</legend>
    <label class="calculator-wide">The log <select data-role="engine" name="engine"><option value="jetstream">NATS JetStream</option><option value="postgres">PostgreSQL</option></select></label>
    <span data-role="many-numbers" class="calculator-numbers"></span>
  </fieldset>
</form>
<p class="lp-note" data-role="summary" role="status"></p>
<table class="lp-table calculator-table">
  <caption>What all clients need together</caption>
  <thead><tr data-role="heads"><th scope="col">What</th></tr></thead>
  <tbody data-role="sums"></tbody>
</table>
<table class="lp-table calculator-table" data-role="many">
  <caption>On many servers, with a zone to spare</caption>
  <thead><tr data-role="many-heads"><th scope="col">What</th></tr></thead>
  <tbody data-role="many-sums"></tbody>
</table>
<p class="lp-note" data-role="kept"></p>
<details>
  <summary>The formulas</summary>
  <dl class="calculator-formulas" data-role="formulas"></dl>
  <p>They are the Rust code of <code>crates/capacity</code>, compiled for your browser, over what the lab has measured. A network that bills requests sees the stream's opening alone. Processor time and memory are those without TLS. What a server itself takes is not in the lateness: this book's long polling waits up to 20 ms for more events before it answers. Over many servers, an opening is not in what they catch up.</p>
</details>
`;

/** @type {Record<MethodName, { title: string, className: string }>} */
const TITLES = {
  polling: { title: "Polling", className: "method-polling" },
  long_polling: { title: "Long polling", className: "method-long-polling" },
  sse: { title: "SSE", className: "method-sse" },
  websocket: { title: "WebSocket", className: "method-websocket" },
};

/**
 * A row of a table, with its formula.
 *
 * @typedef {object} Row
 * @property {string} title
 * @property {string} formula
 * @property {(sums: Sums, inputs: Inputs) => string} value
 * @property {(sums: Sums, inputs: Inputs) => boolean} [fails] it does not work so
 */

/** What all clients need. @type {Row[]} */
const ROWS = [
  {
    title: "Late, on average",
    formula:
      "Half a round trip. Of polling besides: half of (interval + round trip). Of " +
      "long polling: requests of one client × round trip × half a round trip.",
    value: ({ lateness_s }) => formatSeconds(lateness_s),
  },
  {
    title: "Requests a second",
    formula:
      "Polling: clients / interval. Long polling: clients / (wait + round trip), " +
      "where a wait ends with the next event, or on average after " +
      `${HTTP1.long_polling.quiet_after_s} s. A stream: none.`,
    value: ({ requests_per_s }) => formatCount(requests_per_s),
  },
  {
    title: "Bytes from clients",
    formula:
      "Requests × (their bytes + headers); of a stream what answers a heartbeat. " +
      "Over HTTP/2 a header that was sent before is a number, and counts nothing.",
    value: ({ up_bytes_per_s }) => formatBits(up_bytes_per_s),
  },
  {
    title: "Bytes to clients",
    formula:
      "Events × (payload + what is around it) + empty answers, or heartbeats after " +
      `${HTTP1.sse.quiet_after_s} s of silence.`,
    value: ({ down_bytes_per_s }) => formatBits(down_bytes_per_s),
  },
  {
    title: "Connections open",
    formula:
      "One each; of polling the part of the interval for which a server keeps it, " +
      `${KEEP_ALIVE} s.`,
    value: ({ connections }) => formatCount(connections),
  },
  {
    title: "Memory",
    formula: "Connections × what one holds, of the process and of the kernel.",
    value: ({ memory_bytes }) => formatBytes(memory_bytes),
  },
  {
    title: "Processors",
    formula: "Events × the time of one + empty answers or heartbeats × theirs.",
    value: ({ processors }) => formatCount(processors),
  },
  {
    title: "Machines",
    formula:
      "The most of processors / 2, memory / 8 GiB and bandwidth / 1 Gbit/s, each " +
      "filled to a half, rounded up.",
    value: ({ machines }) => formatCount(machines),
  },
  {
    title: "A month, your machines",
    formula:
      "Machines × 730 h × their price, and the traffic in its tiers: list prices.",
    value: ({ machines_bill, traffic_bill }) =>
      `${formatDollars(machines_bill)} + ${formatDollars(traffic_bill)} traffic`,
  },
  {
    title: "A month, a network",
    formula: "Traffic and requests at list prices of one that bills both.",
    value: ({ network_traffic_bill: traffic, network_requests_bill: requests }) =>
      `${formatDollars(traffic)} + ${formatDollars(requests)} requests`,
  },
  {
    title: "One machine's first limit",
    formula: "The least of its limits, with a system's defaults; raised in brackets.",
    value: ({ limit, limit_readers, raised_limit, raised_limit_readers }) =>
      `${LIMITS[limit]}, at ${formatCount(limit_readers)} ` +
      `(${LIMITS[raised_limit]}, at ${formatCount(raised_limit_readers)})`,
  },
];

/** What many servers come to. @type {Row[]} */
const MANY_ROWS = [
  {
    title: "Servers, in all zones",
    formula:
      "Zones × the servers of one. Those of the other zones hold everybody: the more " +
      "of (connections / places) and what Machines says, for clients / (zones − 1).",
    value: ({ servers }) => formatCount(servers),
  },
  {
    title: "Connections to the log",
    formula:
      "Servers × their connections: one to JetStream; up to nine to PostgreSQL, of " +
      "which eight publish and read. In brackets how many it accepts, by default.",
    value: ({ log_connections: connections, most_log_connections: most }) =>
      `${formatCount(connections)} (of ${formatCount(most)})`,
    fails: ({ log_connections: connections, most_log_connections: most }) =>
      connections > most,
  },
  {
    title: "Bytes out of the log",
    formula:
      "Servers × (events of the log × (payload + what is around it) + a look each " +
      "second): a copy to each server, however few of its clients wait for it.",
    value: ({ log_bytes_per_s }) => formatBits(log_bytes_per_s),
  },
  {
    title: "Bytes out of a server",
    formula: "Bytes to clients / servers; in brackets without a zone of them.",
    value: ({ server_down_bytes_per_s: all, full_server_down_bytes_per_s: fewer }) =>
      `${formatBits(all)} (${formatBits(fewer)})`,
  },
  {
    title: "A zone lost: clients come back",
    formula: "Clients / zones.",
    value: ({ lost_readers }) => formatCount(lost_readers),
  },
  {
    title: "To each server, a second",
    formula:
      "Those who come back / servers that are left / the range from which they draw " +
      "their return.",
    value: ({ herd_per_s }) => formatCount(herd_per_s),
    fails: ({ herd_per_s }, { accepts }) => herd_per_s > accepts,
  },
  {
    title: "They should draw from",
    formula:
      "1.25 × those who come to a server / what it lets in, in a second: the rule of " +
      "the herd in Ends and beginnings.",
    value: ({ least_return_s }) => `${formatSeconds(least_return_s)} or more`,
  },
  {
    title: "All are back after",
    formula:
      "What passes until they notice, and then the longer of the range and what it " +
      "takes to let them in. Who is one too many waits; if refused, it takes longer.",
    value: ({ back_s }, { notice }) => formatSeconds(notice + back_s),
  },
  {
    title: "Missed by each, events",
    formula:
      "Events to each × (until it notices + half of the time until all are back).",
    value: ({ missed_events }) => formatCount(missed_events),
  },
  {
    title: "Catching up",
    formula:
      "Those who come back × what they have missed × (payload + what is around it). " +
      "In brackets out of each server, until all are back.",
    value: ({ catch_up_bytes: bytes, server_catch_up_bytes_per_s: each }) =>
      `${formatBytes(bytes)} (${formatBits(each)})`,
  },
];

/** @type {NumberName[]} */
const NAMES = /** @type {NumberName[]} */ (Object.keys(NUMBERS));

let mounted = 0;

/**
 * Puts the calculator into an element, in place of what is there.
 *
 * @param {HTMLElement} element
 * @returns {Promise<{ destroy: () => void }>}
 * @throws {Error} if the formulas do not load; what is there stays
 */
export async function mount(element) {
  await loadFormulas();
  mounted += 1;
  const root = createSection("The calculator", MARKUP);
  // After that of the panels, over which it says more.
  addStyles(new URL("calculator.css", import.meta.url));
  const preset = select(root, "preset");
  const http = select(root, "http");
  const cloud = select(root, "cloud");
  const engine = select(root, "engine");
  const fields = createFields(find(root, "numbers"), find(root, "many-numbers"));
  for (const { title } of PRESETS) preset.add(new Option(title, title));
  for (const { name } of CLOUDS) cloud.add(new Option(name, name));
  createHeads(find(root, "heads"));
  createHeads(find(root, "many-heads"));
  const rows = createRows(find(root, "sums"), ROWS);
  const cloudRow = createCloudRow(find(root, "sums"));
  const manyRows = createRows(find(root, "many-sums"), MANY_ROWS);
  createFormulas(find(root, "formulas"));
  for (const table of root.querySelectorAll("table")) keepTable(table);

  let inputs = readInputs(new URLSearchParams(location.search));

  function draw() {
    const all = METHODS.map((method) => sum(inputs, method));
    rows.draw(all, inputs);
    const chosen = CLOUDS.find(({ name }) => name === inputs.cloud);
    cloudRow.draw(
      chosen ? METHODS.map((method) => judge(chosen, method, inputs.readers)) : null,
    );
    manyRows.draw(all, inputs);
    find(root, "kept").textContent = describeCopies(inputs, all[0]);
    const parts = METHODS.map((method, place) => {
      const { requests_per_s: requests, lateness_s: late } = all[place];
      const often = requests > 0 ? `${formatCount(requests)} requests a second, ` : "";
      return `${TITLES[method].title} ${often}${formatSeconds(late)} late`;
    });
    find(root, "summary").textContent = `${parts.join("; ")}.`;
  }

  /** Shows what is asked in the form. */
  function fill() {
    for (const name of NAMES) fields[name].value = String(inputs[name]);
    http.value = inputs.http;
    cloud.value = inputs.cloud;
    engine.value = inputs.engine;
    const asked = JSON.stringify({ ...inputs, cloud: "" });
    const found = PRESETS.find((it) => JSON.stringify(it.inputs) === asked);
    preset.value = found?.title ?? "";
  }

  /** @param {Partial<Inputs>} change */
  function change(change) {
    inputs = { ...inputs, ...change };
    const url = new URL(location.href);
    writeInputs(url.searchParams, inputs);
    history.replaceState(history.state, "", url);
    draw();
  }

  for (const name of NAMES) {
    const field = fields[name];
    field.addEventListener("input", () => {
      const number = readNumber(name, field.value);
      field.setAttribute("aria-invalid", String(number === null));
      if (number === null) return;
      change({ [name]: number });
      preset.value = "";
    });
  }
  http.addEventListener("change", () => {
    change({ http: http.value === "2" ? "2" : "1.1" });
    preset.value = "";
  });
  cloud.addEventListener("change", () => change({ cloud: cloud.value }));
  engine.addEventListener("change", () => {
    change({ engine: readEngine(engine.value) });
    preset.value = "";
  });
  preset.addEventListener("change", () => {
    const chosen = PRESETS.find(({ title }) => title === preset.value);
    if (!chosen) return;
    change({ ...chosen.inputs, cloud: inputs.cloud });
    fill();
  });
  find(root, "form").addEventListener("submit", (event) => event.preventDefault());
  for (const field of root.querySelectorAll("input, select")) keepKeys(field);

  fill();
  draw();
  element.replaceChildren(root);
  return { destroy: () => root.remove() };
}

/** @param {HTMLElement} root @param {string} role */
function select(root, role) {
  return /** @type {HTMLSelectElement} */ (find(root, role));
}

/**
 * @param {HTMLElement} place
 * @param {HTMLElement} manyPlace of those about many servers
 * @returns {Record<NumberName, HTMLInputElement>}
 */
function createFields(place, manyPlace) {
  const entries = NAMES.map((name) => {
    const { label: words, least, most, whole, many } = NUMBERS[name];
    const label = document.createElement("label");
    const field = document.createElement("input");
    field.type = "number";
    field.name = name;
    field.dataset.role = name;
    field.min = String(least);
    field.max = String(most);
    field.step = whole ? "1" : "any";
    field.inputMode = whole ? "numeric" : "decimal";
    label.append(words, " ", field);
    (many ? manyPlace : place).append(label);
    return [name, field];
  });
  return Object.fromEntries(entries);
}

/** @param {MethodName} method */
function createTitle(method) {
  const { title, className } = TITLES[method];
  const name = document.createElement("span");
  name.className = className;
  name.textContent = title;
  return name;
}

/** @param {HTMLElement} row */
function createHeads(row) {
  for (const method of METHODS) {
    const head = document.createElement("th");
    head.scope = "col";
    head.append(createTitle(method));
    row.append(head);
  }
}

/** @param {HTMLElement} body @param {string} title */
function createRow(body, title) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = title;
  row.append(head);
  const cells = METHODS.map((method) => {
    const cell = document.createElement("td");
    // What its column is called, where there is no room for columns.
    const column = document.createElement("span");
    column.className = "calculator-column";
    column.setAttribute("aria-hidden", "true");
    column.append(createTitle(method));
    const value = document.createElement("span");
    cell.append(column, value);
    row.append(cell);
    return value;
  });
  body.append(row);
  return { row, cells };
}

/** @param {HTMLElement} body @param {Row[]} rows */
function createRows(body, rows) {
  const created = rows.map(({ title }) => createRow(body, title));
  return {
    /** @param {Sums[]} all of each method @param {Inputs} inputs */
    draw(all, inputs) {
      for (const [place, { value, fails }] of rows.entries()) {
        for (const [column, cell] of created[place].cells.entries()) {
          const wrong = fails?.(all[column], inputs) ?? false;
          cell.textContent = (wrong ? "✕ " : "") + value(all[column], inputs);
          if (fails) cell.dataset.fits = wrong ? "no" : "yes";
        }
      }
    },
  };
}

/** @param {HTMLElement} body */
function createCloudRow(body) {
  const { row, cells } = createRow(body, "The cloud");
  return {
    /** @param {ReturnType<typeof judge>[] | null} verdicts */
    draw(verdicts) {
      row.hidden = verdicts === null;
      for (const [column, cell] of cells.entries()) {
        const { verdict, why } = verdicts?.[column] ?? { verdict: "yes", why: "" };
        const words = { yes: "✓ works.", if: "◑ works, if:", no: "✕ ruled out." };
        cell.textContent = `${words[verdict]} ${why}`;
        cell.dataset.verdict = verdict;
      }
    },
  };
}

/**
 * What becomes of the log when a zone is lost.
 *
 * @param {Inputs} inputs
 * @param {Sums} sums
 * @returns {string}
 */
export function describeCopies({ engine, copies, zones }, sums) {
  const { quorum, copies_left: left } = sums;
  const kept =
    `The log has ${count(copies, "copy", "copies")} in ${zones} zones. Without the ` +
    `zone that has the most of them, ${count(left, "is", "are")} left.`;
  if (left === 0)
    return `${kept} ✕ Nothing can be published until the zone is back.`;
  if (engine === "postgres")
    return (
      `${kept} PostgreSQL has one that is written to: if that one is lost, nothing ` +
      "can be published until another is promoted."
    );
  return left >= quorum
    ? `${kept} ✓ ${quorum} must agree, so publishing goes on.`
    : `${kept} ✕ ${quorum} must agree, so nothing can be published until the zone is ` +
        "back.";
}

/** @param {number} number @param {string} one @param {string} more */
function count(number, one, more) {
  return `${number} ${number === 1 ? one : more}`;
}

/**
 * Says what the parts of a table are: on a phone the style sheet makes blocks of them.
 *
 * @param {HTMLTableElement} table
 */
function keepTable(table) {
  for (const [parts, role] of [
    ["thead, tbody", "rowgroup"],
    ["tr", "row"],
    ["thead th", "columnheader"],
    ["tbody th", "rowheader"],
    ["td", "cell"],
  ]) {
    for (const part of table.querySelectorAll(parts)) part.setAttribute("role", role);
  }
  table.setAttribute("role", "table");
}

/** @param {HTMLElement} list */
function createFormulas(list) {
  for (const { title, formula } of [...ROWS, ...MANY_ROWS]) {
    const term = document.createElement("dt");
    term.textContent = title;
    const text = document.createElement("dd");
    text.textContent = formula;
    list.append(term, text);
  }
}

/**
 * Three digits that count, and thousands apart.
 *
 * @param {number} number
 * @returns {string}
 */
export function formatCount(number) {
  if (number === Infinity) return "no end";
  if (number === 0) return "0";
  if (number < 0.001) return "less than 0.001";
  if (number >= 1e9) return `${formatCount(number / 1e9)} billion`;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(number)));
  const rounded = Number(number.toPrecision(3));
  const maximumFractionDigits = Math.min(digits, 4);
  return rounded.toLocaleString("en-GB", { maximumFractionDigits });
}

/** @param {number} seconds */
export function formatSeconds(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  return `${formatCount(seconds)} s`;
}

/**
 * @param {number} number
 * @param {string[]} units
 * @param {number} step from one to the next
 */
function formatIn(number, units, step) {
  let place = 0;
  while (number >= step && place < units.length - 1) {
    number /= step;
    place += 1;
  }
  return `${formatCount(number)} ${units[place]}`;
}

/** @param {number} bytesPerSecond */
export function formatBits(bytesPerSecond) {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  return formatIn(8 * bytesPerSecond, units, 1000);
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  return formatIn(bytes, ["B", "KiB", "MiB", "GiB", "TiB"], 1024);
}

/** @param {number} dollars */
export function formatDollars(dollars) {
  if (dollars > 0 && dollars < 0.5) return "less than $1";
  return `$${formatCount(dollars >= 1000 ? dollars : Math.round(dollars))}`;
}
