//! Five events in a row: one answer for each, or one for all of them.

use feed::{contract::Page, Cursor, Data, Feed, Retention};
use reqwest::Client;
use serving::Ending;
use std::{error::Error, time::Duration};
use tokio::{
    net::TcpListener,
    task::{yield_now, JoinHandle},
};

/// Serves an empty log with this much linger. Gives the log and the server's base URL.
async fn serve(linger: Duration) -> Result<(Feed, String), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = long_polling::Config {
        linger,
        ..long_polling::Config::default()
    };
    let router = long_polling::router(feed.clone(), config, Ending::new());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    Ok((feed, base))
}

/// Asks, and returns once the request is parked.
async fn park(
    http: &Client,
    base: &str,
    feed: &Feed,
    after: Cursor,
) -> JoinHandle<reqwest::Result<Page>> {
    let url = format!("{base}/events?after={after}");
    let request = http.get(url).header("prefer", "wait=20");
    let request = tokio::spawn(async move { request.send().await?.json().await });
    while feed.subscribers() == 0 {
        yield_now().await;
    }
    request
}

async fn publish(feed: &Feed, number: u32) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(&number)?)
        .await?;
    Ok(())
}

// ANCHOR: each
/// Each event finds a parked request, and is an answer by itself.
async fn one_each(http: &Client) -> Result<(), Box<dyn Error>> {
    let (feed, base) = serve(Duration::ZERO).await?;
    let mut cursor = feed.state().latest;
    let mut answers = 0;
    for number in 1..=5 {
        let request = park(http, &base, &feed, cursor).await;
        publish(&feed, number).await?;
        let page = request.await??;
        (cursor, answers) = (page.next, answers + 1);
    }
    assert_eq!(answers, 5);
    Ok(())
}
// ANCHOR_END: each

// ANCHOR: all
/// Woken by the first event, the request stays parked a little longer and takes the others along.
async fn one_for_all(http: &Client) -> Result<(), Box<dyn Error>> {
    let (feed, base) = serve(Duration::from_secs(2)).await?;
    let request = park(http, &base, &feed, feed.state().latest).await;
    for number in 1..=5 {
        publish(&feed, number).await?;
        yield_now().await; // the server has its turn: the first event wakes the request
    }
    feed.finish(); // nothing can follow, so the two seconds need not pass
    let page = request.await??;
    assert_eq!(page.events.len(), 5);
    assert!(page.finished);
    Ok(())
}
// ANCHOR_END: all

// One thread, so that giving way is enough to let the server have its turn.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    one_each(&http).await?;
    one_for_all(&http).await
}
