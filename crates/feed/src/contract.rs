//! The names under which callers still find what has moved to the crate `contract`.

use ::contract::{Cursor, Gap};

pub use ::contract::{
    headers::IDEMPOTENCY_KEY,
    params::AFTER,
    socket::{Ack, ClientMessage, Publish, Refusal, ServerMessage, SUBPROTOCOL},
    Accepted, End, EndReason, Event as WireEvent, Heartbeat, Hello, LogPage as Page,
    NewEvent,
};

/// The types of control messages on an event stream.
pub mod control {
    /// The stream stands.
    pub const HELLO: &str = "hello";
    /// Nothing happened.
    pub const HEARTBEAT: &str = "heartbeat";
    /// Events were missed.
    pub const GAP: &str = "gap";
    /// The stream ends on purpose.
    pub const END: &str = "end";
}

/// What a client of any method tells its user, in the order in which it learned it.
#[derive(Clone, Debug)]
pub enum Update {
    /// A connection stands, at this place. It comes again after each reconnect.
    Opened(Cursor),
    /// Events, in order, each once; at least one.
    Events(Vec<WireEvent>),
    /// Events were missed.
    Gap(Gap),
    /// The server is there and has nothing to say.
    Heartbeat,
    /// The connection was lost, and the client will try again after this long. Its
    /// cursor is kept.
    Reconnecting(std::time::Duration),
    /// The log is complete; nothing follows.
    Finished,
}
