//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 6.85,
        event_up: 0.0,
        event_down: 1.02,
        quiet_cpu_us: 62.89,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 13.81,
        kernel_kib: 2.98,
    },
    long_polling: Costs {
        event_cpu_us: 54.25,
        event_up: 93.22,
        event_down: 230.29,
        quiet_cpu_us: 54.25,
        quiet_up: 92.0,
        quiet_down: 226.0,
        quiet_after_s: 22.5,
        resident_kib: 14.7,
        kernel_kib: 2.98,
    },
    sse: Costs {
        event_cpu_us: 14.74,
        event_up: 0.0,
        event_down: 28.61,
        quiet_cpu_us: 14.74,
        quiet_up: 0.0,
        quiet_down: 59.0,
        quiet_after_s: 15.0,
        resident_kib: 14.6,
        kernel_kib: 2.98,
    },
    websocket: Costs {
        event_cpu_us: 16.06,
        event_up: 0.0,
        event_down: 13.95,
        quiet_cpu_us: 16.06,
        quiet_up: 6.0,
        quiet_down: 33.0,
        quiet_after_s: 15.0,
        resident_kib: 5.65,
        kernel_kib: 2.98,
    },
};

/// Over HTTP/2 with TLS, and of a WebSocket over HTTP/1.1 with TLS: the bytes.
/// Processor time and memory are those without TLS.
pub const HTTP2_TLS: Wire = Wire {
    polling: Costs {
        event_cpu_us: 6.85,
        event_up: 0.0,
        event_down: 1.58,
        quiet_cpu_us: 63.02,
        quiet_up: 54.0,
        quiet_down: 122.0,
        quiet_after_s: 0.0,
        resident_kib: 13.81,
        kernel_kib: 2.98,
    },
    long_polling: Costs {
        event_cpu_us: 49.88,
        event_up: 55.4,
        event_down: 106.42,
        quiet_cpu_us: 49.88,
        quiet_up: 94.0,
        quiet_down: 170.0,
        quiet_after_s: 22.5,
        resident_kib: 14.7,
        kernel_kib: 2.98,
    },
    sse: Costs {
        event_cpu_us: 14.74,
        event_up: 0.02,
        event_down: 53.13,
        quiet_cpu_us: 14.74,
        quiet_up: 39.0,
        quiet_down: 123.0,
        quiet_after_s: 15.0,
        resident_kib: 14.6,
        kernel_kib: 2.98,
    },
    websocket: Costs {
        event_cpu_us: 16.06,
        event_up: 0.0,
        event_down: 35.65,
        quiet_cpu_us: 16.06,
        quiet_up: 28.0,
        quiet_down: 55.0,
        quiet_after_s: 15.0,
        resident_kib: 5.65,
        kernel_kib: 2.98,
    },
};
