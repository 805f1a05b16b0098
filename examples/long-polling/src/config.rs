//! Every limit of the long polling server, in one place.

use std::time::Duration;

/// What the long polling server allows.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many requests may be parked at once; default 900.
    ///
    /// Fewer than the edge's 1,000 connections, so that where every place is taken a client can still load the page,
    /// publish, and be told why it was refused.
    pub max_parked: usize,

    /// The longest a request is parked, whatever it asked for; default 25 s.
    pub max_wait: Duration,

    /// How long a parked request that is woken waits for more before it is answered; default 20 ms.
    pub linger: Duration,

    /// Whether `POST cut?connection=NAME` breaks a parked request so that a reader can watch it recover; default off.
    pub demo_cut: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_parked: 900,
            max_wait: Duration::from_secs(25),
            linger: Duration::from_millis(20),
            demo_cut: false,
        }
    }
}
