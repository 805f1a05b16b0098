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
use reqwest::Response;
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

async fn connect(url: &str, last_event_id: &str) -> reqwest::Result<Response> {
    let mut request = reqwest::Client::new().get(url);
    if !last_event_id.is_empty() {
        request = request.header("last-event-id", last_event_id);
    }
    request.send().await
}

// ANCHOR: client
/// Connects, loses the connection before there was an event, comes back, and gives the first event that it gets.
async fn first_event(id_first: bool) -> Result<String, Box<dyn Error>> {
    let feed = Feed::new(Retention::default());
    let publish = |text: &str| feed.publish("message".parse().unwrap(), Data::new(text).unwrap());
    let server = Server {
        feed: feed.clone(),
        id_first,
    };
    let url = serve(
        Router::new()
            .route("/events", get(events))
            .with_state(server),
    )
    .await?;

    let mut parser = Parser::new();
    let mut blocks = Vec::new();
    let mut connection = connect(&url, "").await?;
    let opening = connection.chunk().await?.ok_or("the stream ended")?;
    parser.push(&opening, &mut blocks)?;
    drop(connection);

    publish("one").await?;

    let mut connection = connect(&url, parser.last_event_id()).await?;
    publish("two").await?;
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    assert_eq!(first_event(false).await?, r#""two""#); // "one" is lost
    assert_eq!(first_event(true).await?, r#""one""#);
    Ok(())
}
// ANCHOR_END: client

/// Serves a router on a free port and gives the URL of its stream.
async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/events", listener.local_addr()?);
    tokio::spawn(serving::serve(
        listener,
        app,
        serving::Config::default(),
        Ending::new(),
    ));
    Ok(url)
}
