//! Server-Sent Events: one response that never ends, over the [`feed`].
//!
//! ```text
//! cargo run -p sse -- --port 4100 --rate 2
//! curl -N http://127.0.0.1:4100/events
//! ```
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in another.
//! - [`parser`]: the event stream format, read (WHATWG HTML §9.2.6).
//! - `client` (feature `client`): a Rust client that keeps itself connected.
//! - [`framing`]: the format, written.

#[cfg(feature = "client")]
pub mod client;
mod config;
mod cut;
pub mod framing;
pub mod parser;
mod stream;
mod tokens;

pub use config::Config;

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::{request::Parts, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    Json, Router,
};
use cut::Cuts;
use feed::{Cursor, Encoding, Feed, Position, State as LogState};
use serde::Deserialize;
use serving::{assets, fallbacks, publish_route, After, Ending, Problem, Slots};
use std::sync::Arc;
use stream::Connection;
use web::Asset;

/// The page and its modules; the shared modules lie beside them under `web/`.
const PAGE: &[Asset] = &[
    Asset::html("", include_bytes!("../web/index.html")),
    Asset::css("page.css", include_bytes!("../web/page.css")),
    Asset::javascript("page.js", include_bytes!("../web/page.js")),
    Asset::javascript("panel.js", include_bytes!("../web/panel.js")),
    Asset::javascript("sse-client.js", include_bytes!("../web/sse-client.js")),
    Asset::javascript("event-stream.js", include_bytes!("../web/event-stream.js")),
    Asset::javascript("tokens.js", include_bytes!("../web/tokens.js")),
];

// ANCHOR: headers
/// The headers of an event stream.
pub(crate) const STREAM_HEADERS: [(HeaderName, &str); 4] = [
    (HeaderName::from_static("content-type"), "text/event-stream"),
    // A cache that kept a stream would play yesterday's events to today's clients (RFC 9111 §5.2.2.5).
    (HeaderName::from_static("cache-control"), "no-store"),
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
/// `GET events`, `POST events`, `GET status`, `POST tokens`, the page at `GET /` with its modules, and `POST cut`, which
/// finds no stream to cut unless [`Config::demo_cut`] allows it.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let server = Server {
        slots: Slots::new(config.max_streams),
        encoding: feed.encoding("sse"),
        cuts: Cuts::default(),
        config: Arc::new(config),
        ending,
        feed: feed.clone(),
    };
    let router = Router::new()
        .route("/events", publish_route(feed).get(events))
        .route("/status", get(status))
        .route("/tokens", post(tokens::answer))
        .route("/cut", post(cut))
        .merge(assets::router(PAGE))
        .nest("/web", assets::router(web::MODULES));
    fallbacks(router).with_state(server)
}
// ANCHOR_END: router

// ANCHOR: last_event_id
/// The header `Last-Event-ID`: where a browser that reconnects by itself stood.
struct LastEventId(Option<Position>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("last-event-id") else {
            return Ok(Self(None));
        };
        let text = value.to_str().map_err(Problem::bad_cursor)?;
        let cursor: Cursor = text.parse().map_err(Problem::bad_cursor)?;
        Ok(Self(Some(Position::After(cursor))))
    }
}
// ANCHOR_END: last_event_id

/// The name under which a stream may be cut.
#[derive(Deserialize)]
struct Named {
    stream: Option<String>,
}

// ANCHOR: events
/// `GET events`: the stream.
async fn events(
    State(server): State<Server>,
    LastEventId(last): LastEventId,
    After(after): After,
    Query(Named { stream: name }): Query<Named>,
) -> Result<Response, Problem> {
    // The header wins. A browser repeats the URL with its first `?after=` for ever, and only the header moves on.
    let position = last.or(after).unwrap_or_default();
    let subscription = server.open(position)?;
    let log = server.feed.state();
    if log.finished && subscription.cursor() == log.latest {
        // Nothing will ever come. Of all answers, 204 is the one after which an EventSource stops asking.
        return Ok((StatusCode::NO_CONTENT, [("cache-control", "no-store")]).into_response());
    }
    let slot = server.slots.try_take()?;
    // Without a name in the register there is nothing that `POST cut` could find.
    let name = name.filter(|_| server.config.demo_cut);
    let retry = fastrand::u64(server.config.retry_ms.clone());
    let connection = Connection {
        blocks: stream::opening(&subscription, retry),
        subscription,
        encoding: server.encoding,
        ending: Box::pin(server.ending.begun()),
        cuttable: name.as_deref().and_then(|name| server.cuts.register(name)),
        heartbeat: server.config.heartbeat,
        _slot: slot,
        batch: Vec::new().into_iter(),
        over: false,
    };
    Ok((STREAM_HEADERS, Body::from_stream(connection.into_body())).into_response())
}
// ANCHOR_END: events

impl Server {
    fn open(&self, position: Position) -> Result<feed::Subscription, Problem> {
        if self.ending.has_begun() {
            return Err(Problem::ending());
        }
        let subscription = self.feed.subscribe(position);
        subscription.map_err(|future| Problem::future_cursor(future.asked, future.latest))
    }
}

/// `GET status`: what the log holds, or the verdict that a stream with this `?after=` would meet. A browser cannot see
/// why its EventSource failed, so its page asks here.
async fn status(
    State(server): State<Server>,
    After(after): After,
) -> Result<([(HeaderName, &'static str); 1], Json<LogState>), Problem> {
    let subscription = server.open(after.unwrap_or_default())?;
    server
        .feed
        .read(Position::After(subscription.cursor()), 1, 0)?;
    // Taken and given back: it fails where a stream would.
    drop(server.slots.try_take()?);
    let no_store = (HeaderName::from_static("cache-control"), "no-store");
    Ok(([no_store], Json(server.feed.state())))
}

/// `POST cut?stream=NAME`: breaks that stream, for the reader to watch.
async fn cut(
    State(server): State<Server>,
    Query(named): Query<Named>,
) -> Result<StatusCode, Problem> {
    match named.stream {
        Some(name) if server.cuts.cut(&name) => Ok(StatusCode::NO_CONTENT),
        _ => Err(Problem::not_found()),
    }
}
