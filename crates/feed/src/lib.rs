//! One append-only log of events, and the cursor that marks a place in it.
//!
//! Every method of the book is another way to wait for the next entry of this log. The
//! log knows nothing of HTTP: it gives each event an id, keeps a bounded window of the
//! newest ones, and tells a reader who fell off that window so, in words that cannot be
//! overlooked.
//!
//! ```
//! use feed::{Data, Delivery, Feed, Kind, Position, Retention};
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
//! - [`Cursor`], [`Position`]: where a reader stands, and where it may ask to start.
//! - [`Event`]: one entry, immutable, serialised once, shared by every subscriber.
//! - [`Feed`]: [`publish`](Feed::publish), [`read`](Feed::read),
//!   [`subscribe`](Feed::subscribe).
//! - [`View`]: a state folded from the log.
//! - [`contract`]: the shapes that all methods put on the wire.
//! - [`ticker`]: invented stock prices, so that there is something to wait for.

mod bounds;
mod cursor;
mod event;
mod log;
mod ring;
mod subscription;
mod view;

pub mod contract;
pub mod ticker;

pub use bounds::{MAX_DEPTH, MAX_DIGITS};
pub use cursor::{
    Cursor, Epoch, EventId, ParseCursorError, ParsePositionError, Position,
};
pub use event::{
    Data, Encoding, Event, IdempotencyKey, Kind, ParseKeyError, ParseKindError,
    ENCODING_SLOTS,
};
pub use log::{Builder, Feed, FutureCursor, PublishError, Published, ReadError, State};
pub use ring::Retention;
pub use subscription::{Delivery, Subscription, BATCH_BYTES, BATCH_EVENTS};
pub use view::View;

use serde::{Deserialize, Serialize};
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
    /// due, and whether all was said.
    pub log: State,
}

/// Why a cursor no longer names a place from which nothing would be missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// Events after the cursor have left the retained window.
    Expired,
    /// The cursor is of another epoch: the log that gave it is gone, and this one
    /// started anew.
    NewLog,
    /// What the reader came back with names no place in this log, so nobody can tell
    /// where it stood. A client also takes a reason that it does not know for this one:
    /// events were missed, whyever that was.
    #[serde(other)]
    Unknown,
}

/// Events were missed and cannot be had any more: said aloud, never skipped in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why there is a gap.
    pub reason: GapReason,
    /// The cursor that the reader held; left out where the reason is
    /// [`GapReason::Unknown`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Cursor>,
    /// The place from which reading goes on: the oldest that is still retained.
    pub resume: Cursor,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asked, resume, .. } = self;
        match asked {
            Some(asked) => write!(
                f,
                "events after {asked} are missing; going on from {resume}"
            ),
            None => write!(f, "events may be missing; going on from {resume}"),
        }
    }
}
