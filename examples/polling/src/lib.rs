//! Polling: asking again, over the [`feed`].
//!
//! ```text
//! cargo run -p polling -- --port 4101 --rate 2
//! curl 'http://127.0.0.1:4101/events?after=earliest'
//! curl -i http://127.0.0.1:4101/state
//! ```

mod config;
mod state;

pub use config::Config;
pub use state::{Board, Price, Prices};

use state::Written;

use axum::{extract::State, routing::get, Router};
use contract::Problem;
use feed::{Feed, View};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use method::Method;
use serving::{assets, fallbacks, Ending, ProblemResponse};
use std::{ops::RangeInclusive, sync::Arc};
use waiting::{
    http::{publish_route, status_route, After},
    Door, LogPage, Places, Reader, Room,
};

/// What this method says of itself.
pub const METHOD: Method = Method {
    name: "polling",
    title: "polling",
    port: 4101,
    about: "Serves a log of events by polling, with a page that shows them",
    waits: None,
    cuts: false,
    router: |host| {
        // Nobody waits here, so it needs no places.
        router(host.log, Config::default(), host.ending)
    },
};

/// What the handlers share.
#[derive(Clone)]
struct Server {
    room: Room,
    /// The state. One for all requests, so that each event is folded once.
    prices: View<Board>,
    /// Its newest version as it is sent.
    written: Written,
    /// How many more may be answered in this moment. Shared by the handlers: to a
    /// server, a request is a request.
    rate: Arc<DefaultDirectRateLimiter>,
    /// When the refused may ask again, in seconds.
    retry_after: RangeInclusive<u16>,
}

// ANCHOR: router
/// The server: routes relative to wherever it is mounted.
///
/// `GET events`, `POST events`, `GET state`, `GET status`, and the page at `GET /` with
/// its modules.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    // Nobody waits in it, so it needs no places.
    let door = Door::new(ending.signal(), Places::unlimited());
    let server = Server {
        prices: state::view(feed.clone(), config.max_symbols),
        written: Written::default(),
        rate: Arc::new(RateLimiter::direct(Quota::per_second(config.max_rate))),
        retry_after: config.retry_after,
        room: Room::new(METHOD.name, feed, door),
    };
    let router = Router::new()
        .route("/events", publish_route(&server.room).get(events))
        .route("/state", get(state::state))
        .route("/status", status_route(&server.room))
        .merge(assets::router(web::POLLING))
        .nest("/shared", assets::router(web::SHARED));
    fallbacks(router).with_state(server)
}
// ANCHOR_END: router

// ANCHOR: events
/// `GET events`: what is due, at once.
async fn events(
    State(server): State<Server>,
    After(after): After,
    reader: Reader,
) -> Result<LogPage, ProblemResponse> {
    server.admit()?;
    Ok(server.room.page(after.unwrap_or_default(), &reader).await?)
}
// ANCHOR_END: events

impl Server {
    // ANCHOR: admit
    /// Whether a request for events or for the state is answered: not while the server
    /// ends, and not where more ask than it will answer.
    fn admit(&self) -> Result<(), Problem> {
        self.room.door().check_open()?;
        if self.rate.check().is_ok() {
            return Ok(());
        }
        // Each is told a time of its own. One time for all would only move the rush.
        let retry_after = fastrand::u16(self.retry_after.clone());
        Err(Problem {
            retry_after: Some(retry_after),
            ..Problem::busy().with_detail("too many ask at once")
        })
    }
    // ANCHOR_END: admit
}
