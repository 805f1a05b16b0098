// ANCHOR: all
//! What a publisher can write into everybody's stream if its text goes into `data:` as
//! it is.

use axum::{
    body::to_bytes,
    response::{
        sse::{Event, Sse},
        IntoResponse,
    },
};
use client::event_stream::{Block, Parser};
use futures_util::stream;
use std::{convert::Infallible, error::Error};

// ANCHOR: attack
/// What many handlers do.
fn naive(text: &str) -> String {
    format!("data: {text}\n\n")
}

/// What one user of a chat sends as the text of a message.
const TEXT: &str = "hello\n\n\
    event: notice\ndata: Log in again at evil.example\n\n\
    id: k3f9x2.999\ndata: hello\n\n\
    event: end\ndata: {\"reason\":\"finished\"}";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Type, data and `lastEventId` of what everybody's browser dispatches.
    let forged = [
        ("message", "hello", ""),
        ("notice", "Log in again at evil.example", ""), // an event of the server's
        ("message", "hello", "k3f9x2.999"),             // a place it never reached
        ("end", r#"{"reason":"finished"}"#, "k3f9x2.999"), // the end of the stream
    ];
    assert_eq!(dispatched(naive(TEXT).as_bytes())?, forged.map(owned));

    // axum begins each line of the text with `data:`, so it stays one event.
    let kept = [("message", TEXT, "")];
    let written = by_axum(Event::default().data(TEXT)).await?;
    assert_eq!(dispatched(&written)?, kept.map(owned));

    // In JSON no line end is left.
    let written = naive(&serde_json::to_string(TEXT)?);
    assert_eq!(written.lines().count(), 2);
    let [(_, data, _)] = &dispatched(written.as_bytes())?[..] else {
        return Err("one event".into());
    };
    assert_eq!(serde_json::from_str::<String>(data)?, TEXT);
    Ok(())
}
// ANCHOR_END: attack

type Dispatched = (String, String, String);

fn owned((kind, data, id): (&str, &str, &str)) -> Dispatched {
    (kind.to_owned(), data.to_owned(), id.to_owned())
}

fn dispatched(bytes: &[u8]) -> Result<Vec<Dispatched>, Box<dyn Error>> {
    let mut blocks = Vec::new();
    Parser::new().push(bytes, &mut blocks)?;
    let events = blocks.into_iter().filter_map(|block| match block {
        Block::Event(it) => Some((it.kind, it.data, it.last_event_id)),
        Block::Id(_) => None,
    });
    Ok(events.collect())
}

/// The bytes that axum writes for one event.
async fn by_axum(event: Event) -> Result<Vec<u8>, Box<dyn Error>> {
    let response = Sse::new(stream::iter([Ok::<_, Infallible>(event)])).into_response();
    Ok(to_bytes(response.into_body(), 4096).await?.to_vec())
}
// ANCHOR_END: all
