//! The Rust clients of the four methods that wait.
//!
//! Each is a [`Client`]: [`subscribe`](Client::subscribe) is a stream of [`Update`]s,
//! across as many connections or requests as it takes, and
//! [`publish`](Client::publish) appends one event.
//!
//! ```no_run
//! use client::{Client, SseClient, Update};
//! use contract::Position;
//! use futures_util::StreamExt;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = SseClient::new("http://127.0.0.1:4100/".parse()?);
//! let mut updates = std::pin::pin!(client.subscribe(Position::Latest));
//! while let Some(update) = updates.next().await {
//!     match update? {
//!         Update::Events(events) => println!("{} events", events.len()),
//!         Update::Gap(gap) => println!("{gap}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`PollingClient`], [`LongPollingClient`], [`SseClient`], [`WebSocketClient`]: one
//!   for each method.
//! - [`Credential`]: what a client proves its right with, where a server asks.
//! - [`StateClient`]: a state by its `ETag`, for those who need no events.
//! - [`event_stream`]: the format of SSE, read.
//! - [`websocket`]: what one can do with the socket itself.

mod backoff;
mod client;
mod credential;
mod endpoint;
mod error;
mod long_polling;
mod pages;
#[cfg(test)]
mod policy;
mod polling;
mod response;
mod sse;
mod subscription;
mod update;
mod watchdog;
pub mod websocket;

pub use backoff::Pace;
pub use client::Client;
pub use credential::Credential;
pub use endpoint::Endpoint;
pub use error::{Error, Failure};
pub use event_stream;
pub use long_polling::LongPollingClient;
pub use polling::{PollingClient, Rhythm, StateClient};
pub use sse::SseClient;
pub use update::Update;
pub use websocket::{Publisher, WebSocketClient};

use std::time::Duration;

/// How long an answer that need not wait for anything may take, from connecting to its
/// last byte. Ten seconds outlast a slow mobile network.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait that a server may ask for; what is longer counts as this. A page
/// that sleeps for a month is no better than one that gave up, and a number that large
/// is more likely a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// No answer of the contract comes near this size: a page has 64 KiB of events, or one
/// event, whose data has 64 KiB.
const MAX_BODY_BYTES: usize = 1024 * 1024;
