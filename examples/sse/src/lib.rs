//! Server-Sent Events: one response that never ends, over the [`feed`].
//!
//! ```text
//! cargo run -p sse -- --port 4100 --rate 2
//! curl -N http://127.0.0.1:4100/events
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.
//! - [`framing`]: the format, written.

// In a browser tokio has no clock: the same names, on the browser's timers.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

mod config;
pub mod framing;
mod generations;
mod server;
mod tokens;

pub use config::Config;
pub use generations::{Limits, Model, Tokens};
pub use server::router;

use method::{Method, Waits};

/// What this method says of itself.
pub const METHOD: Method = Method {
    name: "sse",
    title: "Server-Sent Events",
    port: 4100,
    about: "Serves a log of events by Server-Sent Events, with a page that shows them",
    waits: Some(Waits {
        flag: "max-streams",
        help: "Streams open at once",
        silence: Some("The longest silence on a stream before a heartbeat"),
    }),
    cuts: true,
    router: |host| {
        let config = Config {
            max_streams: host.places,
            shared: host.shared,
            heartbeat: host.heartbeat,
            max_age: host.max_age,
            // A page has a button for it.
            demo_cut: true,
            ..Config::default()
        };
        router(host.log, config, host.ending)
    },
};
