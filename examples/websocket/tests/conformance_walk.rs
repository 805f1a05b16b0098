//! The same cases of the suite, of the server whose one task walks all sockets.

use conformance::Method;
use feed::{Feed, Retention};
use std::process::ExitCode;
use websocket::{Config, FanOut};

fn main() -> ExitCode {
    harness::conformance::main(Method::WebSocket, |feed, settings, ending| {
        let config = Config {
            heartbeat: settings.heartbeat,
            fan_out: FanOut::Walk,
            ..Default::default()
        };
        websocket::router(feed, Feed::new(Retention::default()), config, ending)
    })
}
