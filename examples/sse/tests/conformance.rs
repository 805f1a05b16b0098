//! What SSE owes its clients, by the cases of the suite.

use conformance::Method;
use sse::Config;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::conformance::main(Method::Sse, |feed, settings, ending| {
        let config = Config {
            heartbeat: settings.heartbeat,
            // Short, so that a client which was cut does not make the test wait.
            retry_ms: 5..10,
            ..Default::default()
        };
        sse::router(feed, config, ending)
    })
}
