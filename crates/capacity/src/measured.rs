//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 26.47,
        event_up: 0.0,
        event_down: 1.01,
        quiet_cpu_us: 399.57,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 30.3,
        kernel_kib: 4.1,
    },
    long_polling: Costs {
        event_cpu_us: 472.84,
        event_up: 92.84,
        event_down: 229.89,
        quiet_cpu_us: 472.84,
        quiet_up: 91.0,
        quiet_down: 225.0,
        quiet_after_s: 22.5,
        resident_kib: 38.29,
        kernel_kib: 4.1,
    },
    sse: Costs {
        event_cpu_us: 62.69,
        event_up: 0.0,
        event_down: 28.12,
        quiet_cpu_us: 62.69,
        quiet_up: 0.0,
        quiet_down: 58.0,
        quiet_after_s: 15.0,
        resident_kib: 31.66,
        kernel_kib: 4.1,
    },
    websocket: Costs {
        event_cpu_us: 57.9,
        event_up: 0.0,
        event_down: 13.93,
        quiet_cpu_us: 57.9,
        quiet_up: 6.0,
        quiet_down: 32.0,
        quiet_after_s: 15.0,
        resident_kib: 17.6,
        kernel_kib: 4.1,
    },
};

/// Over HTTP/2 with TLS, once it is measured.
pub const HTTP2_TLS: Option<Wire> = None;
