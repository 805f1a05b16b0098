//! A request body that must be JSON.

use super::refuse;
use ::http::{header, HeaderMap, StatusCode};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    response::Response,
};
use contract::Problem;
use serde::de::DeserializeOwned;

/// An extractor for a JSON body; axum's own answers in plain text, and this one as a
/// [`Problem`].
///
/// Only `Content-Type: application/json` is taken, and no `Content-Encoding`: what
/// arrives compressed would have to be bounded twice. A form on another site cannot
/// send that type without asking first (CORS calls such a request *not simple*), so
/// this is a second fence behind the guard of the edge.
///
/// # Errors
/// 415 `not-json`, 413 `too-large`, 400 `bad-body`.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let value = read(request, state, Problem::bad_body).await;
        value.map(Self).map_err(refuse)
    }
}

/// The value in a request's body, or the problem that `bad` makes of what is wrong with
/// it.
///
/// # Errors
/// 415 `not-json`, 413 `too-large`, and what `bad` says.
pub(crate) async fn read<T: DeserializeOwned, S: Send + Sync>(
    request: Request,
    state: &S,
    bad: fn(String) -> Problem,
) -> Result<T, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::not_json(
            "send the header Content-Type: application/json",
        ));
    }
    if is_encoded(request.headers()) {
        return Err(Problem::not_json("send it without Content-Encoding"));
    }
    let body = Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(rejection),
            _ => bad(rejection.to_string()),
        })?;
    serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))
}

/// Whether the body is not sent as it is ([RFC 9110
/// §8.4](https://www.rfc-editor.org/rfc/rfc9110#section-8.4)).
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING);
    codings
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the type is `application/json`, with any parameters or none.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}
