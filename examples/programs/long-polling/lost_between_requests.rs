//! An event that happens after one answer and before the next request: lost without a
//! cursor, found with one.

use axum::{extract::State, http::StatusCode, routing::get, Router};
use contract::{Data, LogPage};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::{
    net::TcpListener,
    sync::broadcast,
    task::{yield_now, JoinHandle},
    time::timeout,
};

type Prices = broadcast::Sender<String>;

async fn events(State(prices): State<Prices>) -> Result<String, StatusCode> {
    let mut prices = prices.subscribe();
    match timeout(Duration::from_secs(25), prices.recv()).await {
        Ok(Ok(price)) => Ok(price),
        _ => Err(StatusCode::NO_CONTENT),
    }
}

/// Serves a router on a free port and gives its base URL.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(base)
}

/// Asks the plain server, and returns once the request is parked.
async fn park(
    http: &Client,
    base: &str,
    prices: &Prices,
) -> JoinHandle<reqwest::Result<String>> {
    let request = http.get(format!("{base}/events"));
    let request = tokio::spawn(async move { request.send().await?.text().await });
    while prices.receiver_count() == 0 {
        yield_now().await;
    }
    request
}

async fn publish(feed: &Feed, text: &str) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

/// Asks the finished server for what comes after a cursor, or for a cursor where there
/// is none yet.
async fn ask(http: &Client, base: &str, after: &str) -> reqwest::Result<LogPage> {
    let url = format!("{base}/events?after={after}");
    let request = http.get(url).header("prefer", "wait=20");
    request.send().await?.json().await
}

// ANCHOR: plain
/// The plain server: "two" is gone, and nothing says so.
async fn plain(http: &Client) -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", get(events));
    let base = serve(router.with_state(prices.clone())).await?;

    let request = park(http, &base, &prices).await;
    prices.send("one".to_owned())?;
    assert_eq!(request.await??, "one");

    let _nobody_is_parked = prices.send("two".to_owned());

    let request = park(http, &base, &prices).await;
    prices.send("three".to_owned())?;
    assert_eq!(request.await??, "three"); // "two" is lost
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: cursor
/// The same with a log and a cursor: the client says where it stands.
async fn with_a_cursor(http: &Client) -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let config = long_polling::Config::default();
    let base = serve(long_polling::router(feed.clone(), config, Ending::new())).await?;

    let first = ask(http, &base, "latest").await?; // answered at once, with a cursor
    publish(&feed, "one").await?;
    let page = ask(http, &base, &first.next.to_string()).await?;
    assert_eq!(page.events[0].data.get(), r#""one""#);

    publish(&feed, "two").await?;

    let page = ask(http, &base, &page.next.to_string()).await?;
    assert_eq!(page.events[0].data.get(), r#""two""#);
    Ok(())
}
// ANCHOR_END: cursor

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    plain(&http).await?;
    with_a_cursor(&http).await
}
