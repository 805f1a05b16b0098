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

mod config;
pub mod framing;
mod server;
mod tokens;

pub use config::Config;
pub use server::router;
