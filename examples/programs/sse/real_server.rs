// ANCHOR: all
//! The whole thing: a log, the server of this chapter, and its Rust client.

use client::{Client, SseClient, Update};
use contract::{Data, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use serving::{guard, Allowed, Ending};
use std::{error::Error, pin::pin};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: server
    let feed = Feed::new(Retention::default());
    let ending = Ending::new();
    let router = sse::router(feed.clone(), sse::Config::default(), ending.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));
    // ANCHOR_END: server

    // ANCHOR: client
    let client = SseClient::new(base.parse()?);
    for text in ["hello", "world"] {
        let data = Data::new(text)?;
        client.publish(None, "message".parse()?, data).await?;
    }
    feed.finish(); // so that this program has an end

    let mut texts = Vec::new();
    let mut updates = pin!(client.subscribe(Position::Earliest));
    while let Some(update) = updates.next().await {
        match update? {
            Update::Opened(cursor) => println!("connected, standing at {cursor}"),
            Update::Events(events) => texts.extend(events.into_iter().map(|e| e.data)),
            Update::Gap(gap) => println!("{gap}"),
            Update::Heartbeat => println!("all quiet"),
            Update::Reconnecting(wait) => println!("lost; again in {wait:?}"),
            Update::Finished => println!("that was all"),
        }
    }
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0].get(), r#""hello""#);
    // ANCHOR_END: client

    // ANCHOR: end
    ending.begin();
    server.await??;
    Ok(())
    // ANCHOR_END: end
}
// ANCHOR_END: all
