//! Who asks: the query parameter `connection` and the access of the request; and `POST
//! cut`.

use super::refuse;
use crate::{Access, ConnectionName, Reader, Room};
use ::http::{request::Parts, StatusCode};
use axum::{
    extract::{FromRequestParts, Query},
    routing::{post, MethodRouter},
};
use contract::Problem;
use serde::Deserialize;
use std::convert::Infallible;

#[derive(Deserialize)]
struct Parameters {
    // The name is `contract::params::CONNECTION`.
    connection: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for ConnectionName {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Infallible> {
        // No name, rather than a refusal: it is no part of the contract, and must not
        // come between a client and its events.
        let name = Query::try_from_uri(&parts.uri)
            .ok()
            .and_then(|Query(Parameters { connection })| connection);
        Ok(Self(name))
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> Result<Self, Infallible> {
        let name = ConnectionName::from_request_parts(parts, state).await?;
        // Whoever has looked at the request's credential has left it there.
        let access = parts.extensions.get::<Access>().cloned();
        Ok(Self { name, access })
    }
}

/// `POST cut?connection=NAME`: breaks the connections of this name. 204, or 404 where
/// there are none.
pub fn cut_route<S: Clone + Send + Sync + 'static>(room: &Room) -> MethodRouter<S> {
    let cuts = room.cuts().clone();
    post(move |ConnectionName(name): ConnectionName| async move {
        match name {
            Some(name) if cuts.cut(&name) => Ok(StatusCode::NO_CONTENT),
            _ => Err(refuse(Problem::not_found())),
        }
    })
}
