// ANCHOR: all
//! The whole thing: a log, the server of this chapter, and its Rust client.

use client::{Client, LongPollingClient, Update};
use contract::{Data, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use serving::{guard, Allowed, Ending};
use std::{error::Error, pin::pin, time::Duration};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // ANCHOR: server
    let feed = Feed::new(Retention::default());
    let ending = Ending::new();
    let config = long_polling::Config {
        max_wait: Duration::from_secs(20), // for a path that bears less than 30
        ..long_polling::Config::default()
    };
    let router = long_polling::router(feed.clone(), config, ending.clone());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));
    // ANCHOR_END: server

    // ANCHOR: client
    let client =
        LongPollingClient::new(base.parse()?).with_wait(Duration::from_secs(15));
    let mut updates = pin!(client.subscribe(Position::Latest));
    let mut texts = Vec::new();
    while let Some(update) = updates.next().await {
        match update? {
            Update::Opened(cursor) => {
                println!("standing at {cursor}");
                let data = Data::new("hello")?;
                client.publish(None, "message".parse()?, data).await?;
            }
            Update::Events(events) => {
                texts.extend(events.into_iter().map(|event| event.data));
                feed.finish(); // so that this program has an end
            }
            Update::Gap(gap) => println!("{gap}"),
            Update::Heartbeat => println!("an empty page: all quiet"),
            Update::Reconnecting(wait) => println!("no answer; again in {wait:?}"),
            Update::Finished => println!("that was all"),
        }
    }
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].get(), r#""hello""#);
    // ANCHOR_END: client

    ending.begin();
    server.await??;
    Ok(())
}
// ANCHOR_END: all
