//! The servers that one writes first. Each is honest work, and each loses events.
//!
//! They are as the chapters list them, with as much around them as a twin needs: the
//! cut, and a place for each connection.

use crate::Twin;
use axum::{
    body::Body,
    extract::{Query, State},
    response::{
        sse::{Event, Sse},
        IntoResponse, Response,
    },
    routing::get,
    Json, Router,
};
use contract::Position;
use feed::{Delivery, BATCH_BYTES};
use futures_util::{future::ready, stream, SinkExt, Stream, StreamExt};
use http::{header, HeaderMap, StatusCode};
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::broadcast::{error::RecvError, Receiver},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{protocol::WebSocketConfig, Message};
use websocket::Handshake;

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Polling: `GET newest`, and `GET since?second=`.
pub(crate) fn polling() -> Router<Twin> {
    Router::new()
        .route("/newest", get(newest))
        .route("/since", get(since))
}

/// The newest text. What came between two looks is not in it.
async fn newest(State(twin): State<Twin>) -> impl IntoResponse {
    let latest = twin.log.event(twin.log.state().latest);
    (
        NO_STORE,
        latest.map(|event| text_of(&event)).unwrap_or_default(),
    )
}

#[derive(Deserialize)]
struct Since {
    second: i64,
}

/// What was published in this second or later, each with its second: a time as a
/// cursor. With "later than this second" it would lose where this one doubles.
async fn since(
    State(twin): State<Twin>,
    Query(Since { second }): Query<Since>,
) -> impl IntoResponse {
    let batch = twin
        .log
        .read(Position::Earliest, crate::WINDOW, BATCH_BYTES);
    let events = batch.expect("the earliest is always there").events;
    let texts: Vec<_> = events
        .iter()
        .map(|event| (event.at().as_second(), text_of(event)))
        .filter(|(at, _)| *at >= second)
        .collect();
    (NO_STORE, Json(texts))
}

/// Long polling: `GET events`.
pub(crate) fn long_polling() -> Router<Twin> {
    Router::new().route("/events", get(next_text))
}

/// The next text. It subscribes when it is asked, and only then.
async fn next_text(State(twin): State<Twin>) -> Response {
    let mut texts = twin.texts.subscribe();
    match timeout(Duration::from_secs(25), texts.recv()).await {
        Ok(Ok(text)) => (NO_STORE, text).into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Server-Sent Events: `GET events`, and two that are a step further and not there yet,
/// `GET ids` and `GET lines`.
pub(crate) fn sse() -> Router<Twin> {
    Router::new()
        .route("/events", get(without_ids))
        .route("/ids", get(with_ids))
        .route("/lines", get(by_hand))
}

/// What a receiver gets, for as long as its channel has senders. What was pushed out
/// of the channel meanwhile is passed over.
fn stream_of(texts: Receiver<String>) -> impl Stream<Item = String> + Send {
    stream::unfold(texts, |mut texts| async move {
        loop {
            match texts.recv().await {
                Ok(text) => return Some((text, texts)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

type Events<S> = Sse<stream::Map<S, fn(Event) -> Result<Event, Infallible>>>;

fn answer<S: Stream<Item = Event> + Send + 'static>(events: S) -> Events<S> {
    Sse::new(events.map(Ok as fn(_) -> _))
}

/// axum's `Sse` over the channel.
async fn without_ids(State(twin): State<Twin>) -> impl IntoResponse {
    answer(stream_of(twin.texts.subscribe()).map(|text| Event::default().data(text)))
}

/// A log and an id with each event, and nothing before the first event: a client that
/// has seen none has no id to come back with.
async fn with_ids(
    State(twin): State<Twin>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, StatusCode> {
    let position = match headers.get("last-event-id") {
        None => Position::Latest,
        Some(id) => {
            let id = id.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
            id.parse().map_err(|_| StatusCode::BAD_REQUEST)?
        }
    };
    let subscription = twin.log.subscribe(position);
    let subscription = subscription.map_err(|_| StatusCode::BAD_REQUEST)?;
    let events = subscription
        .into_stream()
        .flat_map(|delivery| match delivery {
            Delivery::Batch(batch) => stream::iter(batch.events),
            Delivery::Gap(_) => stream::iter(Vec::new()),
        });
    Ok(answer(events.map(|event| {
        let id = event.cursor().to_string();
        Event::default().id(id).data(text_of(&event))
    })))
}

/// The format written by hand, which forgets that a text may have lines.
async fn by_hand(State(twin): State<Twin>) -> impl IntoResponse {
    let blocks = stream_of(twin.texts.subscribe())
        .map(|text| Ok::<_, Infallible>(format!("data: {text}\n\n")));
    // The head goes out with the first piece of the body.
    let opening = stream::once(ready(Ok(":\n\n".to_owned())));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(opening.chain(blocks)))
}

/// WebSocket: `GET events`, upgraded.
pub(crate) fn websocket() -> Router<Twin> {
    Router::new().route("/events", get(socket).connect(socket))
}

/// A socket over the channel, and a loop that sends.
async fn socket(State(twin): State<Twin>, handshake: Handshake) -> Response {
    let mut texts = twin.texts.subscribe();
    let limits = WebSocketConfig::default().read_buffer_size(4 * 1024);
    handshake.accept(limits, &twin.ending, move |mut socket| async move {
        loop {
            let text = match texts.recv().await {
                Ok(text) => text,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    })
}

/// The text that an event is about.
fn text_of(event: &feed::Event) -> String {
    serde_json::from_str(event.data()).expect("all that is published here is a text")
}
