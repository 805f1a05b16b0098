//! What SSE owes its subscribers, over real sockets and through its client.

use client::SseClient;
use sse::Config;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::conformance::main(
        |feed, settings, ending| {
            let config = Config {
                heartbeat: settings.heartbeat,
                // Short, so that a client which was cut does not make the test wait.
                retry_ms: 5..10,
                ..Default::default()
            };
            sse::router(feed, config, ending)
        },
        |base, _, pace| SseClient::with_pace(base, pace),
    )
}
