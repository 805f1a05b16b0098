//! The book's stream of events for pages that show what many tabs cost.
//!
//! - `sse/` is the server of Server-Sent Events, as everywhere.
//! - `GET held?group=NAME` tells how many of its streams are open whose query has the
//!   same `group`: the reader's own, of all the tabs of a browser.

use axum::{
    body::Body,
    extract::{rejection::QueryRejection, Query, Request, State},
    middleware::{from_fn_with_state, Next},
    response::{IntoResponse as _, Json, Response},
    routing::get,
    Router,
};
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use method::Host;
use serde::{Deserialize, Serialize};
use serving::{assets, fallbacks};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Where a site mounts [`router`], and what a page's `data-method` says.
pub const NAME: &str = "tabs";

/// The stream, the count of those that are open, and the modules that the pages import.
pub fn router(host: Host) -> Router {
    let held = Held::default();
    let stream =
        (sse::METHOD.router)(host).layer(from_fn_with_state(held.clone(), counted));
    let router = Router::new()
        .route("/held", get(tell))
        .with_state(held)
        .nest("/sse/", stream);
    fallbacks(router.merge(assets::router(web::TABS)))
}

/// How many streams are open, by their group. An entry goes with its last stream, so
/// there are never more than streams.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<HashMap<String, u32>>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open, until it is dropped: at its end, or when the client leaves.
struct Open {
    held: Held,
    group: String,
}

impl Open {
    fn new(held: Held, group: String) -> Self {
        *held.lock().entry(group.clone()).or_default() += 1;
        Self { held, group }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.group) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.group);
            }
        }
    }
}

/// Whose request it is. What a page says of itself, and good for nothing but a count.
#[derive(Debug, Deserialize)]
struct Group {
    #[serde(default)]
    group: String,
}

#[derive(Debug, Serialize)]
struct Told {
    streams: u32,
}

async fn tell(
    State(held): State<Held>,
    Query(Group { group }): Query<Group>,
) -> Response {
    let streams = held.lock().get(&group).copied().unwrap_or_default();
    ([(CACHE_CONTROL, "no-store")], Json(Told { streams })).into_response()
}

async fn counted(
    State(held): State<Held>,
    group: Result<Query<Group>, QueryRejection>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(CONTENT_TYPE);
    let is_stream =
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let (Ok(Query(Group { group })), true) = (group, is_stream) else {
        return response;
    };
    let open = Open::new(held, group);
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            // Its end is that of the body.
            let _ = &open;
            piece
        }))
    })
}
