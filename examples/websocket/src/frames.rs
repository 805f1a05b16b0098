//! The messages of the protocol, written: JSON in text frames.

use contract::{
    socket::{Ack, Refusal, ServerMessage},
    Cursor, IdempotencyKey, Problem,
};
use feed::Event;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

// ANCHOR: event
/// The message of an event, `{"event":{…}}`: made and validated once, and shared by
/// every socket. What is left to do for each is to write the frame's header of 2 to 4
/// bytes, and to copy the text to where it is written from.
pub(crate) fn event(event: &Event) -> Utf8Bytes {
    let json = std::str::from_utf8(event.json()).expect("JSON is UTF-8");
    format!(r#"{{"event":{json}}}"#).into()
}
// ANCHOR_END: event

/// Any other message; these are for one socket alone.
pub(crate) fn message(message: &ServerMessage) -> Message {
    let json = serde_json::to_string(message).expect("texts and numbers become JSON");
    Message::text(json)
}

/// What was published is in the log.
pub(crate) fn ack(reference: IdempotencyKey, id: Cursor) -> ServerMessage {
    ServerMessage::Ack(Ack { reference, id })
}

/// What was sent is refused.
pub(crate) fn refusal(
    reference: Option<IdempotencyKey>,
    problem: Problem,
) -> ServerMessage {
    ServerMessage::Error(Refusal { reference, problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Data, Position};
    use feed::Feed;

    /// It is put together by hand, and so must be what the type writes.
    #[tokio::test]
    async fn the_message_of_an_event_is_what_the_contracts_type_writes() {
        let log = Feed::builder().build();
        let data = Data::new("a\r\n\"b\"").unwrap();
        log.publish("message".parse().unwrap(), data).await.unwrap();
        let batch = log.read(Position::Earliest, 1, 1).unwrap();
        let known = serde_json::from_slice(batch.events[0].json()).unwrap();
        let written = serde_json::to_string(&ServerMessage::Event(known)).unwrap();
        assert_eq!(event(&batch.events[0]).as_str(), written);
    }
}
