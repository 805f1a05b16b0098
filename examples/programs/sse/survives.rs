// ANCHOR: all
//! A text that outlives its reader's connection: started by one request, read by
//! others, from wherever they stand.

use client::{Client, SseClient, Update};
use contract::{Cursor, Position};
use feed::{Feed, Retention};
use futures_util::{stream, StreamExt};
use serde_json::{json, Value};
use serving::{guard, Allowed, Ending};
use sse::{Config, Model, Tokens};
use std::{error::Error, pin::pin, time::Duration};
use tokio::{net::TcpListener, time::sleep};

/// Stands for a language model, which takes its time.
fn generate(prompt: &str) -> Tokens {
    let answer = format!("You asked: {prompt}");
    let tokens: Vec<_> = answer.split_inclusive(' ').map(str::to_owned).collect();
    let tokens = stream::iter(tokens).then(|token| async {
        sleep(Duration::from_millis(20)).await;
        Ok(token)
    });
    tokens.boxed()
}

// ANCHOR: read
/// Reads a text from a position on, until it has so many tokens or the log ends. Where
/// it stands then.
async fn read(
    client: &SseClient,
    from: Position,
    at_most: usize,
    text: &mut String,
) -> Result<Cursor, Box<dyn Error>> {
    let mut tokens = 0;
    let mut updates = pin!(client.subscribe(from));
    while let Some(update) = updates.next().await {
        let Update::Events(events) = update? else {
            continue;
        };
        for event in events {
            match event.kind.as_str() {
                "token" => {
                    let token: Value = serde_json::from_str(event.data.get())?;
                    text.push_str(token["text"].as_str().ok_or("no text")?);
                    tokens += 1;
                }
                "done" => return Ok(event.id),
                other => return Err(format!("{other}: {}", event.data).into()),
            }
            if tokens == at_most {
                return Ok(event.id);
            }
        }
    }
    Err("the log ended, and did not say how".into())
}
// ANCHOR_END: read

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config {
        model: Model::new(generate),
        ..Config::default()
    };
    let router = sse::router(Feed::new(Retention::default()), config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));

    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let question = http.post(format!("{base}generations"));
    let question = question.json(&json!({ "prompt": "What is a log?" }));
    let started = question.send().await?.error_for_status()?;
    let address = started.headers()["location"].to_str()?;
    // The address of a log like any other: the clients of this book read it.
    let address = format!("{base}{address}/").parse()?;

    // The first page goes in the middle, and comes back to where it stood.
    let mut text = String::new();
    let page = SseClient::new(address);
    let cursor = read(&page, Position::Earliest, 2, &mut text).await?;
    assert_eq!(text, "You asked: ");
    read(&page, Position::After(cursor), usize::MAX, &mut text).await?;
    assert_eq!(text, "You asked: What is a log?");

    // A second device begins at the beginning, although all is over.
    let mut again = String::new();
    read(&page, Position::Earliest, usize::MAX, &mut again).await?;
    assert_eq!(again, text);
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
