//! The same rooms over HTTP: the routes that every method has, and what they read from
//! a request.

mod after;
mod connection;
mod json_body;
mod log_page;
mod publish;
mod sender;
mod status;

pub use after::After;
pub use connection::cut_route;
pub use json_body::JsonBody;
pub use publish::{publish_route, Key};
pub use sender::Sender;
pub use status::status_route;

use ::http::{HeaderValue, StatusCode};
use axum::{
    response::{IntoResponse, Response},
    Json,
};
use contract::Problem;

/// A problem as an answer. What it consists of is the contract's; the edge, of which
/// this crate knows nothing, writes it in the same way.
fn refuse(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status)
        .expect("a problem of the contract has a status of HTTP");
    let mut response = (status, Json(&problem)).into_response();
    // By it the edge counts what it answers.
    if let Some(kind) = problem.kind() {
        response.extensions_mut().insert(kind);
    }
    for (name, value) in problem.headers() {
        let value = HeaderValue::from_str(&value).expect("names and numbers");
        response.headers_mut().insert(name, value);
    }
    response
}
