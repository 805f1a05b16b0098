//! `GET status`: what the log holds, and whether a wait could begin.

use crate::{After, Ending, ProblemResponse, Slots};
use axum::{
    routing::{get, MethodRouter},
    Json,
};
use contract::{Position, Problem, Status};
use feed::Feed;
use http::header;

/// A `GET` that answers what the log holds,
/// `{"earliest":…,"latest":…,"finished":false}`, or the verdict that a wait with this
/// `?after=` would meet. A browser cannot see why its `EventSource` or `WebSocket`
/// failed, so its page asks here.
///
/// `slots` are the places that a wait would need, where the method has such.
///
/// # Errors
/// Answered as [`Problem`]s: 400 `bad-cursor` and `future-cursor`, 410 `expired` and
/// `new-log`, 503 `busy` and `ending`.
pub fn status_route<S: Clone + Send + Sync + 'static>(
    feed: Feed,
    ending: Ending,
    slots: Option<Slots>,
) -> MethodRouter<S> {
    get(move |After(after): After| async move {
        let state = status(&feed, &ending, slots.as_ref(), after.unwrap_or_default())?;
        Ok::<_, ProblemResponse>(([(header::CACHE_CONTROL, "no-store")], Json(state)))
    })
}

fn status(
    feed: &Feed,
    ending: &Ending,
    slots: Option<&Slots>,
    position: Position,
) -> Result<Status, Problem> {
    ending.refuse_if_begun()?;
    let log = feed.read(position, 1, 0)?.log;
    if let Some(slots) = slots {
        // Looked at and not taken: taken for a moment, the last place would be missing
        // for a wait that comes then.
        slots.look()?;
    }
    Ok(log)
}
