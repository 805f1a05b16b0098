//! Problems as answers of HTTP.

use axum::{
    response::{IntoResponse, Response},
    Json, Router,
};
use contract::Problem;
use http::{HeaderValue, StatusCode};

/// A [`Problem`] as an answer. A handler returns `Result<_, ProblemResponse>`, and `?`
/// makes one of whatever becomes a problem.
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
        // By it the answer is counted, if it is the one that is sent.
        if let Some(kind) = problem.kind() {
            response.extensions_mut().insert(kind);
        }
        for (name, value) in problem.headers() {
            let value = HeaderValue::from_str(&value).expect("names and numbers");
            response.headers_mut().insert(name, value);
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
