//! The server: where a client starts, and one response that never ends.

use crate::{
    framing,
    generations::{self, Generations},
    tokens, Config, METHOD,
};
use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::{header, request::Parts, HeaderName, HeaderValue, StatusCode, Version},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
    Router,
};
use bytes::Bytes;
use contract::{headers, Cursor, EndReason, Position, Problem};
use feed::{Event, Feed};
use futures_util::stream;
use serde::Deserialize;
use serving::{assets, fallbacks, Ending, ProblemResponse};
use std::{convert::Infallible, sync::Arc, time::Duration};
use waiting::{
    http::{cut_route, publish_route, status_route, After, Sender},
    Cut, Cuts, Door, Framings, Next, Places, Reader, Room, Wait,
};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) room: Room,
    pub(crate) config: Arc<Config>,
    /// The block of each event, made once for all streams.
    blocks: Framings<Bytes>,
    pub(crate) generations: Generations,
}

// ANCHOR: router
/// The server: routes relative to wherever it is mounted.
///
/// `GET events`, `POST events`, `GET status`, `POST tokens`, `POST generations` and
/// what it makes, the page at `GET /` with its modules, and `POST cut`, which finds no
/// stream to cut unless [`Config::demo_cut`] allows it.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let places = Places::new(config.max_streams).within(config.shared.as_ref());
    let door = Door::new(ending.signal(), places).with_max_age(config.max_age);
    let room = Room::new(METHOD.name, feed, door).with_cuts(Cuts::new(config.demo_cut));
    let generations = Generations::new(&config.generations);
    let router = Router::new()
        .route("/events", publish_route(&room).get(events))
        .route("/status", status_route(&room))
        .route("/tokens", post(tokens::answer))
        .route("/generations", post(generations::start))
        .route("/generations/{id}", delete(generations::stop))
        .route("/generations/{id}/events", get(generations::events))
        .route("/generations/{id}/status", get(generations::status))
        .route("/cut", cut_route(&room))
        .merge(assets::router(web::SSE))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(Server {
        room,
        config: Arc::new(config),
        blocks: Framings::default(),
        generations,
    })
}
// ANCHOR_END: router

// ANCHOR: headers
/// The headers of an event stream.
pub(crate) const STREAM_HEADERS: [(HeaderName, &str); 4] = [
    (HeaderName::from_static("content-type"), "text/event-stream"),
    // A cache that kept a stream would play yesterday's events to today's clients (RFC
    // 9111 §5.2.2.5). And a compressor would hold blocks back until it has enough of
    // them (§5.2.2.6 forbids it to touch the body).
    (
        HeaderName::from_static("cache-control"),
        "no-store, no-transform",
    ),
    // nginx collects a response before it passes it on, unless told not to.
    (HeaderName::from_static("x-accel-buffering"), "no"),
    // The same wish, in words that every intermediary may come to know (RFC 10036).
    (HeaderName::from_static("incremental"), "?1"),
];
// ANCHOR_END: headers

// ANCHOR: last_event_id
/// Where a client that reconnects by itself stood: the header `Last-Event-ID`, or for
/// clients that can set no header `?lastEventId=`.
pub(crate) enum LastEventId {
    /// The client sends none.
    Absent,
    Cursor(Cursor),
    /// An id that no log of this server has ever given.
    Unknown,
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Parameters {
            last_event_id: Option<String>,
        }
        let header = parts.headers.get(headers::LAST_EVENT_ID);
        let id = match header.map(HeaderValue::to_str) {
            // An empty id is none (WHATWG HTML §9.2.3).
            Some(Ok(id)) if !id.is_empty() => id.to_owned(),
            Some(Err(_)) => return Ok(Self::Unknown),
            _ => match Query::try_from_uri(&parts.uri) {
                Ok(Query(Parameters { last_event_id })) => {
                    last_event_id.unwrap_or_default()
                }
                Err(_) => return Ok(Self::Unknown),
            },
        };
        if id.is_empty() {
            return Ok(Self::Absent);
        }
        Ok(id.parse().map_or(Self::Unknown, Self::Cursor))
    }
}
// ANCHOR_END: last_event_id

// ANCHOR: events
/// `GET events`: the stream.
async fn events(
    State(server): State<Server>,
    version: Version,
    last: LastEventId,
    After(after): After,
    reader: Reader,
    Sender(client): Sender,
) -> Result<Response, ProblemResponse> {
    let room = server.room.for_client(client);
    let wait = join(&room, last, after.unwrap_or_default(), reader).await?;
    Ok(stream(wait, server.blocks, &server.config, version, ()))
}

/// Joins a room where the client stands.
pub(crate) async fn join(
    room: &Room,
    last: LastEventId,
    after: Position,
    reader: Reader,
) -> Result<Wait, Problem> {
    // The last id wins. A browser repeats the URL with its first `?after=` for ever,
    // and only the id moves on.
    match last {
        LastEventId::Absent => room.join(after, reader).await,
        LastEventId::Cursor(cursor) => room.rejoin(Some(cursor), reader).await,
        LastEventId::Unknown => room.rejoin(None, reader).await,
    }
}

/// The answer to somebody who has joined. `held` lives as long as it.
pub(crate) fn stream(
    wait: Wait,
    blocks: Framings<Bytes>,
    config: &Config,
    version: Version,
    held: impl Send + 'static,
) -> Response {
    if wait.is_finished() {
        // Nothing will ever come, and 204 tells an EventSource to stop asking.
        return (StatusCode::NO_CONTENT, [("cache-control", "no-store")])
            .into_response();
    }
    let every = config.heartbeat;
    let retry_ms = fastrand::u64(config.retry_ms.clone());
    let stream = EventStream {
        opening: Some(framing::hello(wait.cursor(), every, retry_ms)),
        wait,
        blocks,
        every,
        batch: Vec::new().into_iter(),
        over: false,
    };
    // hyper asks for a block when it has room for one, so a client that does not read
    // stops the asking.
    let body = stream::unfold((stream, held), |(mut stream, held)| async move {
        stream.next().await.map(|block| (block, (stream, held)))
    });
    let mut response = (STREAM_HEADERS, Body::from_stream(body)).into_response();
    // A stream that ends at some age has its connection end with it: a balancer that
    // knows no requests chooses for connections alone. HTTP/2 has no such header.
    if config.max_age.is_some() && version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
// ANCHOR_END: events

// ANCHOR: stream
// ANCHOR: held
/// What one open stream holds: its wait, and what is due but not yet written. No queue
/// and no task.
struct EventStream {
    wait: Wait,
    /// The block of each event, made once for all streams.
    blocks: Framings<Bytes>,
    /// The longest silence.
    every: Duration,
    /// The first block, until it is written.
    opening: Option<Bytes>,
    /// The rest of a batch: references to shared events, at most [`feed::BATCH_EVENTS`]
    /// of them.
    batch: std::vec::IntoIter<Arc<Event>>,
    /// Whether the last block was written.
    over: bool,
}
// ANCHOR_END: held

impl EventStream {
    // ANCHOR: next
    /// The next block; `None` where the response ends, and an error where it is to
    /// break off.
    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        loop {
            // As long as these have something, hyper gets it without a wait in between,
            // and writes many blocks with one system call.
            if let Some(block) = self.opening.take() {
                return Some(Ok(block));
            }
            if let Some(event) = self.batch.next() {
                // A right may have been withdrawn since the batch came.
                if !self.wait.sees(&event) {
                    continue;
                }
                return Some(Ok(self.blocks.get(&event, framing::event)));
            }
            if self.over {
                return None;
            }
            // Counted from the last block.
            self.wait.limit_silence(self.every);
            return match self.wait.next().await {
                Next::Batch(batch) => {
                    self.batch = batch.events.into_iter();
                    continue;
                }
                Next::Gap(gap) => Some(Ok(framing::gap(gap))),
                Next::Silence => {
                    Some(Ok(framing::heartbeat(self.wait.cursor(), self.every)))
                }
                Next::Finished => self.finish(),
                // To the client it is the same: this server is no longer for it.
                Next::Ending | Next::Aged => {
                    self.end(Ok(framing::end(EndReason::Shutdown)))
                }
                Next::Over(over) => self.end(Ok(framing::end(over.end_reason()))),
                Next::Cut => self.end(Err(Cut)),
            };
        }
    }
    // ANCHOR_END: next

    /// What comes last where the log is finished.
    fn finish(&mut self) -> Option<Result<Bytes, Cut>> {
        let end = framing::end(EndReason::Finished);
        let last = match self.wait.access() {
            // Its rest may have been left out, and then no block had the last id. A
            // browser that comes back with it gets 204, and stops.
            Some(_) => {
                let moved = framing::heartbeat(self.wait.cursor(), self.every);
                [moved, end].concat().into()
            }
            None => end,
        };
        self.end(Ok(last))
    }

    fn end(&mut self, last: Result<Bytes, Cut>) -> Option<Result<Bytes, Cut>> {
        self.over = true;
        Some(last)
    }
}
// ANCHOR_END: stream
