//! The messages of the protocol, written: JSON in text frames.

use bytes::{Bytes, BytesMut};
use contract::{
    socket::{Ack, Refusal, ServerMessage},
    Cursor, IdempotencyKey, Problem,
};
use feed::{Encoding, Event};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The message of an event, `{"event":{…}}`: made once and shared by every socket. What
/// is left to do for each socket is to look at its UTF-8, to write the frame's header
/// of 2 to 4 bytes, and to copy it to where it is written from.
pub(crate) fn event(event: &Event, encoding: Encoding) -> Message {
    text(event.encoded(encoding, |event| {
        const BEFORE: &[u8] = br#"{"event":"#;
        let mut message =
            BytesMut::with_capacity(BEFORE.len() + event.json().len() + 1);
        message.extend_from_slice(BEFORE);
        message.extend_from_slice(event.json());
        message.extend_from_slice(b"}");
        message.freeze()
    }))
}

/// Any other message; these are for one socket alone.
pub(crate) fn message(message: &ServerMessage) -> Message {
    let json = serde_json::to_vec(message).expect("a message becomes JSON");
    text(json.into())
}

fn text(json: Bytes) -> Message {
    // JSON is UTF-8. It is looked at all the same: only `unsafe` code may promise what
    // it has not seen.
    Message::Text(Utf8Bytes::try_from(json).expect("JSON is UTF-8"))
}

/// What was published is in the log.
pub(crate) fn ack(reference: IdempotencyKey, id: Cursor) -> ServerMessage {
    ServerMessage::Ack(Ack { reference, id })
}

/// What was sent is not taken.
pub(crate) fn refusal(
    reference: Option<IdempotencyKey>,
    problem: Problem,
) -> ServerMessage {
    ServerMessage::Error(Refusal { reference, problem })
}
