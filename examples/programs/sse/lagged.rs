//! A burst that is larger than the channel: the plain server skips events in silence. A
//! cursor does not.

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

/// Serves a router on a free port and connects to its stream.
async fn connect(http: &Client, app: Router) -> Result<Response, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let app = guard(app, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, app, edge, Ending::new()));
    Ok(http.get(url).send().await?)
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
/// A hundred events in one go, through a channel for sixteen: it begins with the 85th.
async fn plain(http: &Client) -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", get(events));
    let connection = connect(http, router.with_state(prices.clone())).await?;
    for number in 1..=100 {
        prices.send(number.to_string())?;
    }
    let seen = read(connection, 16).await?;
    assert_eq!(seen[0].data, "85");
    Ok(())
}
// ANCHOR_END: plain

// ANCHOR: log
/// The same burst through a log that keeps `max_events`: the first thing the client is
/// told.
async fn through_the_log(
    http: &Client,
    max_events: usize,
) -> Result<Message, Box<dyn Error>> {
    let feed = Feed::new(Retention {
        max_events,
        ..Retention::default()
    });
    let router = sse::router(feed.clone(), sse::Config::default(), Ending::new());
    let connection = connect(http, router).await?;
    for number in 1..=100 {
        feed.publish("message".parse()?, Data::new(&number)?)
            .await?;
    }
    Ok(read(connection, 1).await?.swap_remove(0))
}

// One thread, and nothing in the loops that waits: the server has no turn between two
// events. With more threads it would depend on the machine.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    plain(&http).await?;
    let first = through_the_log(&http, 10_000).await?;
    assert!(first.data.ends_with(r#""data":1}"#), "nothing is skipped");
    let first = through_the_log(&http, 16).await?;
    assert_eq!(first.kind, "gap", "or the client is told");
    Ok(())
}
// ANCHOR_END: log
