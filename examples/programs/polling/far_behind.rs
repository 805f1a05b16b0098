//! One page each interval is not enough for a client that is behind: it falls further
//! back, and in the end off the log.

use axum::http::StatusCode;
use contract::{Cursor, Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::error::Error;
use tokio::net::TcpListener;

/// Serves the log on a free port and gives the URL of its events.
async fn serve(feed: Feed) -> Result<String, Box<dyn Error>> {
    let config = polling::Config::default();
    let router = polling::router(feed, config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    Ok(url)
}

async fn publish(feed: &Feed, events: u32) -> Result<(), Box<dyn Error>> {
    for number in 1..=events {
        feed.publish("message".parse()?, Data::new(&number)?)
            .await?;
    }
    Ok(())
}

/// One poll; nothing if the server says that events after the cursor are gone.
async fn poll(
    http: &Client,
    url: &str,
    after: Cursor,
) -> reqwest::Result<Option<LogPage>> {
    let answer = http.get(format!("{url}?after={after}")).send().await?;
    match answer.status() {
        StatusCode::GONE => Ok(None),
        _ => Ok(Some(answer.error_for_status()?.json().await?)),
    }
}

// ANCHOR: intervals
/// In each interval 300 events happen, and the client polls. How many intervals until
/// events are lost?
async fn intervals_until_lost(
    http: &Client,
    heed_more: bool,
) -> Result<Option<u32>, Box<dyn Error>> {
    let feed = Feed::new(Retention {
        max_events: 1_000,
        ..Retention::default()
    });
    let url = serve(feed.clone()).await?;
    let mut cursor = feed.state().latest;
    for interval in 1..=50 {
        publish(&feed, 300).await?;
        loop {
            let Some(page) = poll(http, &url, cursor).await? else {
                return Ok(Some(interval));
            };
            cursor = page.next;
            if !(page.more && heed_more) {
                break;
            }
        }
    }
    Ok(None)
}
// ANCHOR_END: intervals

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    assert_eq!(intervals_until_lost(&http, false).await?, Some(17));
    assert_eq!(intervals_until_lost(&http, true).await?, None);
    Ok(())
}
// ANCHOR_END: main
