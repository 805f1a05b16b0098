//! The room between the log and the methods: how a client joins, waits and publishes.
//!
//! Every method of the book waits for the next entry of one log. How it does so on the
//! wire is the method's own; joining and waiting are the same for all, and are here.
//!
//! ```
//! use contract::Position;
//! use contract::Data;
//! use feed::{Feed, Retention};
//! use signal::Signal;
//! use std::time::Duration;
//! use waiting::{Door, Next, Places, Reader, Room};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let end = Signal::new();
//! let log = Feed::new(Retention::default());
//! let door = Door::new(end.clone(), Places::new(900));
//! let room = Room::new("sse", log.clone(), door);
//!
//! let mut wait = room.join(Position::Latest, Reader::anybody()).await.unwrap();
//! wait.limit_silence(Duration::from_millis(1));
//! assert!(matches!(wait.next().await, Next::Silence));
//!
//! wait.limit_silence(Duration::from_secs(15));
//! let kind = "message".parse().unwrap();
//! log.publish(kind, Data::new(&"hello").unwrap()).await.unwrap();
//! assert!(matches!(wait.next().await, Next::Batch(batch) if batch.events.len() == 1));
//!
//! end.raise();
//! assert!(matches!(wait.next().await, Next::Ending));
//! # });
//! ```
//!
//! # The parts
//!
//! - [`Room`]: joining, pages, status, publishing.
//! - [`Wait`]: one client's wait for the next entry.
//! - [`Door`], [`Places`], [`Cuts`]: who may wait, how many at once, and which of them
//!   a reader may cut.
//! - [`Reader`], [`Access`], [`Rights`]: who waits, and what it may see and publish.
//! - [`LogPage`]: what is due, as one answer.
//! - [`Framings`]: what a method writes for an event, made once for all its clients.
//! - [`LogFlags`]: what the log keeps, as flags of a command.
//! - [`ticker`]: invented stock prices, so that there is something to wait for.
//! - [`http`]: the routes that every method has, and what they read from a request.
//!
//! All but [`http`] knows no HTTP library.
//!
//! A room counts what happens in it, through the facade `metrics`: see
//! [`contract::metrics`]. A publish is a span of `tracing`.

// In a browser tokio has no clock: the same names, on the browser's timers.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

mod access;
mod counts;
mod cuts;
mod door;
#[cfg(not(target_family = "wasm"))]
mod flags;
mod framings;
pub mod http;
mod log_page;
mod places;
mod problem;
mod room;
mod silence;
pub mod ticker;
mod wait;

pub use access::{Access, Over, Reader, Rights};
pub use cuts::{ConnectionName, Cut, Cuts};
pub use door::Door;
#[cfg(not(target_family = "wasm"))]
pub use engines::OpenError;
#[cfg(not(target_family = "wasm"))]
pub use flags::LogFlags;
pub use framings::Framings;
pub use log_page::LogPage;
pub use places::{Place, Places};
pub use room::Room;
pub use wait::{Interrupted, Next, Wait};
