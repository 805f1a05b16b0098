//! For each method, the server that one writes first, beside the book's own.
//!
//! A chapter shows both under one button, so that its reader sees one lose what the
//! other keeps. Below `NAME/KEY/`, where `NAME` is a method's and `KEY` is any name
//! that a page makes up:
//!
//! - `real/` is the book's server, as everywhere.
//! - `plain/` is the other one: see [`plain`].
//! - `POST publish` takes an array of texts, and hands each to both.
//! - `POST cut` breaks what the page of this key has open, on both sides.
//! - `POST freeze` stops it without a word: no byte comes any more, and no end.
//!
//! And `foreign/real` and `foreign/plain` are one socket twice: a site that mounts this
//! lets pages of every origin open the second ([`ANY_ORIGIN`]).
//!
//! A method has one log here, for all pages. A page knows its own events by their
//! texts.

// In a browser tokio has no clock: the same names, on the browser's timers.
#[cfg(target_family = "wasm")]
extern crate tokio_browser as tokio;
// And hyper reads no HTTP there: the same names, over bytes in memory.
#[cfg(target_family = "wasm")]
extern crate hyper_browser as hyper;
#[cfg(target_family = "wasm")]
extern crate hyper_browser as hyper_util;

mod between;
mod breakable;
mod foreign;
pub mod plain;

use crate::breakable::{breakable, Breakable, Order, Orders};
use axum::{
    extract::{RawPathParams, State},
    middleware::from_fn_with_state,
    routing::post,
    Router,
};
use contract::{Data, Problem};
use feed::{Feed, Retention};
use http::StatusCode;
use method::{Host, Method};
use serving::{assets, fallbacks, Ending, ProblemResponse};
use std::time::Duration;
use tokio::sync::broadcast;
use waiting::{http::JsonBody, Places};

/// Where a site mounts [`router`], and what a page's `data-method` says.
pub const NAME: &str = "twin";

/// Where, below [`NAME`], the plain server of sockets is that does not ask which page
/// opens one.
pub const ANY_ORIGIN: &str = "foreign/plain";

/// How many events a log here keeps: few, so that a page falls out of them soon.
pub const WINDOW: usize = 64;

/// How many values the channel of a plain server has room for, as in the listings of
/// the chapters.
pub const CHANNEL: usize = 16;

/// How many texts one request may publish: more than a window holds.
pub const MOST_TEXTS: usize = 256;

/// The longest of them, in bytes.
pub const LONGEST_TEXT: usize = 256;

/// How many connections one plain server holds at most.
const PLACES: usize = 64;

/// How long a frozen connection stays open at most. A server that froze would keep it
/// for as long as it lives.
pub(crate) const FROZEN: Duration = Duration::from_secs(120);

/// The real server's longest silence. Short, so that its client soon knows a frozen
/// connection.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// What a method's two servers share: the events, and what breaks connections.
#[derive(Clone)]
pub(crate) struct Twin {
    pub(crate) log: Feed,
    pub(crate) texts: broadcast::Sender<String>,
    pub(crate) orders: Orders,
    pub(crate) ending: Ending,
}

/// The twins of all methods: routes relative to wherever it is mounted. What waits
/// takes one of `places`.
pub fn router(places: &Places, ending: &Ending) -> Router {
    let methods: [(Method, Router<Twin>); 4] = [
        (polling::METHOD, plain::polling()),
        (long_polling::METHOD, plain::long_polling()),
        (sse::METHOD, plain::sse()),
        (websocket::METHOD, plain::websocket()),
    ];
    let router = methods
        .into_iter()
        .fold(Router::new(), |router, (method, plain)| {
            let twin = twin(method, plain, places, ending);
            router.nest(&format!("/{}/{{key}}", method.name), twin)
        });
    let router = router.nest("/foreign", foreign::router(places, ending));
    fallbacks(router.merge(assets::router(web::TWIN)))
}

fn twin(
    method: Method,
    plain: Router<Twin>,
    places: &Places,
    ending: &Ending,
) -> Router {
    let twin = Twin {
        log: Feed::new(Retention {
            max_events: WINDOW,
            ..Retention::default()
        }),
        texts: broadcast::Sender::new(CHANNEL),
        orders: Orders::default(),
        ending: ending.clone(),
    };
    let real = (method.router)(Host {
        heartbeat: HEARTBEAT,
        shared: Some(places.clone()),
        ..Host::alone(twin.log.clone(), ending.clone())
    });
    // The real one counts its own places.
    let of_real = Breakable {
        orders: twin.orders.clone(),
        places: None,
    };
    let of_plain = Breakable {
        places: Some(Places::new(PLACES).within(Some(places))),
        ..of_real.clone()
    };
    let plain = plain.layer(from_fn_with_state(of_plain, breakable));
    Router::new()
        .route("/publish", post(publish))
        .route("/cut", post(cut))
        .route("/freeze", post(freeze))
        .nest("/plain", plain)
        .with_state(twin)
        .nest("/real", real.layer(from_fn_with_state(of_real, breakable)))
}

/// `POST publish`: an array of texts, each an event of the log and a value of the
/// channel.
async fn publish(
    State(twin): State<Twin>,
    JsonBody(texts): JsonBody<Vec<String>>,
) -> Result<StatusCode, ProblemResponse> {
    if texts.len() > MOST_TEXTS || texts.iter().any(|text| text.len() > LONGEST_TEXT) {
        return Err(ProblemResponse(Problem::bad_body(format_args!(
            "at most {MOST_TEXTS} texts of at most {LONGEST_TEXT} bytes"
        ))));
    }
    let kind: contract::Kind = "message".parse().expect("it is a kind");
    for text in &texts {
        let data = Data::new(text).expect("a text is JSON");
        let published = twin.log.publish(kind.clone(), data).await;
        published.expect("it is small, and the log is never finished");
    }
    for text in texts {
        let _nobody_listens = twin.texts.send(text);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `POST cut`: breaks the connections of this key.
async fn cut(State(twin): State<Twin>, params: RawPathParams) -> StatusCode {
    twin.orders.give(Order::Cut, &params)
}

/// `POST freeze`: stops them, and leaves them open.
async fn freeze(State(twin): State<Twin>, params: RawPathParams) -> StatusCode {
    twin.orders.give(Order::Freeze, &params)
}
