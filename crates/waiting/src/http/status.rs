//! `GET status`: what the log holds, and whether a wait could begin.

use super::{refuse, After, Sender};
use crate::{Reader, Room};
use ::http::header;
use axum::{
    routing::{get, MethodRouter},
    Json,
};

/// A `GET` that answers what the log holds,
/// `{"earliest":…,"latest":…,"finished":false}`, or the problem that a wait with this
/// `?after=` would meet. A browser cannot see why its `EventSource` or `WebSocket`
/// failed, so its page asks here.
///
/// # Errors
/// Answered as [`Problem`](contract::Problem)s: 401 `unauthorized`, 403 `forbidden`,
/// 400 `bad-cursor` and `future-cursor`, 410 `expired` and `new-log`, 429 `too-many`,
/// 503 `busy` and `ending`.
pub fn status_route<S: Clone + Send + Sync + 'static>(room: &Room) -> MethodRouter<S> {
    let room = room.clone();
    get(
        move |reader: Reader, After(after): After, Sender(client): Sender| async move {
            reader.check().map_err(refuse)?;
            let position = after.unwrap_or_default();
            let status = room.for_client(client).status(position).await;
            let status = status.map_err(refuse)?;
            Ok::<_, axum::response::Response>((
                [(header::CACHE_CONTROL, "no-store")],
                Json(status),
            ))
        },
    )
}
