//! What WebSocket owes its subscribers, over real sockets and through its client.

use client::WebSocketClient;
use feed::{Feed, Retention};
use std::process::ExitCode;
use websocket::Config;

fn main() -> ExitCode {
    harness::conformance::main(
        |feed, settings, ending| {
            let config = Config {
                heartbeat: settings.heartbeat,
                ..Default::default()
            };
            websocket::router(feed, Feed::new(Retention::default()), config, ending)
        },
        |base, _, pace| WebSocketClient::with_pace(base, pace),
    )
}
