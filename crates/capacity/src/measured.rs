//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 8.59,
        event_up: 0.0,
        event_down: 1.01,
        quiet_cpu_us: 67.68,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 16.04,
        kernel_kib: 2.35,
    },
    long_polling: Costs {
        event_cpu_us: 61.81,
        event_up: 92.8,
        event_down: 229.36,
        quiet_cpu_us: 61.81,
        quiet_up: 91.0,
        quiet_down: 225.0,
        quiet_after_s: 22.5,
        resident_kib: 26.4,
        kernel_kib: 2.35,
    },
    sse: Costs {
        event_cpu_us: 16.92,
        event_up: 0.0,
        event_down: 28.12,
        quiet_cpu_us: 16.92,
        quiet_up: 0.0,
        quiet_down: 58.0,
        quiet_after_s: 15.0,
        resident_kib: 16.8,
        kernel_kib: 2.35,
    },
    websocket: Costs {
        event_cpu_us: 17.91,
        event_up: 0.0,
        event_down: 13.93,
        quiet_cpu_us: 17.91,
        quiet_up: 6.0,
        quiet_down: 32.0,
        quiet_after_s: 15.0,
        resident_kib: 7.52,
        kernel_kib: 2.35,
    },
};

/// Over HTTP/2 with TLS, and of a WebSocket over HTTP/1.1 with TLS: the bytes. Processor
/// time and memory are those without TLS.
///
/// The pings of HTTP/2 are calculated: the silences of the run were too short for one.
pub const HTTP2_TLS: Wire = Wire {
    polling: Costs {
        event_cpu_us: 8.62,
        event_up: 0.0,
        event_down: 1.46,
        quiet_cpu_us: 67.55,
        quiet_up: 54.0,
        quiet_down: 122.0,
        quiet_after_s: 0.0,
        resident_kib: 16.04,
        kernel_kib: 2.35,
    },
    long_polling: Costs {
        event_cpu_us: 59.0,
        event_up: 55.12,
        event_down: 106.04,
        quiet_cpu_us: 59.0,
        quiet_up: 93.0,
        quiet_down: 163.0,
        quiet_after_s: 22.5,
        resident_kib: 26.4,
        kernel_kib: 2.35,
    },
    sse: Costs {
        event_cpu_us: 16.92,
        event_up: 0.01,
        event_down: 52.45,
        quiet_cpu_us: 16.92,
        quiet_up: 29.25,
        quiet_down: 112.25,
        quiet_after_s: 15.0,
        resident_kib: 16.8,
        kernel_kib: 2.35,
    },
    websocket: Costs {
        event_cpu_us: 17.91,
        event_up: 0.0,
        event_down: 35.57,
        quiet_cpu_us: 17.91,
        quiet_up: 28.0,
        quiet_down: 54.0,
        quiet_after_s: 15.0,
        resident_kib: 7.52,
        kernel_kib: 2.35,
    },
};
