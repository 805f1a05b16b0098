//! A client leaves while its request is parked. What does the server still keep?

use axum::{extract::State, routing::get, Router};
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{
    error::Error,
    sync::{Arc, Mutex},
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{yield_now, JoinHandle},
};

// ANCHOR: plain
/// Whoever is parked, as a list: an event would be sent to each, and the list be
/// cleared.
type Parked = Arc<Mutex<Vec<oneshot::Sender<String>>>>;

async fn events(State(parked): State<Parked>) -> String {
    let (sender, event) = oneshot::channel();
    parked.lock().unwrap().push(sender);
    event.await.unwrap_or_default()
}
// ANCHOR_END: plain

/// Serves a router on a free port and gives its base URL.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(base)
}

/// Asks, as a task that can be ended. The connection ends with it.
fn ask(http: &Client, url: String) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    let request = http.get(url).header("prefer", "wait=20");
    tokio::spawn(request.send())
}

/// Gives way until something is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

// ANCHOR: kept
async fn kept(http: &Client) -> Result<(), Box<dyn Error>> {
    let parked = Parked::default();
    let router = Router::new().route("/events", get(events));
    let base = serve(router.with_state(parked.clone())).await?;
    for visit in 1..=3 {
        let client = ask(http, format!("{base}/events"));
        until(|| parked.lock().unwrap().len() == visit).await;
        client.abort(); // the page is closed
    }
    // hyper notices that they left and drops their handlers, each with its receiver…
    let have_left = || {
        parked
            .lock()
            .unwrap()
            .iter()
            .all(oneshot::Sender::is_closed)
    };
    until(have_left).await;
    // … and the list keeps the three senders, until there is an event to clear it.
    assert_eq!(parked.lock().unwrap().len(), 3);
    Ok(())
}
// ANCHOR_END: kept

// ANCHOR: freed
async fn freed(http: &Client) -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let cursor = feed.state().latest;
    let config = long_polling::Config {
        max_parked: 1, // so that a place that is not given back refuses the next client
        ..long_polling::Config::default()
    };
    let base = serve(long_polling::router(feed.clone(), config, Ending::new())).await?;
    for _visit in 1..=3 {
        let client = ask(http, format!("{base}/events?after={cursor}"));
        until(|| feed.subscribers() == 1).await;
        client.abort();
        until(|| feed.subscribers() == 0).await;
    }
    Ok(())
}
// ANCHOR_END: freed

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    kept(&http).await?;
    freed(&http).await
}
