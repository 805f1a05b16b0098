//! A client that reconnects to the plain server has lost what happened in between. With
//! ids and a log it has not.

use axum::{
    extract::State,
    response::sse::{Event, Sse},
    routing::get,
    Router,
};
use client::event_stream::{Block, Message, Parser};
use contract::Data;
use feed::{Feed, Retention};
use futures_util::{Stream, StreamExt};
use reqwest::{Client, Response};
use serving::{guard, Allowed, Ending};
use std::{convert::Infallible, error::Error};
use tokio::{net::TcpListener, sync::broadcast};
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

/// Serves a router on a free port and gives the URL of its stream.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(url)
}

async fn publish(feed: &Feed, text: &str) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

/// Connects as a browser does: with the last id it was given, if there was one.
async fn connect(
    http: &Client,
    url: &str,
    last_event_id: &str,
) -> reqwest::Result<Response> {
    let mut request = http.get(url);
    if !last_event_id.is_empty() {
        request = request.header("last-event-id", last_event_id);
    }
    request.send().await
}

/// Reads `count` events, as a browser would. The response is dropped at the end, and
/// with it the connection.
async fn read(
    mut response: Response,
    count: usize,
) -> Result<Vec<Message>, Box<dyn Error>> {
    let (mut parser, mut blocks, mut events) = (Parser::new(), Vec::new(), Vec::new());
    while events.len() < count {
        let piece = response.chunk().await?.ok_or("the stream ended")?;
        parser.push(&piece, &mut blocks)?;
        events.extend(blocks.drain(..).filter_map(|block| match block {
            Block::Event(message) if message.kind != "hello" => Some(message),
            _ => None,
        }));
    }
    Ok(events)
}

// ANCHOR: plain
/// The plain server: "two" is gone, and nothing says so.
async fn plain(http: &Client) -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", get(events));
    let url = serve(router.with_state(prices.clone())).await?;

    let connection = connect(http, &url, "").await?;
    prices.send("one".to_owned())?;
    let seen = read(connection, 1).await?; // and the connection breaks

    let _nobody_listens = prices.send("two".to_owned());

    let connection = connect(http, &url, &seen[0].last_event_id).await?;
    prices.send("three".to_owned())?;
    let seen = read(connection, 1).await?;
    assert_eq!(seen[0].data, "three"); // "two" is lost
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: log
/// The same with ids and a log: the client says where it stood.
async fn with_a_log(http: &Client) -> Result<(), Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let router = sse::router(feed.clone(), sse::Config::default(), Ending::new());
    let url = serve(router).await?;

    let connection = connect(http, &url, "").await?;
    publish(&feed, "one").await?;
    let seen = read(connection, 1).await?; // and the connection breaks

    publish(&feed, "two").await?;

    let connection = connect(http, &url, &seen[0].last_event_id).await?;
    publish(&feed, "three").await?;
    let seen = read(connection, 2).await?;
    assert!(seen[0].data.ends_with(r#""data":"two"}"#));
    Ok(())
}
// ANCHOR_END: log

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    plain(&http).await?;
    with_a_log(&http).await
}
