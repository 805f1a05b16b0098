//! The messages of the protocol, written: JSON in text frames.

use bytes::{Bytes, BytesMut};
use feed::{
    contract::{Ack, ServerMessage},
    Encoding, Event, IdempotencyKey,
};
use serving::Problem;
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
    // Nothing in a message can fail to become JSON; an empty text would be a defect of
    // this crate, and the golden files would show it.
    text(serde_json::to_vec(message).unwrap_or_default().into())
}

fn text(json: Bytes) -> Message {
    // JSON is UTF-8. It is looked at all the same: only `unsafe` code may promise what
    // it has not seen.
    Message::Text(Utf8Bytes::try_from(json).unwrap_or_default())
}

/// What was published is in the log.
pub(crate) fn ack(reference: IdempotencyKey, id: feed::Cursor) -> ServerMessage {
    ServerMessage::Ack(Ack { reference, id })
}

/// What was sent is not taken.
pub(crate) fn refusal(
    reference: Option<IdempotencyKey>,
    problem: &Problem,
) -> ServerMessage {
    // As above: a problem is text and numbers.
    let problem = serde_json::value::to_raw_value(problem).unwrap_or_default();
    ServerMessage::Error(feed::contract::Refusal { reference, problem })
}
