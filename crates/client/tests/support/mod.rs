//! What the tests of the clients share.

use client::Pace;
use std::time::Duration;

/// The pace of a client in a test: one that was cut does not make the test wait.
pub const BRISK: Pace = Pace {
    first: Duration::from_millis(5),
    cap: Duration::from_millis(50),
};
