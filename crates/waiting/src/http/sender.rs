//! Who has sent a request.

use ::http::request::Parts;
use axum::extract::FromRequestParts;
use shares::Client;
use std::convert::Infallible;

/// Whose request it is, as the edge has found: an extractor. Where there is no such
/// edge, a client that nothing is counted of.
#[derive(Clone, Debug, Default)]
pub struct Sender(pub Client);

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        let client = parts.extensions.get().cloned();
        Ok(Self(client.unwrap_or_default()))
    }
}
