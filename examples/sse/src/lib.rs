//! Server-Sent Events: one response that never ends, over the [`feed`].
//!
//! ```text
//! cargo run -p sse -- --port 4100 --rate 2
//! curl -N http://127.0.0.1:4100/events
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.
//! - [`framing`]: the format, written.

mod config;
pub mod framing;
mod stream;
mod tokens;

pub use config::Config;

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::{request::Parts, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
    Router,
};
use contract::{headers, Cursor, Gap, GapReason, Position, Problem};
use feed::{Encoding, Feed, Subscription};
use serde::Deserialize;
use serving::{
    assets, cut_route, fallbacks, publish_route, status_route, After, ConnectionName,
    Cuts, Ending, ProblemResponse, Slots,
};
use std::{convert::Infallible, iter, sync::Arc};
use stream::Connection;

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

/// What the handlers share.
#[derive(Clone)]
struct Server {
    feed: Feed,
    config: Arc<Config>,
    ending: Ending,
    /// The places for streams.
    slots: Slots,
    /// The slot in which each event keeps its framing.
    encoding: Encoding,
    /// The streams that a reader may cut.
    cuts: Cuts,
}

// ANCHOR: router
/// The server: routes relative to wherever it is mounted.
///
/// `GET events`, `POST events`, `GET status`, `POST tokens`, the page at `GET /` with
/// its modules, and `POST cut`, which finds no stream to cut unless
/// [`Config::demo_cut`] allows it.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let slots = Slots::new(config.max_streams).within(config.shared.as_ref());
    let cuts = Cuts::new(config.demo_cut);
    let status = status_route(feed.clone(), ending.clone(), Some(slots.clone()));
    let cut = cut_route(cuts.clone());
    let server = Server {
        slots,
        cuts,
        encoding: feed.encoding("sse"),
        config: Arc::new(config),
        ending,
        feed: feed.clone(),
    };
    let router = Router::new()
        .route("/events", publish_route(feed).get(events))
        .route("/status", status)
        .route("/tokens", post(tokens::answer))
        .route("/cut", cut)
        .merge(assets::router(web::SSE))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(server)
}
// ANCHOR_END: router

// ANCHOR: last_event_id
/// Where a client that reconnects by itself stood: the header `Last-Event-ID`, or for
/// clients that can set no header `?lastEventId=`.
enum LastEventId {
    /// The client says nothing.
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
    last: LastEventId,
    After(after): After,
    name: ConnectionName,
) -> Result<Response, ProblemResponse> {
    server.ending.refuse_if_begun()?;
    // The last id wins. A browser repeats the URL with its first `?after=` for ever,
    // and only the id moves on.
    let (subscription, gap) = match last {
        LastEventId::Absent => {
            (server.feed.subscribe(after.unwrap_or_default())?, None)
        }
        LastEventId::Cursor(cursor) => {
            match server.feed.subscribe(Position::After(cursor)) {
                Ok(subscription) => (subscription, None),
                Err(_future) => from_nowhere(&server.feed)?,
            }
        }
        LastEventId::Unknown => from_nowhere(&server.feed)?,
    };
    let log = server.feed.state();
    if log.finished && subscription.cursor() == log.latest {
        // Nothing will ever come, and 204 says so: an EventSource stops asking.
        return Ok(
            (StatusCode::NO_CONTENT, [("cache-control", "no-store")]).into_response()
        );
    }
    let slot = server.slots.try_take()?;
    let every = server.config.heartbeat;
    let retry_ms = fastrand::u64(server.config.retry_ms.clone());
    let hello = framing::hello(subscription.cursor(), every, retry_ms);
    let blocks: Vec<_> = iter::once(hello).chain(gap.map(framing::gap)).collect();
    let connection = Connection {
        blocks: blocks.into_iter(),
        subscription,
        encoding: server.encoding,
        ending: Box::pin(server.ending.begun()),
        cuttable: server.cuts.register(name),
        every,
        _slot: slot,
        batch: Vec::new().into_iter(),
        over: false,
    };
    Ok((STREAM_HEADERS, Body::from_stream(connection.into_body())).into_response())
}
// ANCHOR_END: events

// ANCHOR: from_nowhere
/// For a client whose last id names no place in this log. It was given that id by
/// whatever answered here before. A refusal would stop its `EventSource` for good, so
/// it gets all that is kept, and a gap that says what nobody can tell.
fn from_nowhere(feed: &Feed) -> Result<(Subscription, Option<Gap>), Problem> {
    let subscription = feed.subscribe(Position::Earliest)?;
    let gap = Gap {
        reason: GapReason::Unknown,
        asked: None,
        resume: subscription.cursor(),
    };
    Ok((subscription, Some(gap)))
}
// ANCHOR_END: from_nowhere
