//! Problems as answers of HTTP.

use axum::{
    response::{IntoResponse, Response},
    Json, Router,
};
use contract::{Problem, PROBLEM_JSON};
use http::{header, HeaderValue, StatusCode};
use std::ops::RangeInclusive;

/// Seconds until a refused client should ask again: each is told a number of its own
/// from this range. They were refused together, and one number for all would only move
/// the rush. Enough for a burst to pass or for a new process to start, and little
/// enough that a person still waits. Clients add jitter of their own.
const RETRY_AFTER: RangeInclusive<u16> = 1..=10;

/// A [`Problem`] as an answer. A handler returns `Result<_, ProblemResponse>`, and `?`
/// makes one of whatever becomes a problem.
///
/// Of a problem with status 503 that names no time it draws one for `Retry-After`.
#[derive(Clone, Debug)]
pub struct ProblemResponse(pub Problem);

impl<P: Into<Problem>> From<P> for ProblemResponse {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        // A status out of range can only come from a parsed body that is passed on.
        let status = StatusCode::from_u16(problem.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        // 404, 405 and 410 may be kept by caches unless told otherwise (RFC 9110
        // §15.1), and a problem passes.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // What is accepted instead (RFC 9110 §15.5.16).
            headers
                .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            );
        }
        let draw = || fastrand::u16(RETRY_AFTER);
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = problem.retry_after.or_else(|| unavailable.then(draw));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Gives a router problem details for what it does not route: 404, and 405 with
/// `Allow`.
///
/// Call it last. axum's own answers have no body, and only routes that exist already
/// get the 405.
pub fn fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let answer = |problem: fn() -> Problem| async move { ProblemResponse(problem()) };
    router
        .fallback(move || answer(Problem::not_found))
        .method_not_allowed_fallback(move || answer(Problem::method_not_allowed))
}
