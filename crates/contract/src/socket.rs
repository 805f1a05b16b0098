//! The messages of a WebSocket, both ways, and how one is closed.

use crate::{
    object::Object, Cursor, Data, Event, Gap, Heartbeat, Hello, IdempotencyKey, Kind,
    NewEvent, Problem,
};
use serde::{de::IgnoredAny, Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use thiserror::Error;

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
    Event(Event),
    /// Events were missed.
    Gap(Gap),
    /// Nothing happened, and the connection lives.
    Heartbeat(Heartbeat),
    /// What the client published is in the log.
    Ack(Ack),
    /// What the client sent was refused.
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

/// The answer to a [`ClientMessage::Publish`] that is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The publisher's own name for the attempt.
    #[serde(rename = "ref")]
    pub reference: IdempotencyKey,
    /// The event's id.
    pub id: Cursor,
}

/// The answer to a message that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Of the publish it answers; left out where the message could not be read.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<IdempotencyKey>,
    /// The problem, as an HTTP method would have answered it.
    pub problem: Problem,
}

/// A message from a WebSocket client, of the same form as [`ServerMessage`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientMessage {
    /// Append an event.
    Publish(Publish),
    /// Who this is: the first message, where the server has asked for a credential and
    /// the request has brought none. `hello` comes after it.
    Auth(Auth),
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// Anything else than exactly one message; see [`UnreadableMessage`].
    pub fn read(text: &str) -> Result<Self, UnreadableMessage> {
        /// As much of a publish as its publisher needs to know which one was meant.
        #[derive(Deserialize)]
        struct Attempt {
            publish: Reference,
        }
        #[derive(Deserialize)]
        struct Reference {
            #[serde(rename = "ref")]
            reference: IdempotencyKey,
        }
        serde_json::from_str(text).map_err(|error| {
            let attempt = serde_json::from_str::<Attempt>(text).ok();
            let reference = attempt.map(|attempt| attempt.publish.reference);
            UnreadableMessage { reference, error }
        })
    }
}

/// A text from a client that is no message.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct UnreadableMessage {
    /// Of the publish that was meant, where that much can be read.
    pub reference: Option<IdempotencyKey>,
    /// What is wrong.
    pub error: serde_json::Error,
}

/// The body of a [`ClientMessage::Publish`]:
/// `{"publish":{"ref":"5b0f…","kind":"message","data":…}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
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

impl Serialize for Publish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Publish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

/// The body of a [`ClientMessage::Auth`]: `{"auth":{"token":"…"}}`.
///
/// A page can set no header of a WebSocket's handshake, and what stands in the address
/// is written into logs. A message is in neither.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Auth {
    /// What `Authorization: Bearer` would carry.
    pub token: Box<str>,
}

impl std::fmt::Debug for Auth {
    /// Without the token, which must not come into a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth")
    }
}

impl Serialize for Auth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(deserializer))
    }
}

impl Publish {
    /// The event, and the key under which it is published.
    pub fn into_event(self) -> (IdempotencyKey, NewEvent) {
        let Self {
            reference,
            kind,
            data,
        } = self;
        (reference, NewEvent { kind, data })
    }
}

/// How a server closes a WebSocket (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// 1000: the log is finished, and the peer has all of it. There is nothing to
    /// reconnect for.
    Finished,
    /// 1001: this server is going away.
    Shutdown,
    /// 1002: the peer broke the rules of framing.
    Protocol,
    /// 1003: a binary message, where only text is understood.
    Binary,
    /// 1007: a text message that is no UTF-8.
    NotUtf8,
    /// 1008: the peer goes on sending what is refused as too many.
    TooMany,
    /// 1009: a message larger than this server accepts.
    TooLarge,
    /// 3000 (IANA: Unauthorized): the client's credential is over. As
    /// [`EndReason::Renew`](crate::EndReason::Renew).
    Renew,
    /// 3003 (IANA: Forbidden): the client may not listen any more. As
    /// [`EndReason::Denied`](crate::EndReason::Denied).
    Denied,
}

impl Close {
    /// Each of them.
    pub const ALL: [Self; 9] = [
        Self::Finished,
        Self::Shutdown,
        Self::Protocol,
        Self::Binary,
        Self::NotUtf8,
        Self::TooMany,
        Self::TooLarge,
        Self::Renew,
        Self::Denied,
    ];

    /// The status code.
    pub fn code(self) -> u16 {
        match self {
            Self::Finished => 1000,
            Self::Shutdown => 1001,
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooMany => 1008,
            Self::TooLarge => 1009,
            Self::Renew => 3000,
            Self::Denied => 3003,
        }
    }

    /// The reason, for a person who reads a log; programs go by the code.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Shutdown => "shutdown",
            Self::Protocol => "protocol error",
            Self::Binary => "text only",
            Self::NotUtf8 => "not UTF-8",
            Self::TooMany => "too many",
            Self::TooLarge => "too large",
            Self::Renew => "renew",
            Self::Denied => "denied",
        }
    }

    /// What a code means that a server of the contract sends; `None` for any other.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|close| close.code() == code)
    }
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
            r#"{"error":{"ref":"a","problem":{"type":"x","title":"y","status":409}}}"#,
            r#"{"error":{"problem":{"type":"x","title":"y","status":400}}}"#,
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
