//! A graceful shutdown waits for responses to end, and a stream does not end: unless it
//! is told to.

use axum::{
    extract::State,
    response::sse::{Event, Sse},
    routing::get,
    Router,
};
use feed::{Feed, Retention};
use futures_util::{Stream, StreamExt};
use reqwest::Client;
use serving::{guard, Allowed, Ending};
use std::{convert::Infallible, error::Error};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, oneshot},
};
use tokio_stream::wrappers::BroadcastStream;

type Prices = broadcast::Sender<String>;

async fn events(
    State(prices): State<Prices>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = BroadcastStream::new(prices.subscribe())
        .filter_map(|price| async { price.ok() })
        .map(|price| Ok(Event::default().data(price)));
    Sse::new(events)
}

// ANCHOR: plain
/// The server was told to go. As long as one client reads, it stays.
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

    let url = format!("http://{address}/events");
    let mut stream = http.get(url).send().await?;
    shut_down.send(()).map_err(|()| "no server")?;
    // From here on new connections are refused…
    while TcpStream::connect(address).await.is_ok() {}
    // … and the old one goes on as if nothing had been said.
    prices.send("still here".to_owned())?;
    assert_eq!(
        stream.chunk().await?.ok_or("it ended")?,
        "data: still here\n\n"
    );
    assert!(!server.is_finished());

    drop(stream); // the client leaves by itself, and only then
    Ok(server.await??)
}
// ANCHOR_END: plain

// ANCHOR: told
/// The same with streams that listen for the end.
async fn told_to_end(http: &Client) -> Result<(), Box<dyn Error>> {
    let ending = Ending::new();
    let feed = Feed::new(Retention::default());
    let router = sse::router(feed, sse::Config::default(), ending.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));

    let url = format!("http://{address}/events");
    let stream = http.get(url).send().await?;
    ending.begin();
    // `text` waits for the end of the body, and it comes.
    let text = stream.text().await?;
    assert!(text.ends_with("event: end\ndata: {\"reason\":\"shutdown\"}\n\n"));
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
