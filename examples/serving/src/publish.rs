//! `POST events`: how an event comes in over HTTP.

use crate::Problem;
use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    response::{IntoResponse, Response},
    routing::{post, MethodRouter},
    Json,
};
use feed::{
    contract::{Accepted, NewEvent, IDEMPOTENCY_KEY},
    Feed, IdempotencyKey, Published,
};
use http::{header, HeaderMap, StatusCode};

/// A `POST` that publishes the event in its body, `{"kind":"message","data":…}`, and answers `{"id":"k3f9x2.18"}`.
///
/// 201 for a new event. With an `Idempotency-Key` header
/// ([draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)) a client that got no answer may ask
/// again: a repeated key answers 200 with the id of the event that is there already, and no second one is made.
///
/// Only `Content-Type: application/json` is taken. A form on another site cannot send that type without asking first
/// (CORS calls such a request *not simple*), so this is a second fence behind the [`guard`](crate::guard).
///
/// # Errors
/// Answered as [`Problem`]s: 400 `bad-event`, 409 `finished`, 413 `too-large`, 415 `not-json`, 422 `key-reused`; and 408
/// `timed-out` by [`serve`](crate::serve).
pub fn publish_route<S: Clone + Send + Sync + 'static>(feed: Feed) -> MethodRouter<S> {
    post(
        move |headers: HeaderMap, body: Result<Bytes, BytesRejection>| {
            let feed = feed.clone();
            async move {
                match publish(&feed, &headers, body).await {
                    Ok(published) => answer(published),
                    Err(problem) => problem.into_response(),
                }
            }
        },
    )
}

async fn publish(
    feed: &Feed,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Published, Problem> {
    if !is_json(headers) {
        return Err(Problem::not_json());
    }
    let key = idempotency_key(headers)?;
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(rejection),
        _ => Problem::bad_event(rejection),
    })?;
    let NewEvent { kind, data } = serde_json::from_slice(&body).map_err(Problem::bad_event)?;
    match key {
        Some(key) => Ok(feed.publish_once(key, kind, data).await?),
        None => {
            let cursor = feed.publish(kind, data).await?;
            let repeated = false;
            Ok(Published { cursor, repeated })
        }
    }
}

fn answer(published: Published) -> Response {
    let status = match published.repeated {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    let id = published.cursor;
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (status, no_store, Json(Accepted { id })).into_response()
}

/// Whether the type is `application/json`, with any parameters or none.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    // Of two keys it is not clear which one the client will remember.
    if keys.next().is_some() {
        return Err(Problem::bad_event("there is more than one Idempotency-Key"));
    }
    // Text that is not ASCII becomes "", which is no key either.
    let key = key.to_str().unwrap_or("").parse();
    key.map(Some).map_err(Problem::bad_event)
}
