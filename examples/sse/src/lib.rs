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
pub mod framing;
pub mod parser;
mod stream;
mod tokens;

pub use config::Config;

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
    http::{request::Parts, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
    Router,
};
use feed::{Cursor, Encoding, Feed, Position};
use serving::{
    assets, cut_route, fallbacks, publish_route, status_route, After, ConnectionName, Cuts, Ending,
    Problem, Slots,
};
use std::sync::Arc;
use stream::Connection;
use web::Asset;

/// The page and its modules; the shared modules lie beside them under `web/`.
const PAGE: &[Asset] = &[
    Asset::html("", include_bytes!("../web/index.html")),
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

// ANCHOR: events
/// `GET events`: the stream.
async fn events(
    State(server): State<Server>,
    LastEventId(last): LastEventId,
    After(after): After,
    name: ConnectionName,
) -> Result<Response, Problem> {
    // The header wins. A browser repeats the URL with its first `?after=` for ever, and only the header moves on.
    let position = last.or(after).unwrap_or_default();
    server.ending.refuse_if_begun()?;
    let subscription = server.feed.subscribe(position)?;
    let log = server.feed.state();
    if log.finished && subscription.cursor() == log.latest {
        // Nothing will ever come. Of all answers, 204 is the one after which an EventSource stops asking.
        return Ok((StatusCode::NO_CONTENT, [("cache-control", "no-store")]).into_response());
    }
    let slot = server.slots.try_take()?;
    let retry = fastrand::u64(server.config.retry_ms.clone());
    let connection = Connection {
        blocks: stream::opening(&subscription, retry),
        subscription,
        encoding: server.encoding,
        ending: Box::pin(server.ending.begun()),
        cuttable: server.cuts.register(name),
        heartbeat: server.config.heartbeat,
        _slot: slot,
        batch: Vec::new().into_iter(),
        over: false,
    };
    Ok((STREAM_HEADERS, Body::from_stream(connection.into_body())).into_response())
}
// ANCHOR_END: events
