// ANCHOR: all
//! A text that is generated token by token, in the answer to a POST: a small server,
//! read to its end.

use axum::{
    response::sse::{Event, KeepAlive, Sse},
    routing::post,
    Json, Router,
};
use client::event_stream::{Block, Parser};
use futures_util::{stream, Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use tokio::net::TcpListener;

// ANCHOR: handler
#[derive(Deserialize)]
struct Question {
    prompt: String,
}

/// Stands for a language model, which would make each token when the stream asks for
/// it.
fn generate(prompt: &str) -> impl Stream<Item = String> + use<> {
    let answer = format!("You asked: {prompt}");
    let tokens: Vec<_> = answer.split_inclusive(' ').map(str::to_owned).collect();
    stream::iter(tokens)
}

async fn tokens(
    Json(question): Json<Question>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let event = |text: String| Event::default().json_data(json!({ "text": text }));
    let tokens = generate(&question.prompt).map(event);
    let done = Event::default().event("done").data("{}");
    let events = tokens.chain(stream::iter([Ok(done)]));
    // A model may think for minutes before its next token.
    Sse::new(events).keep_alive(KeepAlive::default())
}
// ANCHOR_END: handler

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/tokens", post(tokens));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/tokens", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let question = json!({ "prompt": "Why?" });
    // No proxy: it could not reach a server on this machine.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(url).json(&question);
    let answer = request.send().await?.bytes().await?;
    let mut blocks = Vec::new();
    Parser::new().push(&answer, &mut blocks)?;

    let Some(Block::Event(last)) = blocks.pop() else {
        return Err("no answer".into());
    };
    assert_eq!(last.kind, "done", "the answer is whole");
    assert_eq!(blocks.len(), 3); // "You ", "asked: ", "Why?"
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
