//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 13.79,
        event_up: 0.0,
        event_down: 1.01,
        quiet_cpu_us: 83.85,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 16.02,
        kernel_kib: 2.12,
    },
    long_polling: Costs {
        event_cpu_us: 86.43,
        event_up: 92.75,
        event_down: 229.19,
        quiet_cpu_us: 86.43,
        quiet_up: 91.0,
        quiet_down: 225.0,
        quiet_after_s: 22.5,
        resident_kib: 25.12,
        kernel_kib: 2.12,
    },
    sse: Costs {
        event_cpu_us: 23.05,
        event_up: 0.0,
        event_down: 28.12,
        quiet_cpu_us: 23.05,
        quiet_up: 0.0,
        quiet_down: 58.0,
        quiet_after_s: 15.0,
        resident_kib: 17.07,
        kernel_kib: 2.12,
    },
    websocket: Costs {
        event_cpu_us: 22.62,
        event_up: 0.0,
        event_down: 13.93,
        quiet_cpu_us: 22.62,
        quiet_up: 6.0,
        quiet_down: 32.0,
        quiet_after_s: 15.0,
        resident_kib: 7.64,
        kernel_kib: 2.12,
    },
};

/// Over HTTP/2 with TLS, once it is measured.
pub const HTTP2_TLS: Option<Wire> = None;
