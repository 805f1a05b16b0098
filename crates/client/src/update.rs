//! What a client reports.

use contract::{Cursor, Event, Gap};
use std::time::Duration;

/// What a client of any method hands to its user, in the order in which it learned it.
#[derive(Clone, Debug)]
pub enum Update {
    /// A connection is open, at this place. It comes again after each reconnect.
    Opened(Cursor),
    /// Events, in order, each once; at least one.
    Events(Vec<Event>),
    /// Events were missed.
    Gap(Gap),
    /// The server is there, and nothing happened.
    Heartbeat,
    /// The connection was lost, and the client will try again after this long. Its
    /// cursor is kept.
    Reconnecting(Duration),
    /// The log is complete; nothing follows.
    Finished,
}
