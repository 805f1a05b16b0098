//! Polling: asking again, over the [`feed`].
//!
//! ```text
//! cargo run -p polling -- --port 4101 --rate 2
//! curl 'http://127.0.0.1:4101/events?after=earliest'
//! ```

mod config;

pub use config::Config;

use axum::{extract::State, Router};
use feed::Feed;
use serving::{assets, fallbacks, publish_route, status_route, After, Ending, Page, Problem};
use web::Asset;

/// The page and its modules; the shared modules lie beside them under `web/`.
const PAGE: &[Asset] = &[
    Asset::html("", include_bytes!("../web/index.html")),
    Asset::javascript("panel.js", include_bytes!("../web/panel.js")),
    Asset::javascript(
        "polling-client.js",
        include_bytes!("../web/polling-client.js"),
    ),
    Asset::javascript("prices.js", include_bytes!("../web/prices.js")),
    Asset::javascript("rhythm.js", include_bytes!("../web/rhythm.js")),
];

/// What the handlers share.
#[derive(Clone)]
struct Server {
    feed: Feed,
    ending: Ending,
}

/// The server: routes relative to wherever it is mounted.
pub fn router(feed: Feed, _config: Config, ending: Ending) -> Router {
    let status = status_route(feed.clone(), ending.clone(), None);
    let server = Server {
        feed: feed.clone(),
        ending,
    };
    let router = Router::new()
        .route("/events", publish_route(feed).get(events))
        .route("/status", status)
        .merge(assets::router(PAGE))
        .nest("/web", assets::router(web::MODULES));
    fallbacks(router).with_state(server)
}

/// `GET events`: what is due, at once.
async fn events(State(server): State<Server>, After(after): After) -> Result<Page, Problem> {
    server.ending.refuse_if_begun()?;
    Page::read(&server.feed, after.unwrap_or_default())
}
