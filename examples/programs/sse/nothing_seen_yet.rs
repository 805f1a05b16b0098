//! Ids and a log are not enough: a client that has seen no event yet has no id to come
//! back with.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::sse::{Event, Sse},
    routing::get,
    Router,
};
use client::event_stream::{Block, Parser};
use contract::{Data, Position};
use feed::{Delivery, Feed, Retention};
use futures_util::{stream, Stream, StreamExt};
use reqwest::{Client, Response};
use serving::{guard, Allowed, Ending};
use std::{convert::Infallible, error::Error, time::Duration};
use tokio::net::TcpListener;

// ANCHOR: handler
/// What the first block of a stream holds beside `retry`.
#[derive(Clone, Copy)]
enum Opening {
    Nothing,
    Id,
    IdAndData,
}

#[derive(Clone)]
struct Server {
    feed: Feed,
    opening: Opening,
}

async fn events(
    State(server): State<Server>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let position = match headers.get("last-event-id").map(|id| id.to_str()) {
        None => Position::Latest,
        Some(Ok(id)) => id.parse().map_err(|_| StatusCode::BAD_REQUEST)?,
        Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
    };
    let subscription = server.feed.subscribe(position);
    let subscription = subscription.map_err(|_| StatusCode::BAD_REQUEST)?;

    let retry = Event::default().retry(Duration::from_secs(1));
    let id = subscription.cursor().to_string();
    let opening = match server.opening {
        Opening::Nothing => retry,
        Opening::Id => retry.id(id),
        Opening::IdAndData => retry.id(id).event("hello").data("{}"),
    };
    let events = subscription
        .into_stream()
        .flat_map(|delivery| match delivery {
            Delivery::Batch(batch) => stream::iter(batch.events),
            Delivery::Gap(_) => stream::iter(Vec::new()),
        });
    let events = events.map(|event| {
        let id = event.cursor().to_string();
        Event::default().id(id).data(event.data())
    });
    Ok(Sse::new(stream::iter([opening]).chain(events).map(Ok)))
}
// ANCHOR_END: handler

/// Serves it on a free port and gives the URL of its stream.
async fn serve(server: Server) -> Result<String, Box<dyn Error>> {
    let router = Router::new().route("/events", get(events));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let router = guard(router.with_state(server), Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
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

/// Which ids a client keeps.
#[derive(Clone, Copy)]
enum Keeps {
    /// Each, as the standard has it, and Chromium.
    Each,
    /// Those of blocks with data, as Firefox, WebKit and many packages.
    WithData,
}

/// Reads what opens a stream, and gives the last event id that the client has after it.
async fn read_opening(
    mut connection: Response,
    keeps: Keeps,
) -> Result<String, Box<dyn Error>> {
    let piece = connection.chunk().await?.ok_or("the stream ended")?;
    let (mut parser, mut blocks) = (Parser::new(), Vec::new());
    parser.push(&piece, &mut blocks)?;
    Ok(match (keeps, blocks.pop()) {
        (Keeps::Each, _) => parser.last_event_id().to_owned(),
        (Keeps::WithData, Some(Block::Event(message))) => message.last_event_id,
        (Keeps::WithData, _) => String::new(),
    })
}

/// Reads up to the first event, and gives its data.
async fn event(mut connection: Response) -> Result<String, Box<dyn Error>> {
    let (mut parser, mut blocks) = (Parser::new(), Vec::new());
    loop {
        let piece = connection.chunk().await?.ok_or("the stream ended")?;
        parser.push(&piece, &mut blocks)?;
        for block in blocks.drain(..) {
            match block {
                Block::Event(message) if message.kind == "message" => {
                    return Ok(message.data)
                }
                _ => {}
            }
        }
    }
}

// ANCHOR: client
/// A client that loses its connection before there was an event: what it gets first.
async fn first_event(
    http: &Client,
    opening: Opening,
    keeps: Keeps,
) -> Result<String, Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let log = feed.clone();
    let url = serve(Server { feed, opening }).await?;

    let connection = connect(http, &url, "").await?;
    let id = read_opening(connection, keeps).await?; // and the connection breaks

    publish(&log, "one").await?;

    let connection = connect(http, &url, &id).await?;
    publish(&log, "two").await?;
    event(connection).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = Client::builder().no_proxy().build()?;
    for (opening, keeps, first) in [
        (Opening::Nothing, Keeps::Each, r#""two""#), // "one" is lost
        (Opening::Id, Keeps::Each, r#""one""#),
        (Opening::Id, Keeps::WithData, r#""two""#), // lost, in most clients
        (Opening::IdAndData, Keeps::Each, r#""one""#),
        (Opening::IdAndData, Keeps::WithData, r#""one""#),
    ] {
        assert_eq!(first_event(&http, opening, keeps).await?, first);
    }
    Ok(())
}
// ANCHOR_END: client
