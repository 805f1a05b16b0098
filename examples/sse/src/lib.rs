//! Server-Sent Events: one response that never ends, over the [`feed`].
//!
//! ```text
//! cargo run -p sse -- --port 4100 --rate 2
//! curl -N http://127.0.0.1:4100/events
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.
//! - [`parser`]: the event stream format, read (WHATWG HTML §9.2.6).
//! - `client` (feature `client`): a Rust client that keeps itself connected.
//! - [`framing`]: the format, written.

#[cfg(feature = "client")]
pub mod client;
mod config;
pub mod framing;
pub mod parser;
mod server;
mod tokens;

pub use config::Config;
pub use server::router;
