//! A request body that must be JSON.

use crate::Problem;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use http::{header, HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

/// An extractor for a JSON body; axum's own answers in plain text, and this one as a [`Problem`].
///
/// Only `Content-Type: application/json` is taken. A form on another site cannot send that type without asking first
/// (CORS calls such a request *not simple*), so this is a second fence behind the [`guard`](crate::guard).
///
/// # Errors
/// 415 `not-json`, 413 `too-large`, 400 `bad-event`.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::not_json());
        }
        // Nothing here decodes it, and its bytes are no JSON (RFC 9110 §15.5.16).
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::not_json().with_detail("send it without a Content-Encoding"));
        }
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(rejection),
                    _ => Problem::bad_event(rejection),
                })?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(Problem::bad_event)
    }
}

/// Whether the type is `application/json`, with any parameters or none.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}
