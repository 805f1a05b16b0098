//! What all methods put on the wire: the one shape of an event, and the names that go
//! with it.
//!
//! A server writes these and a client reads them, so that a method cannot drift from
//! the others unnoticed.

use crate::{Cursor, Data, Gap, IdempotencyKey, Kind};
use serde::{de::IgnoredAny, Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The query parameter that says where to start; its value is a
/// [`Position`](crate::Position).
pub const AFTER: &str = "after";

/// The header that makes a retried publish one event
/// (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The names of control messages, where a stream reports in-band.
pub mod control {
    /// The first message: the stream stands, at this place.
    pub const HELLO: &str = "hello";
    /// Nothing happened, and the connection lives.
    pub const HEARTBEAT: &str = "heartbeat";
    /// Events were missed.
    pub const GAP: &str = "gap";
    /// The stream ends on purpose.
    pub const END: &str = "end";
}

/// An event as JSON:
/// `{"id":"k3f9x2.17","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":{…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireEvent {
    /// Its id, which is also the cursor after it.
    pub id: Cursor,
    /// When the log took it: RFC 3339, UTC, milliseconds.
    pub at: String,
    /// What it is about.
    pub kind: Kind,
    /// Its data, untouched.
    pub data: Box<RawValue>,
}

/// The answer to a request for events, in the methods that answer with whole pages
/// (polling, long polling): `{"after":"k3f9x2.16","events":[…],"next":"k3f9x2.17"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The place before the first event of this page. It says which question this
    /// answer belongs to, so that a client notices when a cache on the way has given it
    /// the answer to another.
    pub after: Cursor,
    /// The events that were due, in order.
    pub events: Vec<WireEvent>,
    /// What to ask with next.
    pub next: Cursor,
    /// Whether more is due than this page holds: ask again without waiting.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether the log is complete and nothing follows `next`: do not ask again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
}

/// The body of a publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// What it is about.
    pub kind: Kind,
    /// Any JSON value.
    pub data: Data,
}

/// The answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The event's id.
    pub id: Cursor,
}

/// The data of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The longest silence the server allows itself, in milliseconds. A client that
    /// hears nothing for clearly longer may take the connection for dead.
    pub every: u64,
}

/// Why a stream ended on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// This server is going away; another, or the same one later, goes on with the log.
    Shutdown,
    /// The log is complete. There is nothing to reconnect for.
    Finished,
}

/// The data of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
}

/// The WebSocket subprotocol: the messages below, as JSON in text frames (RFC 6455
/// §1.9).
pub const SUBPROTOCOL: &str = "waiting.v1";

/// A message from a WebSocket server: an object with one member, whose name says what
/// it is, such as `{"event":{"id":…}}`.
///
/// Named from outside, because an event's data stays raw text only where nothing has to
/// be read ahead to know the type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerMessage {
    /// The first message: the connection stands, at this place.
    Hello(Hello),
    /// One event.
    Event(WireEvent),
    /// Events were missed.
    Gap(Gap),
    /// Nothing happened, and the connection lives.
    Heartbeat(Heartbeat),
    /// What the client published is in the log.
    Ack(Ack),
    /// What the client sent was not taken.
    Error(Refusal),
}

impl ServerMessage {
    /// Reads a message; `None` where it is an object of several members, or of one that
    /// has no known name. The contract may grow, and a client that is older than its
    /// server leaves out what it does not know.
    ///
    /// # Errors
    /// Of a known message what is wrong with it, and of anything else that it is no
    /// object.
    pub fn read(text: &str) -> Result<Option<Self>, serde_json::Error> {
        const NAMES: [&str; 6] = ["hello", "event", "gap", "heartbeat", "ack", "error"];
        let error = match serde_json::from_str(text) {
            Ok(message) => return Ok(Some(message)),
            Err(error) => error,
        };
        let members: BTreeMap<String, IgnoredAny> = serde_json::from_str(text)?;
        let mut names = members.keys();
        match (names.next(), names.next()) {
            (Some(name), None) if NAMES.contains(&&**name) => Err(error),
            _ => Ok(None),
        }
    }
}

/// The first message on a WebSocket, and the data of the block that opens an event
/// stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Where the client stands: what comes next is after this.
    pub cursor: Cursor,
    /// As in [`Heartbeat::every`].
    pub every: u64,
}

/// The answer to a [`ClientMessage::Publish`] that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The publisher's own name for the attempt.
    #[serde(rename = "ref")]
    pub reference: IdempotencyKey,
    /// The event's id.
    pub id: Cursor,
}

/// The answer to a message that was not taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Of the publish it answers; left out where the message could not be read.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<IdempotencyKey>,
    /// The problem, as an HTTP method would have answered it (RFC 9457).
    pub problem: Box<RawValue>,
}

/// A message from a WebSocket client, of the same form as [`ServerMessage`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientMessage {
    /// Append an event.
    Publish(Publish),
}

/// The body of a [`ClientMessage::Publish`]:
/// `{"publish":{"ref":"5b0f…","kind":"message","data":…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// A random name for this attempt, the same in each retry of it: the idempotency
    /// key, and what the answer refers to.
    #[serde(rename = "ref")]
    pub reference: IdempotencyKey,
    /// What the event is about.
    pub kind: Kind,
    /// Any JSON value.
    pub data: Data,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_a_server_is_read_and_an_unknown_one_is_left_out() {
        for text in [
            r#"{"hello":{"cursor":"k3f9x2.17","every":15000}}"#,
            r#"{"event":{"id":"k3f9x2.18","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":[1,2.50]}}"#,
            r#"{"gap":{"reason":"expired","asked":"k3f9x2.1","resume":"k3f9x2.9"}}"#,
            r#"{"gap":{"reason":"unknown","resume":"k3f9x2.9"}}"#,
            r#"{"heartbeat":{"every":15000}}"#,
            r#"{"ack":{"ref":"a","id":"k3f9x2.18"}}"#,
            r#"{"error":{"ref":"a","problem":{"status":409}}}"#,
            r#"{"error":{"problem":{"status":400}}}"#,
        ] {
            let message = ServerMessage::read(text).unwrap().expect(text);
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
        }
        for unknown in [
            "{}",
            r#"{"presence":{"here":3}}"#,
            r#"{"heartbeat":{"every":1},"gap":{"reason":"expired"}}"#,
            r#"{"heartbeat":{"every":1},"trace":"x"}"#,
            r#"{"trace":"x","heartbeat":{"every":1}}"#,
        ] {
            let read = ServerMessage::read(unknown).unwrap();
            assert!(read.is_none(), "{unknown}");
        }
        let with_more = r#"{"heartbeat":{"every":1,"at":"noon"}}"#;
        assert!(ServerMessage::read(with_more).unwrap().is_some());
        let twice = r#"{"heartbeat":{"every":1},"heartbeat":{"every":2}}"#;
        for wrong in ["", "[]", "hello", r#"{"hello":{}}"#, r#"{"ack":1}"#, twice] {
            assert!(ServerMessage::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
