//! A state is not a log: what lies between two looks is never seen.

use axum::{extract::State, routing::get, Json, Router};
use contract::{Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{
    error::Error,
    sync::atomic::{AtomicU32, Ordering},
    sync::Arc,
};
use tokio::net::TcpListener;

/// Serves a router on a free port and gives its URL, which ends in `/`.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(url)
}

async fn publish(feed: &Feed, price: u32) -> Result<(), Box<dyn Error>> {
    feed.publish("price".parse()?, Data::new(&price)?).await?;
    Ok(())
}

async fn poll(http: &Client, url: &str, after: &str) -> reqwest::Result<LogPage> {
    let url = format!("{url}events?after={after}");
    http.get(url).send().await?.json().await
}

// ANCHOR: state
type Price = Arc<AtomicU32>;

async fn price(State(price): State<Price>) -> Json<u32> {
    Json(price.load(Ordering::Relaxed))
}

/// "Ring when the price is above 11." It was, and nobody rang.
async fn a_state(http: &Client) -> Result<(), Box<dyn Error>> {
    let now = Price::new(AtomicU32::new(10));
    let app = Router::new().route("/price", get(price));
    let url = serve(app.with_state(now.clone())).await? + "price";

    let first: u32 = http.get(&url).send().await?.json().await?;
    now.store(12, Ordering::Relaxed);
    now.store(10, Ordering::Relaxed);
    let second: u32 = http.get(&url).send().await?.json().await?;
    assert!(first <= 11 && second <= 11);
    Ok(())
}
// ANCHOR_END: state

// ANCHOR: log
/// The same prices as events. Two polls, and nothing between them is missed.
async fn a_log(http: &Client) -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = polling::Config::default();
    let url = serve(polling::router(feed.clone(), config, Ending::new())).await?;

    let first = poll(http, &url, "latest").await?;
    publish(&feed, 12).await?;
    publish(&feed, 10).await?;
    let second = poll(http, &url, &first.next.to_string()).await?;
    let prices: Vec<_> = second.events.iter().map(|e| e.data.get()).collect();
    assert_eq!(prices, ["12", "10"]);
    Ok(())
}
// ANCHOR_END: log

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    a_state(&http).await?;
    a_log(&http).await
}
