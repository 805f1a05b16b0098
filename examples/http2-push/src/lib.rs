//! HTTP/2 server push as it was, and 103 Early Hints, which took its place.
//!
//! ```text
//! cargo run -p http2-push -- --port 4443 --certificate target/push.pem
//! cargo run -p http2-push -- get https://127.0.0.1:4443/ --trust target/push.pem
//! nghttp -ns https://127.0.0.1:4443/
//! ```
//!
//! This crate has no log and no events. Push never delivered any: it sent responses to
//! requests that the client had not made yet, and they went into a cache. That is what
//! the crate shows.
//!
//! - [`serve`]: a server for one page, which comes with pushes, with a 103, or with
//!   neither, by the [`Way`].
//! - [`client`]: a client that takes pushes.
//! - [`frames`] and [`recording`]: what went over a connection, frame by frame.
//! - [`panel`]: a router for the book, whose panel lets this crate's client ask this
//!   crate's server.
//! - [`identity`]: the certificate, made at the start.

pub mod client;
pub mod frames;
mod pages;
pub mod panel;
pub mod recording;
mod server;

pub use pages::Way;
pub use server::{serve, Config, Work};
/// The certificate: what every server of the book with TLS has.
pub use tls as identity;
