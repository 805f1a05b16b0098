//! What polling owes its subscribers, over real sockets and through its client.

use client::{PollingClient, Rhythm};
use polling::Config;
use std::{num::NonZeroU32, process::ExitCode, time::Duration};

fn main() -> ExitCode {
    harness::conformance::main(
        |feed, _, ending| {
            let config = Config {
                // The clients below ask far more often than people's do.
                max_rate: NonZeroU32::MAX,
                ..Config::default()
            };
            polling::router(feed, config, ending)
        },
        |base, settings, pace| {
            // Each empty page is a heartbeat. At the interval that the suite asks for,
            // where it is that short.
            let interval = settings.heartbeat.min(Duration::from_millis(20));
            let rhythm = Rhythm {
                interval,
                ..Rhythm::default()
            };
            PollingClient::with_pace(base, pace).with_rhythm(rhythm)
        },
    )
}
