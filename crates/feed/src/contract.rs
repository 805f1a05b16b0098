//! The names under which callers still find what has moved to the crate `contract`.

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
