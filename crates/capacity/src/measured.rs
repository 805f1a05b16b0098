//! What the lab has measured: written by `cargo xtask figures` from `src/measured`, and
//! checked by a test against it.

use crate::{Costs, Wire};

/// Over HTTP/1.1, without TLS.
pub const HTTP1: Wire = Wire {
    polling: Costs {
        event_cpu_us: 9.91,
        event_up: 0.0,
        event_down: 1.01,
        quiet_cpu_us: 66.8,
        quiet_up: 75.0,
        quiet_down: 183.0,
        quiet_after_s: 0.0,
        resident_kib: 25.1,
        kernel_kib: 2.8,
    },
    long_polling: Costs {
        event_cpu_us: 65.31,
        event_up: 92.75,
        event_down: 229.18,
        quiet_cpu_us: 65.31,
        quiet_up: 91.0,
        quiet_down: 225.0,
        quiet_after_s: 22.5,
        resident_kib: 33.37,
        kernel_kib: 2.8,
    },
    sse: Costs {
        event_cpu_us: 16.03,
        event_up: 0.0,
        event_down: 28.12,
        quiet_cpu_us: 16.03,
        quiet_up: 0.0,
        quiet_down: 58.0,
        quiet_after_s: 15.0,
        resident_kib: 26.58,
        kernel_kib: 2.8,
    },
    websocket: Costs {
        event_cpu_us: 15.68,
        event_up: 0.0,
        event_down: 13.93,
        quiet_cpu_us: 15.68,
        quiet_up: 6.0,
        quiet_down: 32.0,
        quiet_after_s: 15.0,
        resident_kib: 11.05,
        kernel_kib: 2.8,
    },
};

/// Over HTTP/2 with TLS, once it is measured.
pub const HTTP2_TLS: Option<Wire> = None;
