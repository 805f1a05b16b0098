//! When silence is taken for a dead connection.

use crate::LONGEST_WAIT;
use std::time::Duration;

/// How long a silence may last before the connection is taken for dead, learned from
/// the server's heartbeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchdog {
    /// Between two signs of life, at most.
    patience: Duration,
}

/// A heartbeat may be late by a slow network or a busy server; two missing in a row are
/// no accident.
const MISSED_HEARTBEATS: u32 = 2;

/// Added for the way, however short the heartbeat: a round trip to the other side of
/// the world and a retransmission.
const ON_THE_WAY: Duration = Duration::from_secs(1);

impl Default for Watchdog {
    /// Before the server has named its interval: that of the contract, 15 s.
    fn default() -> Self {
        let mut watchdog = Self {
            patience: Duration::ZERO,
        };
        watchdog.heard_interval(Duration::from_secs(15));
        watchdog
    }
}

impl Watchdog {
    /// The server lets at most this much time pass in silence. Nothing is taken for no
    /// promise, and more than an hour for an hour.
    pub(crate) fn heard_interval(&mut self, every: Duration) {
        if !every.is_zero() {
            self.patience = MISSED_HEARTBEATS * every.min(LONGEST_WAIT) + ON_THE_WAY;
        }
    }

    /// How long to wait for the next sign of life.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }
}
