//! A graceful shutdown waits for parked requests: unless they are answered because of
//! it.

use axum::{extract::State, http::StatusCode, routing::get, Router};
use contract::LogPage;
use feed::{Feed, Retention};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, oneshot},
    task::yield_now,
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

// ANCHOR: plain
/// The server was told to go. As long as one request is parked, it stays.
async fn plain(http: &Client) -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", get(events));
    let router = router.with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (shut_down, told) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = told.await;
    });
    let server = tokio::spawn(async move { server.await });

    let request = http.get(format!("http://{address}/events"));
    let request = tokio::spawn(request.send());
    while prices.receiver_count() == 0 {
        yield_now().await;
    }
    shut_down.send(()).map_err(|()| "no server")?;
    // From here on new connections are refused…
    while TcpStream::connect(address).await.is_ok() {}
    // … and the parked request holds the server.
    assert!(!server.is_finished());
    prices.send("an event, or 25 seconds".to_owned())?;
    assert!(request.await??.status().is_success());
    Ok(server.await??)
}
// ANCHOR_END: plain

// ANCHOR: told
/// The same with a wait that listens for the end.
async fn told_to_end(http: &Client) -> Result<(), Box<dyn Error>> {
    let ending = Ending::new();
    let feed = Feed::new(Retention::default());
    let config = long_polling::Config::default();
    let router = long_polling::router(feed.clone(), config, ending.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));

    let url = format!("{base}/events?after={}", feed.state().latest);
    let request = http.get(url).header("prefer", "wait=20");
    let request = tokio::spawn(request.send());
    while feed.subscribers() == 0 {
        yield_now().await;
    }
    ending.begin();
    // The wait ends at once, with an empty page, and with it the connection.
    let answer = request.await??;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    let page: LogPage = serde_json::from_slice(&answer.bytes().await?)?;
    assert!(page.events.is_empty() && !page.finished);
    Ok(server.await??)
}
// ANCHOR_END: told

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    plain(&http).await?;
    told_to_end(&http).await
}
