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

mod config;
mod prefer;
mod server;

pub use config::Config;
pub use server::router;
