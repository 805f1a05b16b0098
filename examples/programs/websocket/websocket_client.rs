// ANCHOR: all
//! The whole thing: a log, the server of this chapter, and its Rust client.

use client::{Update, WebSocketClient};
use contract::{Data, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use serving::{Allowed, Ending};
use std::{error::Error, pin::pin, time::Duration};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let board = websocket::board();
    let ending = Ending::new();
    let config = websocket::Config {
        // for a path that bears less silence than usual
        heartbeat: Duration::from_secs(10),
        ..websocket::Config::default()
    };
    let router = websocket::router(feed.clone(), board, config, ending.clone());
    let router = serving::guard(router, Allowed::default());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));

    // ANCHOR: client
    let client = WebSocketClient::new(base.parse()?);
    let (publisher, updates) = client.connect(Position::Latest);
    let (kind, data) = ("message".parse()?, Data::new("hello")?);
    // In a task of its own: the socket works only while somebody polls the updates.
    let published =
        tokio::spawn(async move { publisher.publish(None, kind, data).await });

    let mut updates = pin!(updates);
    let mut ids = Vec::new();
    while let Some(update) = updates.next().await {
        match update? {
            Update::Opened(cursor) => println!("standing at {cursor}"),
            Update::Events(events) => {
                ids.extend(events.into_iter().map(|event| event.id));
                feed.finish(); // so that this program has an end
            }
            Update::Gap(gap) => println!("{gap}"),
            Update::Heartbeat => println!("the server lives"),
            Update::Reconnecting(wait) => println!("no connection; again in {wait:?}"),
            Update::Finished => println!("that was all"),
        }
    }
    assert_eq!(ids, [published.await??]); // what was acknowledged is what came
                                          // ANCHOR_END: client

    ending.begin();
    server.await??;
    Ok(())
}
// ANCHOR_END: all
