//! The bytes of the event stream format (WHATWG HTML §9.2.5).
//!
//! A block is a few lines `field: value`, ended by an empty line. A value cannot hold a line end: LF, CR and CRLF all
//! end a line, and what a client gets back for any of them is LF. What this server sends in `data` is therefore always
//! JSON on one line, in which a line end is written `\n` or `\r` and comes out as it went in.

use bytes::Bytes;
use feed::{
    contract::{control, End, EndReason, Heartbeat},
    Cursor, Event, Gap,
};
use serde::Serialize;
use std::time::Duration;

// ANCHOR: event
/// One event of the log: its id, which the browser keeps for `Last-Event-ID`, and its JSON.
///
/// No `event:` line, so a browser dispatches it to `onmessage`; that field is kept for control.
pub fn event(event: &Event) -> Bytes {
    let json = event.json();
    let id = event.cursor().to_string();
    let mut block = Vec::with_capacity(json.len() + id.len() + "id: \ndata: \n\n".len());
    block.extend_from_slice(b"id: ");
    block.extend_from_slice(id.as_bytes());
    block.extend_from_slice(b"\ndata: ");
    block.extend_from_slice(json);
    block.extend_from_slice(b"\n\n");
    block.into()
}
// ANCHOR_END: event

// ANCHOR: opening
/// The first block: a cursor and nothing else. Without `data` it dispatches nothing, but the browser keeps the id. A
/// client that loses its connection before the first event can so come back to the right place.
pub fn cursor(cursor: Cursor) -> Bytes {
    format!("id: {cursor}\n\n").into()
}

/// How long a browser shall wait before it reconnects, in milliseconds.
pub fn retry(milliseconds: u64) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}
// ANCHOR_END: opening

// ANCHOR: control
/// Nothing happened, and the connection lives. An event and not a comment, since script cannot see comments.
pub fn heartbeat(every: Duration) -> Bytes {
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    control(control::HEARTBEAT, &Heartbeat { every })
}

/// Events were missed. The id is the place from which the stream goes on, so that a client that reconnects right
/// after this block is not told of the same gap twice.
pub fn gap(gap: &Gap) -> Bytes {
    let mut block = format!("id: {}\n", gap.resume).into_bytes();
    block.extend_from_slice(&control(control::GAP, gap));
    block.into()
}

/// The stream ends on purpose.
pub fn end(reason: EndReason) -> Bytes {
    control(control::END, &End { reason })
}
// ANCHOR_END: control

fn control(name: &str, data: &impl Serialize) -> Bytes {
    // Three structures of numbers and fixed names, which serialise; the tests state every byte of them.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed::{Data, Feed, GapReason, Position};

    #[tokio::test]
    async fn the_blocks_are_the_contracts() {
        let feed = Feed::builder()
            .epoch("k3f9x2".parse().unwrap())
            .clock(|| "2026-01-01T00:00:00Z".parse().unwrap())
            .build();
        let data = Data::new("a\r\nb").unwrap();
        let at = feed
            .publish("message".parse().unwrap(), data)
            .await
            .unwrap();
        let batch = feed.read(Position::Earliest, 1, 1).unwrap();
        let json =
            r#"{"id":"k3f9x2.1","at":"2026-01-01T00:00:00.000Z","kind":"message","data":"a\r\nb"}"#;
        assert_eq!(
            event(&batch.events[0]),
            format!("id: k3f9x2.1\ndata: {json}\n\n")
        );
        assert_eq!(cursor(at), "id: k3f9x2.1\n\n");
        assert_eq!(retry(1730), "retry: 1730\n\n");
        assert_eq!(
            heartbeat(Duration::from_secs(15)),
            "event: heartbeat\ndata: {\"every\":15000}\n\n"
        );
        let missed = Gap {
            reason: GapReason::Expired,
            asked: "k3f9x2.3".parse().unwrap(),
            resume: "k3f9x2.9".parse().unwrap(),
        };
        assert_eq!(
            gap(&missed),
            "id: k3f9x2.9\nevent: gap\ndata: {\"reason\":\"expired\",\"asked\":\"k3f9x2.3\",\"resume\":\"k3f9x2.9\"}\n\n"
        );
        assert_eq!(
            end(EndReason::Shutdown),
            "event: end\ndata: {\"reason\":\"shutdown\"}\n\n"
        );
    }
}
