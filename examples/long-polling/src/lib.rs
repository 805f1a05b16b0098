//! Long polling: a request that waits, over the [`feed`].
//!
//! ```text
//! cargo run -p long-polling -- --port 4102 --rate 2
//! curl 'http://127.0.0.1:4102/events'
//! curl -H 'Prefer: wait=20' 'http://127.0.0.1:4102/events?after=NEXT'
//! ```
//!
//! where `NEXT` is what the first answer calls `next`.
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.

// In a browser tokio has no clock: the same names, on the browser's timers.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

mod config;
mod prefer;
mod server;

pub use config::Config;
pub use server::router;

use method::{Method, Waits};

/// What this method says of itself.
pub const METHOD: Method = Method {
    name: "long-polling",
    title: "long polling",
    port: 4102,
    about: "Serves a log of events by long polling, with a page that shows them",
    waits: Some(Waits {
        flag: "max-waits",
        help: "Requests that wait at once",
        silence: None,
    }),
    cuts: true,
    router: |host| {
        let config = Config {
            max_parked: host.places,
            shared: host.shared,
            // A page has a button for it.
            demo_cut: true,
            ..Config::default()
        };
        router(host.log, config, host.ending)
    },
};
