//! `POST events`: how an event comes in over HTTP.

use super::{json_body, refuse};
use crate::{Access, Room};
use ::http::{header, request::Parts, HeaderMap, StatusCode};
use axum::{
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
    routing::{post, MethodRouter},
    Json,
};
use contract::{headers::IDEMPOTENCY_KEY, Accepted, IdempotencyKey, NewEvent, Problem};
use feed::Published;
use std::borrow::Cow;

/// A `POST` that publishes the event in its body, `{"kind":"message","data":…}`, and
/// answers `{"id":"k3f9x2.18"}`.
///
/// 201 for a new event. With an `Idempotency-Key` header
/// ([draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/))
/// a client that got no answer may ask again: a repeated key answers 200 with the id of
/// the event that is there already, and no second one is made.
///
/// Only `Content-Type: application/json` is accepted: see
/// [`JsonBody`](super::JsonBody).
///
/// # Errors
/// Answered as [`Problem`]s: 401 `unauthorized` and 403 `forbidden`, where the request
/// has an [`Access`]; 400 `bad-event`, 409 `finished`, 413 `too-large`, 415
/// `not-json`, 422 `key-reused`; and 408 `timed-out` by the edge.
pub fn publish_route<S: Clone + Send + Sync + 'static>(room: &Room) -> MethodRouter<S> {
    let room = room.clone();
    post(move |request: Request| async move {
        publish(&room, request).await.map(answer).map_err(refuse)
    })
}

async fn publish(room: &Room, request: Request) -> Result<Published, Problem> {
    let key = idempotency_key(request.headers());
    let access = request.extensions().get::<Access>().cloned();
    // Before the body is read: who is nobody here costs no more than its head.
    access.as_ref().map_or(Ok(()), Access::check)?;
    let event: NewEvent = json_body::read(request, &(), Problem::bad_event).await?;
    room.publish_as(access.as_ref(), key?, event).await
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

/// The `Idempotency-Key` of a request, if it has one: an extractor, for what must not
/// be done twice and is no publish.
///
/// # Errors
/// 400 `bad-event`.
#[derive(Clone, Debug)]
pub struct Key(pub Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Response> {
        idempotency_key(&parts.headers).map(Self).map_err(refuse)
    }
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
    let key = bare(key.to_str().unwrap_or("")).parse();
    key.map(Some).map_err(Problem::bad_event)
}

/// The key itself. Most send it as it is; the draft has it in quotation marks, as a
/// string of RFC 9651 §3.3.3, in which `"` and `\` have a `\` before them. What begins
/// with a quotation mark and is no such string is no key.
fn bare(value: &str) -> Cow<'_, str> {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.into();
    };
    let mut key = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if characters.as_str().is_empty() => return key.into(),
            '"' => break,
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => break,
            },
            other => key.push(other),
        }
    }
    "".into()
}
