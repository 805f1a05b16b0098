//! Long polling: a request that waits, over the [`feed`].
//!
//! ```text
//! cargo run -p long-polling -- --port 4102 --rate 2
//! curl 'http://127.0.0.1:4102/events'
//! curl -H 'Prefer: wait=20' 'http://127.0.0.1:4102/events?after=NEXT'
//! ```
//!
//! where `NEXT` is what the first answer calls `next`.
//!
//! - [`router`]: the server, to be served by [`serving::serve`], alone or nested in
//!   another.

mod config;
mod parked;
mod prefer;

pub use config::Config;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
    Router,
};
use contract::{Position, Problem};
use feed::Feed;
use parked::{Parked, Woken};
use prefer::Wait;
use serving::{
    assets, cut_route, fallbacks, publish_route, status_route, After, ConnectionName,
    Cuts, Ending, Page, ProblemResponse, Slots,
};
use std::{sync::Arc, time::Duration};

/// What the handlers share.
#[derive(Clone)]
struct Server {
    feed: Feed,
    config: Arc<Config>,
    ending: Ending,
    /// The places for parked requests.
    places: Slots,
    /// The parked requests that a reader may cut.
    cuts: Cuts,
}

// ANCHOR: router
/// The server: routes relative to wherever it is mounted.
///
/// `GET events`, `POST events`, `GET status`, the page at `GET /` with its modules, and
/// `POST cut`, which finds no request to cut unless [`Config::demo_cut`] allows it.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let places = Slots::new(config.max_parked).within(config.shared.as_ref());
    let cuts = Cuts::new(config.demo_cut);
    let status = status_route(feed.clone(), ending.clone(), Some(places.clone()));
    let cut = cut_route(cuts.clone());
    let server = Server {
        feed: feed.clone(),
        config: Arc::new(config),
        ending,
        places,
        cuts,
    };
    let router = Router::new()
        .route("/events", publish_route(feed).get(events))
        .route("/status", status)
        .route("/cut", cut)
        .merge(assets::router(web::LONG_POLLING))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(server)
}
// ANCHOR_END: router

// ANCHOR: events
/// `GET events`: what is due after a cursor; where nothing is, after a wait.
async fn events(
    State(server): State<Server>,
    After(after): After,
    Wait(wished): Wait,
    name: ConnectionName,
) -> Result<Response, ProblemResponse> {
    server.ending.refuse_if_begun()?;
    let position = after.unwrap_or_default();
    let granted = drawn(wished.min(server.config.max_wait));
    let mut page = Page::read(&server.feed, position)?;
    // A request without a cursor is answered at once, whatever it wishes: its answer
    // gives it the cursor to wait with.
    if granted.is_zero() || !matches!(position, Position::After(_)) {
        return Ok((VARY, page).into_response());
    }
    if page.is_empty() && !page.is_finished() {
        let mut parked = server.park(position, name)?;
        match parked.wait(granted, server.config.linger).await {
            // Also where the server ends: `Connection: close` goes with it, or GOAWAY,
            // and the client asks whoever serves next, at once. An error would make it
            // wait, and would count as one.
            Woken::Due | Woken::TimedOut | Woken::Ending => {
                page = Page::read(&server.feed, position)?;
            }
            Woken::Cut => return Ok(parked::broken()),
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
const VARY: [(&str, &str); 1] = [("vary", "prefer")];

/// What was granted, which may be less than was wished (RFC 7240 §3).
fn applied(granted: Duration) -> [(&'static str, String); 1] {
    // Rounded up, because a wait is an upper bound (§4.3): whoever grants 40 ms has
    // answered within a second.
    let seconds = granted.as_secs() + u64::from(granted.subsec_nanos() > 0);
    [("preference-applied", format!("wait={seconds}"))]
}
// ANCHOR_END: headers

impl Server {
    // ANCHOR: park
    /// Takes a place for a request with nothing due.
    fn park(
        &self,
        position: Position,
        name: ConnectionName,
    ) -> Result<Parked, Problem> {
        Ok(Parked {
            // Before the subscription: a request that finds no place shall cost
            // nothing.
            _slot: self.places.try_take()?,
            subscription: self.feed.subscribe(position)?,
            ending: Box::pin(self.ending.begun()),
            cuttable: self.cuts.register(name),
        })
    }
    // ANCHOR_END: park
}
