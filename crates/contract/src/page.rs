//! Answers of plain HTTP.

use crate::{Cursor, Event};
use serde::{Deserialize, Serialize};

/// The answer to a request for events, in the methods that answer with whole pages
/// (polling, long polling): `{"after":"k3f9x2.16","events":[…],"next":"k3f9x2.17"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogPage {
    /// The place before the first event of this page. It says which question this
    /// answer belongs to, so that a client notices when a cache on the way has given it
    /// the answer to another.
    pub after: Cursor,
    /// The events that were due, in order.
    pub events: Vec<Event>,
    /// What to ask with next.
    pub next: Cursor,
    /// Whether more is due than this page holds: ask again without waiting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether the log is complete and nothing follows `next`: do not ask again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
}

/// The answer to `GET status`: what the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Before the oldest retained event.
    pub earliest: Cursor,
    /// After the newest event.
    pub latest: Cursor,
    /// Whether no event will come any more.
    pub finished: bool,
}
