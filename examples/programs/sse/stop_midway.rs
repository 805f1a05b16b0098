//! Reads a generated text as it comes, and stops in the middle.

use client::event_stream::{Block, Parser};
use feed::{Feed, Retention};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::{net::TcpListener, time::sleep};

// ANCHOR: read
#[derive(Deserialize)]
struct Token {
    text: String,
}

/// Adds tokens to `text` until it ends with `stop`; `false` if the answer ended before.
async fn read_until(
    mut answer: reqwest::Response,
    stop: &str,
    text: &mut String,
) -> Result<bool, Box<dyn Error>> {
    let (mut parser, mut blocks) = (Parser::new(), Vec::new());
    while let Some(piece) = answer.chunk().await? {
        parser.push(&piece, &mut blocks)?;
        for block in blocks.drain(..) {
            match block {
                Block::Event(message) if message.kind == "done" => return Ok(false),
                Block::Event(message) if message.kind == "message" => {
                    let token: Token = serde_json::from_str(&message.data)?;
                    text.push_str(&token.text);
                    if text.ends_with(stop) {
                        return Ok(true); // drops the answer, which closes the request
                    }
                }
                // A sign of life, or a kind that this reader does not know.
                Block::Event(_) | Block::Id(_) => {}
            }
        }
    }
    Err("the answer broke off: it ended without `done`".into())
}
// ANCHOR_END: read

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One place for a stream, so that `status` tells whether an answer is being made.
    let config = sse::Config {
        max_streams: 1,
        ..sse::Config::default()
    };
    let feed = Feed::new(Retention::default());
    let router = sse::router(feed, config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));

    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let question = http.post(format!("{base}/tokens"));
    let answer = question.json(&json!({ "prompt": "Why?" })).send().await?;
    let status = || http.get(format!("{base}/status")).send();
    assert_eq!(status().await?.status(), StatusCode::SERVICE_UNAVAILABLE);

    let mut text = String::new();
    assert!(read_until(answer, "asked: ", &mut text).await?);
    assert_eq!(text, "You asked: ");
    // The place is free again as soon as the server has noticed.
    while status().await?.status() != StatusCode::OK {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
// ANCHOR_END: main
