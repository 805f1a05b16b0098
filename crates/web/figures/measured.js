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
    event_cpu_us: 5.14,
    event_up: 0,
    event_down: 1.02,
    quiet_cpu_us: 68.5,
    quiet_up: 75,
    quiet_down: 183,
    quiet_after_s: 0,
    resident_kib: 12.94,
    kernel_kib: 2.98,
    opening_up: 73,
    opening_down: 183,
  },
  long_polling: {
    event_cpu_us: 45.69,
    event_up: 93.23,
    event_down: 230.21,
    quiet_cpu_us: 45.69,
    quiet_up: 92,
    quiet_down: 226,
    quiet_after_s: 22.5,
    resident_kib: 13.63,
    kernel_kib: 2.98,
    opening_up: 73,
    opening_down: 197,
  },
  sse: {
    event_cpu_us: 13.37,
    event_up: 0,
    event_down: 28.61,
    quiet_cpu_us: 13.37,
    quiet_up: 0,
    quiet_down: 59,
    quiet_after_s: 15,
    resident_kib: 13.58,
    kernel_kib: 2.98,
    opening_up: 87,
    opening_down: 283,
  },
  websocket: {
    event_cpu_us: 14.04,
    event_up: 0,
    event_down: 13.95,
    quiet_cpu_us: 14.04,
    quiet_up: 6,
    quiet_down: 33,
    quiet_after_s: 15,
    resident_kib: 3.51,
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
    event_cpu_us: 5.12,
    event_up: 0,
    event_down: 1.5,
    quiet_cpu_us: 68.86,
    quiet_up: 53,
    quiet_down: 123,
    quiet_after_s: 0,
    resident_kib: 12.94,
    kernel_kib: 2.98,
    opening_up: 476.81,
    opening_down: 1031.8,
  },
  long_polling: {
    event_cpu_us: 45.08,
    event_up: 55.32,
    event_down: 106.28,
    quiet_cpu_us: 45.08,
    quiet_up: 94,
    quiet_down: 167,
    quiet_after_s: 22.5,
    resident_kib: 13.63,
    kernel_kib: 2.98,
    opening_up: 471.74,
    opening_down: 1048.51,
  },
  sse: {
    event_cpu_us: 13.37,
    event_up: 0.01,
    event_down: 53.28,
    quiet_cpu_us: 13.37,
    quiet_up: 39,
    quiet_down: 123,
    quiet_after_s: 15,
    resident_kib: 13.58,
    kernel_kib: 2.98,
    opening_up: 464.23,
    opening_down: 1191.86,
  },
  websocket: {
    event_cpu_us: 14.04,
    event_up: 0,
    event_down: 35.95,
    quiet_cpu_us: 14.04,
    quiet_up: 28,
    quiet_down: 55,
    quiet_after_s: 15,
    resident_kib: 3.51,
    kernel_kib: 2.98,
    opening_up: 541.75,
    opening_down: 1152.81,
  },
};
