//! One append-only log of events.
//!
//! Every method of the book is another way to wait for the next entry of this log. The
//! log knows nothing of HTTP and of no method: it gives each event an id, keeps a
//! bounded window of the newest ones, and reports a gap to a reader whose cursor has
//! left that window. It is built on the types of the [`contract`].
//!
//! ```
//! use contract::{Data, Kind, Position};
//! use feed::{Delivery, Feed, Retention};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let feed = Feed::new(Retention::default());
//! let mut subscription = feed.subscribe(Position::Latest).unwrap();
//!
//! let kind: Kind = "message".parse().unwrap();
//! let cursor = feed.publish(kind, Data::new(&"hello").unwrap()).await.unwrap();
//!
//! let Some(Delivery::Batch(batch)) = subscription.next().await else { panic!("a batch was due") };
//! assert_eq!(batch.next, cursor);
//! assert_eq!(batch.events[0].data(), r#""hello""#);
//! # });
//! ```
//!
//! # The parts
//!
//! - [`Feed`]: [`publish`](Feed::publish), [`read`](Feed::read),
//!   [`subscribe`](Feed::subscribe).
//! - [`Event`]: one entry, immutable, serialised once, shared by every subscriber.
//! - [`Batch`]: what is due, and what the log held at that moment.
//! - [`Subscription`]: a reader's place, and the wait for what comes after it.
//! - [`View`]: a state folded from the log.
//! - [`Source`]: a log that several servers share, of which this one is then a window.

// In a browser tokio has no clock: the same names, on the browser's timers.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;

mod event;
mod log;
mod problem;
mod ring;
mod source;
mod subscription;
mod view;
mod wake;

pub use event::Event;
pub use log::{
    draw_epoch, Builder, Feed, FutureCursor, PublishError, Published, ReadError,
};
pub use ring::Retention;
pub use source::{Entries, Entry, Filler, Source, Unavailable};
pub use subscription::{Delivery, Subscription, BATCH_BYTES, BATCH_EVENTS};
pub use view::View;

use contract::{Cursor, Status};
use std::sync::Arc;

/// Events that are due, in order, and the cursor to ask with next.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The place before the first event of this batch: the reader's own cursor, or what
    /// `earliest` and `latest` meant when the batch was read.
    pub after: Cursor,
    /// The events, oldest first; empty when nothing is due.
    pub events: Vec<Arc<Event>>,
    /// The place after the last event of this batch: what the reader passes to its next
    /// read.
    pub next: Cursor,
    /// What the log held at the moment in which the batch was read: whether more is
    /// due, and whether more can come.
    pub log: Status,
}
