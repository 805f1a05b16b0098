//! What polling owes its clients, by the cases of the suite.

use conformance::Method;
use polling::Config;
use std::{num::NonZeroU32, process::ExitCode};

fn main() -> ExitCode {
    harness::conformance::main(Method::Polling, |feed, _, ending| {
        let config = Config {
            // The clients of the suite ask far more often than people's do.
            max_rate: NonZeroU32::MAX,
            ..Config::default()
        };
        polling::router(feed, config, ending)
    })
}
