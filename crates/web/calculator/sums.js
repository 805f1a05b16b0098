// @ts-check
/**
 * The formulas: the Rust code of the crate `capacity`, compiled for a browser. Here is
 * only in which order its numbers go in and come out.
 */

import { HTTP1, HTTP2_TLS } from "../figures/measured.js";
import init, { calculate } from "../formulas/formulas.js";
import { ENGINES } from "./inputs.js";

/** @typedef {import("./inputs.js").Inputs} Inputs */
/** @typedef {import("./clouds.js").MethodName} MethodName */

/** In the order in which the formulas number them. @type {MethodName[]} */
export const METHODS = ["polling", "long_polling", "sse", "websocket"];

/** What goes in of what was measured. */
const COSTS = /** @type {const} */ ([
  "event_cpu_us",
  "event_up",
  "event_down",
  "quiet_cpu_us",
  "quiet_up",
  "quiet_down",
  "quiet_after_s",
  "resident_kib",
  "kernel_kib",
]);

/** What goes in, by the names of `capacity::numbers`. */
export const INPUTS = /** @type {const} */ ([
  "readers",
  "events_per_s",
  "event_bytes",
  "round_trip_s",
  "keep_alive_s",
  "method",
  "interval_s",
  "header_bytes",
  "state_bytes",
  "log_events_per_s",
  "engine",
  "places",
  "accepts_per_s",
  "zones",
  "copies",
  "notice_s",
  "return_s",
  ...COSTS,
]);

/** What comes out. */
export const OUTPUTS = /** @type {const} */ ([
  "lateness_s",
  "connections",
  "requests_per_s",
  "deliveries_per_s",
  "processors",
  "memory_bytes",
  "up_bytes_per_s",
  "down_bytes_per_s",
  "machines",
  "machines_bill",
  "traffic_bill",
  "network_traffic_bill",
  "network_requests_bill",
  "limit",
  "limit_readers",
  "raised_limit",
  "raised_limit_readers",
  "servers",
  "log_bytes_per_s",
  "log_connections",
  "most_log_connections",
  "server_down_bytes_per_s",
  "full_server_down_bytes_per_s",
  "lost_readers",
  "herd_per_s",
  "least_return_s",
  "back_s",
  "missed_events",
  "catch_up_bytes",
  "server_catch_up_bytes_per_s",
  "quorum",
  "copies_left",
]);

/** What runs out, in the order in which the formulas number it. */
export const LIMITS = [
  "open files of the process",
  "ports of a proxy's address",
  "connections not yet accepted",
  "connections the firewall follows",
  "memory for TCP's buffers",
  "memory",
  "processor time",
  "bandwidth",
];

/** How long a connection is kept after an answer, in seconds. */
export const KEEP_ALIVE = 60;

/** @typedef {Record<(typeof OUTPUTS)[number], number>} Sums */

/** Loads the compiled formulas. */
export async function loadFormulas() {
  const url = new URL("../formulas/formulas_bg.wasm", import.meta.url);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`The formulas answer ${answer.status}.`);
  // As bytes: not every server names the type that a browser wants of a stream.
  await init({ module_or_path: await answer.arrayBuffer() });
}

/**
 * What so many readers need by one method.
 *
 * @param {Inputs} inputs
 * @param {MethodName} method
 * @returns {Sums}
 */
export function sum(inputs, method) {
  const costs = (inputs.http === "2" ? HTTP2_TLS : HTTP1)[method];
  const outputs = calculate(toNumbers(inputs, method, costs));
  const entries = OUTPUTS.map((name, place) => [name, Number(outputs[place])]);
  return /** @type {Sums} */ (Object.fromEntries(entries));
}

/**
 * @param {Inputs} inputs
 * @param {MethodName} method
 * @param {import("../figures/measured.js").Costs} costs
 * @returns {Float64Array}
 */
export function toNumbers(inputs, method, costs) {
  /** @type {Record<(typeof INPUTS)[number], number>} */
  const named = {
    readers: inputs.readers,
    events_per_s: inputs.events / 60,
    event_bytes: inputs.bytes,
    round_trip_s: inputs.rtt / 1000,
    keep_alive_s: KEEP_ALIVE,
    method: METHODS.indexOf(method),
    interval_s: inputs.interval,
    // Over HTTP/2 a header that was sent before is a number.
    header_bytes: inputs.http === "2" ? 0 : inputs.headers,
    state_bytes: inputs.state,
    log_events_per_s: inputs.log / 60,
    engine: ENGINES.indexOf(inputs.engine),
    places: inputs.places,
    accepts_per_s: inputs.accepts,
    zones: inputs.zones,
    copies: inputs.copies,
    notice_s: inputs.notice,
    return_s: inputs.returns,
    ...costs,
  };
  return Float64Array.from(INPUTS, (name) => named[name]);
}
