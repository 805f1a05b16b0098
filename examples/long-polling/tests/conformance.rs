//! What long polling owes its subscribers, over real sockets and through its own
//! client.

use client::LongPollingClient;
use long_polling::Config;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::conformance::main(
        |feed, settings, ending| {
            let config = Config {
                // An answer without events is this method's heartbeat.
                max_wait: settings.heartbeat,
                ..Config::default()
            };
            long_polling::router(feed, config, ending)
        },
        |base, _, pace| LongPollingClient::with_pace(base, pace),
    )
}
