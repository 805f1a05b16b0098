//! What WebSocket owes its subscribers, over real sockets and through its own client.

use feed::{Feed, Retention};
use std::process::ExitCode;
use websocket::{client::Client, Config};

fn main() -> ExitCode {
    harness::conformance::main(
        |feed, settings, ending| {
            let config = Config {
                heartbeat: settings.heartbeat,
                ..Default::default()
            };
            websocket::router(feed, Feed::new(Retention::default()), config, ending)
        },
        |base, _, pace| Client::with_pace(base, pace),
    )
}
