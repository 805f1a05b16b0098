//! Ids and a log are not enough: a client that has seen no event yet has no id to come back with.

use axum::{
    extract::State,
    http::HeaderMap,
    response::sse::{Event, Sse},
    routing::get,
    Router,
};
use feed::{Data, Delivery, Feed, Position, Retention};
use futures_util::{stream, Stream, StreamExt};
use reqwest::{Client, Response};
use serving::Ending;
use sse::parser::{Block, Parser};
use std::{convert::Infallible, error::Error, time::Duration};
use tokio::net::TcpListener;

// ANCHOR: handler
#[derive(Clone)]
struct Server {
    feed: Feed,
    id_first: bool,
}

async fn events(
    State(server): State<Server>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers.get("last-event-id");
    let cursor = last.and_then(|id| id.to_str().ok()?.parse().ok());
    let position = cursor.map_or(Position::Latest, Position::After);
    let subscription = server.feed.subscribe(position).expect("a cursor of ours");

    let mut opening = Event::default().retry(Duration::from_secs(1));
    if server.id_first {
        opening = opening.id(subscription.cursor().to_string());
    }
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
    Sse::new(stream::iter([opening]).chain(events).map(Ok))
}
// ANCHOR_END: handler

/// Serves it on a free port and gives the URL of its stream.
async fn serve(server: Server) -> Result<String, Box<dyn Error>> {
    let router = Router::new().route("/events", get(events));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let (router, edge) = (router.with_state(server), serving::Config::default());
    tokio::spawn(serving::serve(listener, router, edge, Ending::new()));
    Ok(url)
}

async fn publish(feed: &Feed, text: &str) -> Result<(), Box<dyn Error>> {
    feed.publish("message".parse()?, Data::new(text)?).await?;
    Ok(())
}

/// Connects as a browser does: with the last id it was given, if there was one.
async fn connect(http: &Client, url: &str, last_event_id: &str) -> reqwest::Result<Response> {
    let mut request = http.get(url);
    if !last_event_id.is_empty() {
        request = request.header("last-event-id", last_event_id);
    }
    request.send().await
}

/// Reads what opens a stream, and gives the last event id after it.
async fn opening(mut connection: Response) -> Result<String, Box<dyn Error>> {
    let piece = connection.chunk().await?.ok_or("the stream ended")?;
    let mut parser = Parser::new();
    parser.push(&piece, &mut Vec::new())?;
    Ok(parser.last_event_id().to_owned())
}

/// Reads up to the first event, and gives its data.
async fn event(mut connection: Response) -> Result<String, Box<dyn Error>> {
    let (mut parser, mut blocks) = (Parser::new(), Vec::new());
    loop {
        let piece = connection.chunk().await?.ok_or("the stream ended")?;
        parser.push(&piece, &mut blocks)?;
        for block in blocks.drain(..) {
            if let Block::Event(message) = block {
                return Ok(message.data);
            }
        }
    }
}

// ANCHOR: client
/// A client that loses its connection before there was an event: what it gets first.
async fn first_event(http: &Client, id_first: bool) -> Result<String, Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let log = feed.clone();
    let url = serve(Server { feed, id_first }).await?;

    let connection = connect(http, &url, "").await?;
    let id = opening(connection).await?; // and the connection breaks

    publish(&log, "one").await?;

    let connection = connect(http, &url, &id).await?;
    publish(&log, "two").await?;
    event(connection).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No proxy that the environment names: it could not reach a server on this machine.
    let http = reqwest::Client::builder().no_proxy().build()?;
    assert_eq!(first_event(&http, false).await?, r#""two""#); // "one" is lost
    assert_eq!(first_event(&http, true).await?, r#""one""#);
    Ok(())
}
// ANCHOR_END: client
