//! `GET ready`: whether a load balancer should send anybody here.

use crate::{Ending, ProblemResponse};
use axum::routing::{get, MethodRouter};
use contract::Problem;
use http::header;

/// A `GET` that answers 200 `{"ready":true}`, and once the ending was
/// [announced](Ending::announce) 503 `ending`.
///
/// It says nothing of free places: with all servers full, none would be ready, and
/// those who have a place would lose the way to it. And it is no sign of life: who
/// restarts a server that is not ready cuts what is being served.
///
/// # Errors
/// Answered as [`Problem`]: 503 `ending`.
pub fn ready<S: Clone + Send + Sync + 'static>(ending: &Ending) -> MethodRouter<S> {
    let ending = ending.clone();
    get(move || async move {
        match ending.is_announced() {
            true => Err(ProblemResponse(Problem::ending())),
            false => Ok((
                [
                    (header::CONTENT_TYPE, "application/json"),
                    (header::CACHE_CONTROL, "no-store"),
                ],
                r#"{"ready":true}"#,
            )),
        }
    })
}
