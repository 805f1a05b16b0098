//! What long polling owes its clients, by the cases of the suite.

use conformance::Method;
use long_polling::Config;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::conformance::main(Method::LongPolling, |feed, settings, ending| {
        let config = Config {
            // An answer without events is this method's heartbeat.
            max_wait: settings.heartbeat,
            ..Config::default()
        };
        long_polling::router(feed, config, ending)
    })
}
