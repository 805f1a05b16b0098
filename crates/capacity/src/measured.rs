//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 5.14,
        event_up: 0.0,
        event_down: 1.02,
        quiet_cpu_us: 68.5,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 12.94,
        kernel_kib: 2.98,
    },
    long_polling: Costs {
        event_cpu_us: 45.69,
        event_up: 93.23,
        event_down: 230.21,
        quiet_cpu_us: 45.69,
        quiet_up: 92.0,
        quiet_down: 226.0,
        quiet_after_s: 22.5,
        resident_kib: 13.63,
        kernel_kib: 2.98,
    },
    sse: Costs {
        event_cpu_us: 13.37,
        event_up: 0.0,
        event_down: 28.61,
        quiet_cpu_us: 13.37,
        quiet_up: 0.0,
        quiet_down: 59.0,
        quiet_after_s: 15.0,
        resident_kib: 13.58,
        kernel_kib: 2.98,
    },
    websocket: Costs {
        event_cpu_us: 14.04,
        event_up: 0.0,
        event_down: 13.95,
        quiet_cpu_us: 14.04,
        quiet_up: 6.0,
        quiet_down: 33.0,
        quiet_after_s: 15.0,
        resident_kib: 3.51,
        kernel_kib: 2.98,
    },
};

/// Over HTTP/2 with TLS, and of a WebSocket over HTTP/1.1 with TLS: the bytes.
/// Processor time and memory are those without TLS.
pub const HTTP2_TLS: Wire = Wire {
    polling: Costs {
        event_cpu_us: 5.12,
        event_up: 0.0,
        event_down: 1.5,
        quiet_cpu_us: 68.86,
        quiet_up: 53.0,
        quiet_down: 123.0,
        quiet_after_s: 0.0,
        resident_kib: 12.94,
        kernel_kib: 2.98,
    },
    long_polling: Costs {
        event_cpu_us: 45.08,
        event_up: 55.32,
        event_down: 106.28,
        quiet_cpu_us: 45.08,
        quiet_up: 94.0,
        quiet_down: 167.0,
        quiet_after_s: 22.5,
        resident_kib: 13.63,
        kernel_kib: 2.98,
    },
    sse: Costs {
        event_cpu_us: 13.37,
        event_up: 0.01,
        event_down: 53.28,
        quiet_cpu_us: 13.37,
        quiet_up: 39.0,
        quiet_down: 123.0,
        quiet_after_s: 15.0,
        resident_kib: 13.58,
        kernel_kib: 2.98,
    },
    websocket: Costs {
        event_cpu_us: 14.04,
        event_up: 0.0,
        event_down: 35.95,
        quiet_cpu_us: 14.04,
        quiet_up: 28.0,
        quiet_down: 55.0,
        quiet_after_s: 15.0,
        resident_kib: 3.51,
        kernel_kib: 2.98,
    },
};
