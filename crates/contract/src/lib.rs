//! What goes over the wire: every shape and every name, once.
//!
//! A server writes these types and a client reads them, so that neither can drift from
//! the other unnoticed. The crate knows no log, no HTTP library and no runtime. The
//! book's page "The wire contract" says in words what is here, and the files under
//! `vectors/` are its examples: these types, the browser's modules, the OpenAPI and the
//! AsyncAPI document are all tested against them.
//!
//! ```
//! use contract::{Event, Position};
//!
//! let json = r#"{"id":"k3f9x2.17","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":[2.50]}"#;
//! let event: Event = serde_json::from_str(json).unwrap();
//! assert_eq!(event.data.get(), "[2.50]");
//! assert_eq!(Position::After(event.id).to_string(), "k3f9x2.17");
//! ```
//!
//! - [`Cursor`], [`Position`]: a place in a log, and where a reader asks to start.
//! - [`Event`], [`NewEvent`], [`Accepted`]: an event, and how one is published.
//! - [`LogPage`], [`Status`]: the answers of `GET events` and `GET status`.
//! - [`Hello`], [`Heartbeat`], [`Gap`], [`End`]: what is reported beside events.
//! - [`stream`]: the messages of an event stream (SSE); [`socket`]: those of a
//!   WebSocket, and its close codes.
//! - [`Problem`], [`ProblemKind`]: refusals.
//! - [`headers`], [`params`]: names.
//! - [`metrics`]: what a server counts.

mod bounds;
mod control;
mod cursor;
mod event;
mod object;
mod page;
mod problem;

pub mod metrics;
pub mod socket;
pub mod stream;

pub use bounds::{MAX_DEPTH, MAX_DIGITS};
pub use control::{End, EndReason, Gap, GapReason, Heartbeat, Hello};
pub use cursor::{
    Cursor, Epoch, EventId, ParseCursorError, ParsePositionError, Position,
};
pub use event::{
    Accepted, Data, Event, IdempotencyKey, Kind, NewEvent, ParseKeyError,
    ParseKindError,
};
pub use page::{LogPage, Status};
pub use problem::{is_temporary, Problem, ProblemKind, PROBLEM_JSON, TYPE_PREFIX};

/// Names of headers, as HTTP/2 spells them.
pub mod headers {
    /// Makes a retried publish one event
    /// (draft-ietf-httpapi-idempotency-key-header).
    pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

    /// Where an `EventSource` stood that reconnects (WHATWG HTML §9.2.4).
    pub const LAST_EVENT_ID: &str = "last-event-id";

    /// `wait=N`: how many seconds a client is willing to wait (RFC 7240 §4.3).
    pub const PREFER: &str = "prefer";

    /// Which wait was granted (RFC 7240 §3).
    pub const PREFERENCE_APPLIED: &str = "preference-applied";
}

/// Names of query parameters.
pub mod params {
    /// Where to start; its value is a [`Position`](crate::Position).
    pub const AFTER: &str = "after";

    /// The same as the header [`LAST_EVENT_ID`](crate::headers::LAST_EVENT_ID), for
    /// clients that can set no header.
    pub const LAST_EVENT_ID: &str = "lastEventId";

    /// A client's random name for its connection, by which `POST cut` finds it. For the
    /// demonstration only.
    pub const CONNECTION: &str = "connection";
}
