// ANCHOR: all
//! Server-Sent Events the plain way: axum's `Sse` over a broadcast channel.

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
    Router,
};
use futures_util::{Stream, StreamExt};
use std::{convert::Infallible, error::Error};
use tokio::{net::TcpListener, sync::broadcast};
use tokio_stream::wrappers::BroadcastStream;

// ANCHOR: handler
type Prices = broadcast::Sender<String>;

async fn events(
    State(prices): State<Prices>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(prices.subscribe())
        .filter_map(|price| async { price.ok() })
        .map(|price| Ok(Event::default().data(price)));
    Sse::new(events).keep_alive(KeepAlive::default())
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
    // The headers come at once, the events as they happen.
    let mut response = client.get(url).send().await?;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    prices.send("ACME 101.25".to_owned())?;
    let block = response.chunk().await?.ok_or("the stream ended")?;
    assert_eq!(block, "data: ACME 101.25\n\n");
    Ok(())
}
// ANCHOR_END: main
// ANCHOR_END: all
