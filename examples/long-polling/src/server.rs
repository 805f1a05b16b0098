//! The server: a request that waits.

use crate::{prefer::PreferWait, Config, METHOD};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    Router,
};
use contract::{headers, Position};
use feed::Feed;
use futures_util::stream::{self, StreamExt};
use serving::{assets, fallbacks, Ending, ProblemResponse};
use std::{sync::Arc, time::Duration};
use waiting::{
    http::{cut_route, publish_route, status_route, After, Sender},
    Cut, Cuts, Door, Next, Places, Reader, Room,
};

/// What the handlers share.
struct Server {
    room: Room,
    config: Config,
}

// ANCHOR: router
/// The server: routes relative to wherever it is mounted.
///
/// `GET events`, `POST events`, `GET status`, the page at `GET /` with its modules, and
/// `POST cut`, which finds no request to cut unless [`Config::demo_cut`] allows it.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let places = Places::new(config.max_parked).within(config.shared.as_ref());
    let door = Door::new(ending.signal(), places);
    let room = Room::new(METHOD.name, feed, door).with_cuts(Cuts::new(config.demo_cut));
    let router = Router::new()
        .route("/events", publish_route(&room).get(events))
        .route("/status", status_route(&room))
        .route("/cut", cut_route(&room))
        .merge(assets::router(web::LONG_POLLING))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(Arc::new(Server { room, config }))
}
// ANCHOR_END: router

// ANCHOR: events
/// `GET events`: what is due after a cursor; where nothing is, after a wait.
async fn events(
    State(server): State<Arc<Server>>,
    After(after): After,
    PreferWait(wished): PreferWait,
    reader: Reader,
    Sender(client): Sender,
) -> Result<Response, ProblemResponse> {
    let (room, config) = (server.room.for_client(client), &server.config);
    room.door().check_open()?;
    let position = after.unwrap_or_default();
    let granted = drawn(wished.min(config.max_wait));
    let mut page = room.page(position, &reader).await?;
    // Who has no cursor gets one at once, to wait with.
    if granted.is_zero() || !matches!(position, Position::After(_)) {
        return Ok((VARY, page).into_response());
    }
    if page.is_empty() && !page.is_finished() {
        let wait = room.join_for_one_answer(position, reader.clone());
        let mut wait = wait.await?;
        wait.limit_silence(granted);
        let mut woken = wait.next().await;
        // Events are the beginning of a burst, perhaps. An answer costs the client a
        // request before it can wait again, and the next event of the burst would find
        // nobody waiting: so this one stays a moment longer.
        wait.limit_silence(config.linger);
        loop {
            // From the request's own cursor, so it cannot matter what woke it, how
            // often, or too early. Where the server ends, the page may be empty, and
            // `Connection: close` or GOAWAY goes with it: the client asks whoever
            // serves next, at once. An error would make it wait, and would count as
            // one.
            page = room.page(position, &reader).await?;
            match woken {
                Next::Batch(_) if !page.is_full() => woken = wait.next().await,
                Next::Cut => return Ok(broken()),
                _ => break,
            }
        }
    }
    Ok((VARY, applied(granted), page).into_response())
}
// ANCHOR_END: events

/// How long a request is parked that may be parked this long: at least four fifths of
/// it, in whole seconds, drawn for each. Those whom one event has answered together
/// would otherwise time out together, and again, for as long as nothing happens. A wait
/// that is too short for a draw stays as it is.
fn drawn(longest: Duration) -> Duration {
    let most = longest.as_secs();
    let least = longest.as_secs_f64() * 0.8;
    match least.ceil() as u64 {
        least if least < most => Duration::from_secs(fastrand::u64(least..=most)),
        _ => longest,
    }
}

// ANCHOR: headers
/// Another answer to another preference (RFC 7240 §2). No cache may keep a page; this
/// is for whoever keeps it all the same.
const VARY: [(header::HeaderName, &str); 1] = [(header::VARY, headers::PREFER)];

/// What was granted, which may be less than was wished (RFC 7240 §3).
fn applied(granted: Duration) -> [(&'static str, String); 1] {
    // Rounded up, because a wait is an upper bound (§4.3): whoever grants 40 ms has
    // answered within a second.
    let seconds = granted.as_secs() + u64::from(granted.subsec_nanos() > 0);
    [(headers::PREFERENCE_APPLIED, format!("wait={seconds}"))]
}
// ANCHOR_END: headers

/// An answer that breaks off in the middle, for a request that is cut.
fn broken() -> Response {
    // It has to begin. A browser that finds its connection closed before any byte of an
    // answer asks again by itself, and its page would see nothing of the cut.
    let beginning = stream::iter([Ok(Bytes::from_static(b"{"))]);
    let end = stream::once(async {
        // Lets hyper write what it has before it meets the error.
        tokio::task::yield_now().await;
        Err(Cut)
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        // More than will come. Without it the body would be chunked, and would lack its
        // last chunk: the same to a client.
        (header::CONTENT_LENGTH, "64"),
    ];
    (headers, Body::from_stream(beginning.chain(end))).into_response()
}
