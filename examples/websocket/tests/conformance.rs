//! What WebSocket owes its clients, by the cases of the suite.

use conformance::Method;
use feed::{Feed, Retention};
use std::process::ExitCode;
use websocket::Config;

fn main() -> ExitCode {
    harness::conformance::main(Method::WebSocket, |feed, settings, ending| {
        let config = Config {
            heartbeat: settings.heartbeat,
            ..Default::default()
        };
        websocket::router(feed, Feed::new(Retention::default()), config, ending)
    })
}
