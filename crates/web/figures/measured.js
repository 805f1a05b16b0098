// @ts-check
/**
 * What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
 * checked by a test against it. The names are those of the crate `capacity`.
 */

/**
 * What one method costs one client.
 *
 * @typedef {object} Costs
 * @property {number} event_cpu_us
 * @property {number} event_up
 * @property {number} event_down
 * @property {number} quiet_cpu_us
 * @property {number} quiet_up
 * @property {number} quiet_down
 * @property {number} quiet_after_s
 * @property {number} resident_kib
 * @property {number} kernel_kib
 * @property {number} opening_up bytes of a new connection and its first request
 * @property {number} opening_down bytes of their answers
 */

/**
 * @typedef {{ polling: Costs, long_polling: Costs, sse: Costs, websocket: Costs }} Wire
 */

/** Over HTTP/1.1, without TLS. @type {Wire} */
export const HTTP1 = {
  polling: {
    event_cpu_us: 6.85,
    event_up: 0,
    event_down: 1.02,
    quiet_cpu_us: 62.89,
    quiet_up: 75,
    quiet_down: 183,
    quiet_after_s: 0,
    resident_kib: 13.81,
    kernel_kib: 2.98,
    opening_up: 73,
    opening_down: 183,
  },
  long_polling: {
    event_cpu_us: 54.25,
    event_up: 93.22,
    event_down: 230.29,
    quiet_cpu_us: 54.25,
    quiet_up: 92,
    quiet_down: 226,
    quiet_after_s: 22.5,
    resident_kib: 14.7,
    kernel_kib: 2.98,
    opening_up: 73,
    opening_down: 197,
  },
  sse: {
    event_cpu_us: 14.74,
    event_up: 0,
    event_down: 28.61,
    quiet_cpu_us: 14.74,
    quiet_up: 0,
    quiet_down: 59,
    quiet_after_s: 15,
    resident_kib: 14.6,
    kernel_kib: 2.98,
    opening_up: 87,
    opening_down: 283,
  },
  websocket: {
    event_cpu_us: 16.06,
    event_up: 0,
    event_down: 13.95,
    quiet_cpu_us: 16.06,
    quiet_up: 6,
    quiet_down: 33,
    quiet_after_s: 15,
    resident_kib: 5.65,
    kernel_kib: 2.98,
    opening_up: 222,
    opening_down: 249,
  },
};

/**
 * The bytes over HTTP/2 with TLS, and of a WebSocket over HTTP/1.1 with TLS. Processor
 * time and memory are those without TLS.
 *
 * @type {Wire}
 */
export const HTTP2_TLS = {
  polling: {
    event_cpu_us: 6.85,
    event_up: 0,
    event_down: 1.58,
    quiet_cpu_us: 63.02,
    quiet_up: 54,
    quiet_down: 122,
    quiet_after_s: 0,
    resident_kib: 13.81,
    kernel_kib: 2.98,
    opening_up: 468.98,
    opening_down: 1054.51,
  },
  long_polling: {
    event_cpu_us: 49.88,
    event_up: 55.4,
    event_down: 106.42,
    quiet_cpu_us: 49.88,
    quiet_up: 94,
    quiet_down: 170,
    quiet_after_s: 22.5,
    resident_kib: 14.7,
    kernel_kib: 2.98,
    opening_up: 485.32,
    opening_down: 991.84,
  },
  sse: {
    event_cpu_us: 14.74,
    event_up: 0.02,
    event_down: 53.13,
    quiet_cpu_us: 14.74,
    quiet_up: 39,
    quiet_down: 123,
    quiet_after_s: 15,
    resident_kib: 14.6,
    kernel_kib: 2.98,
    opening_up: 470.79,
    opening_down: 1156.05,
  },
  websocket: {
    event_cpu_us: 16.06,
    event_up: 0,
    event_down: 35.65,
    quiet_cpu_us: 16.06,
    quiet_up: 28,
    quiet_down: 55,
    quiet_after_s: 15,
    resident_kib: 5.65,
    kernel_kib: 2.98,
    opening_up: 537,
    opening_down: 1178.04,
  },
};
