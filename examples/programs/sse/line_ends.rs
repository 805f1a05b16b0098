// ANCHOR: all
//! A line end inside the data: what axum writes for it, and what comes out on the other
//! side.

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

/// The bytes that axum writes for one event.
async fn written(event: Event) -> Result<Vec<u8>, Box<dyn Error>> {
    let response = Sse::new(stream::iter([Ok::<_, Infallible>(event)])).into_response();
    Ok(to_bytes(response.into_body(), 1024).await?.to_vec())
}

/// The data that a browser makes of them.
fn received(bytes: &[u8]) -> Option<String> {
    let mut blocks = Vec::new();
    Parser::new().push(bytes, &mut blocks).ok()?;
    match blocks.pop()? {
        Block::Event(message) => Some(message.data),
        Block::Id(_) => None,
    }
}

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // As text: CR and LF each begin a line, so CRLF makes three.
    let bytes = written(Event::default().data("a\r\nb")).await?;
    assert_eq!(bytes, b"data: a\rdata: \ndata: b\n\n");
    assert_eq!(received(&bytes).as_deref(), Some("a\n\nb"));

    // As JSON: no line end reaches the format, so none is changed.
    let bytes = written(Event::default().json_data("a\r\nb")?).await?;
    assert_eq!(bytes, b"data: \"a\\r\\nb\"\n\n");
    let data = received(&bytes).ok_or("no event")?;
    assert_eq!(serde_json::from_str::<String>(&data)?, "a\r\nb");
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
