// ANCHOR: all
//! Long polling the plain way: a handler that waits on a broadcast channel before it
//! answers.

use axum::{extract::State, http::StatusCode, routing::get, Router};
use std::{error::Error, time::Duration};
use tokio::{net::TcpListener, sync::broadcast, time::timeout};

// ANCHOR: handler
type Prices = broadcast::Sender<String>;

async fn events(State(prices): State<Prices>) -> Result<String, StatusCode> {
    let mut prices = prices.subscribe();
    match timeout(Duration::from_secs(25), prices.recv()).await {
        Ok(Ok(price)) => Ok(price),
        _ => Err(StatusCode::NO_CONTENT),
    }
}
// ANCHOR_END: handler

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let app = Router::new()
        .route("/events", get(events))
        .with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // No proxy: it could not reach a server on this machine.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = tokio::spawn(client.get(url).send());
    // The request is parked once its handler has subscribed.
    while prices.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    prices.send("ACME 101.25".to_owned())?;
    let answer = request.await??;
    assert_eq!(answer.text().await?, "ACME 101.25");
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
