//! The bytes of the event stream format (WHATWG HTML §9.2.5).
//!
//! A block is a few lines `field: value`, ended by an empty line. A value cannot hold a
//! line end: LF, CR and CRLF all end a line, and what a client gets back for any of
//! them is LF. What this server sends in `data` is therefore always JSON on one line,
//! in which a line end is written `\n` or `\r` and comes out as it went in.

use bytes::Bytes;
use contract::{stream::StreamMessage, Cursor, End, EndReason, Gap, Heartbeat, Hello};
use feed::Event;
use std::time::Duration;

// ANCHOR: event
/// One event of the log: its id, which the browser keeps for `Last-Event-ID`, and its
/// JSON.
///
/// No `event:` line, so a browser dispatches it to `onmessage`; that field is kept for
/// control.
pub fn event(event: &Event) -> Bytes {
    let json = event.json();
    let id = event.cursor().to_string();
    let mut block =
        Vec::with_capacity(json.len() + id.len() + "id: \ndata: \n\n".len());
    block.extend_from_slice(b"id: ");
    block.extend_from_slice(id.as_bytes());
    block.extend_from_slice(b"\ndata: ");
    block.extend_from_slice(json);
    block.extend_from_slice(b"\n\n");
    block.into()
}
// ANCHOR_END: event

// ANCHOR: opening
/// The first block: where the client stands, before there is any event. A client that
/// loses its connection now comes back to the right place.
///
/// It has data, because many clients keep the id of a block only if they dispatch it.
/// `retry_ms` is how long a browser shall wait before it reconnects.
pub fn hello(cursor: Cursor, every: Duration, retry_ms: u64) -> Bytes {
    let every = milliseconds(every);
    let hello = StreamMessage::Hello(Hello { cursor, every });
    block(
        &format!("id: {cursor}\n"),
        &hello,
        &format!("retry: {retry_ms}\n"),
    )
}
// ANCHOR_END: opening

// ANCHOR: control
/// Nothing happened, and the connection lives. An event and not a comment, since script
/// cannot see comments. Its id is where the stream stands, which may be past events
/// that this client was not sent.
pub fn heartbeat(cursor: Cursor, every: Duration) -> Bytes {
    let every = milliseconds(every);
    let heartbeat = StreamMessage::Heartbeat(Heartbeat {
        every,
        // The block's id says it.
        cursor: None,
    });
    block(&format!("id: {cursor}\n"), &heartbeat, "")
}

/// Events were missed. The id is the place from which the stream goes on, so that a
/// client that reconnects right after this block is not told of the same gap twice.
pub fn gap(gap: Gap) -> Bytes {
    block(
        &format!("id: {}\n", gap.resume),
        &StreamMessage::Gap(gap),
        "",
    )
}

/// The stream ends on purpose. It moves no cursor.
pub fn end(reason: EndReason) -> Bytes {
    block("", &StreamMessage::End(End { reason }), "")
}

/// A control message, with its line `id:` before its type, and `retry:` after it.
fn block(id: &str, message: &StreamMessage, retry: &str) -> Bytes {
    let (event, data) = (message.event_type(), message.data());
    format!("{id}event: {event}\n{retry}data: {data}\n\n").into()
}
// ANCHOR_END: control

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Data, GapReason, Position};
    use feed::Feed;

    /// One of the contract's examples, with the empty line that ends it.
    macro_rules! example {
        ($name:literal) => {
            include_str!(concat!(
                "../../../crates/contract/vectors/stream/",
                $name,
                ".txt"
            ))
        };
    }

    #[tokio::test]
    async fn the_blocks_are_the_contracts() {
        let log = Feed::builder()
            .epoch("k3f9x2".parse().unwrap())
            .clock(|| "2026-01-01T00:00:00Z".parse().unwrap())
            .build();
        let tick = r#"{"symbol":"ACME","price":101.25,"change":-0.25}"#;
        for _ in 0..18 {
            let (kind, data) =
                ("tick".parse().unwrap(), Data::from_json(tick).unwrap());
            log.publish(kind, data).await.unwrap();
        }
        let hello_at: Cursor = "k3f9x2.17".parse().unwrap();
        let batch = log.read(Position::After(hello_at), 1, 1).unwrap();
        assert_eq!(event(&batch.events[0]), example!("event"));
        let every = Duration::from_secs(15);
        assert_eq!(hello(hello_at, every, 1730), example!("hello"));
        assert_eq!(heartbeat(batch.next, every), example!("heartbeat"));
        let missed = Gap {
            reason: GapReason::Expired,
            asked: Some("k3f9x2.3".parse().unwrap()),
            resume: "k3f9x2.9".parse().unwrap(),
        };
        assert_eq!(gap(missed), example!("gap"));
        let unknown = Gap {
            reason: GapReason::Unknown,
            asked: None,
            ..missed
        };
        assert_eq!(gap(unknown), example!("gap-unknown"));
        assert_eq!(end(EndReason::Shutdown), example!("end"));
        assert_eq!(end(EndReason::Finished), example!("end-finished"));
    }

    #[tokio::test]
    async fn a_line_end_inside_a_text_stays_inside_its_line() {
        let log = Feed::builder().build();
        let data = Data::new("a\r\nb").unwrap();
        log.publish("message".parse().unwrap(), data).await.unwrap();
        let batch = log.read(Position::Earliest, 1, 1).unwrap();
        let block = event(&batch.events[0]);
        let block = std::str::from_utf8(&block).unwrap();
        assert_eq!(block.lines().count(), 3, "{block}");
        assert!(block.ends_with("\"data\":\"a\\r\\nb\"}\n\n"), "{block}");
    }
}
