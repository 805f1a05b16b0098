//! Long polling: a request that waits, over the [`feed`].
//!
//! ```text
//! cargo run -p long-polling -- --port 4102 --rate 2
//! curl -H 'Prefer: wait=20' 'http://127.0.0.1:4102/events?after=k3f9x2.17'
//! ```

mod config;

pub use config::Config;

use axum::{extract::State, Router};
use feed::Feed;
use serving::{
    assets, cut_route, fallbacks, publish_route, status_route, After, Cuts, Ending, Page, Problem,
    Slots,
};
use web::Asset;

/// The page and its modules; the shared modules lie beside them under `web/`.
const PAGE: &[Asset] = &[
    Asset::html("", include_bytes!("../web/index.html")),
    Asset::javascript("panel.js", include_bytes!("../web/panel.js")),
    Asset::javascript(
        "long-polling-client.js",
        include_bytes!("../web/long-polling-client.js"),
    ),
];

/// What the handlers share.
#[derive(Clone)]
struct Server {
    feed: Feed,
    ending: Ending,
}

/// The server: routes relative to wherever it is mounted.
pub fn router(feed: Feed, config: Config, ending: Ending) -> Router {
    let parked = Slots::new(config.max_parked);
    let cuts = Cuts::new(config.demo_cut);
    let status = status_route(feed.clone(), ending.clone(), Some(parked));
    let server = Server {
        feed: feed.clone(),
        ending,
    };
    let router = Router::new()
        .route("/events", publish_route(feed).get(events))
        .route("/status", status)
        .route("/cut", cut_route(cuts))
        .merge(assets::router(PAGE))
        .nest("/web", assets::router(web::MODULES));
    fallbacks(router).with_state(server)
}

/// `GET events`: what is due; where nothing is, after a wait.
async fn events(State(server): State<Server>, After(after): After) -> Result<Page, Problem> {
    server.ending.refuse_if_begun()?;
    Page::read(&server.feed, after.unwrap_or_default())
}
