//! The query parameter `after`.

use super::refuse;
use ::http::request::Parts;
use axum::{
    extract::{FromRequestParts, Query},
    response::Response,
};
use contract::{Position, Problem};
use serde::Deserialize;

/// Where a request asks to start: its `?after=`, or `None` without one.
///
/// An extractor: a handler that takes it as an argument gets it parsed. Anything but
/// one position is refused with 400 `bad-cursor`; a default in its place would start a
/// client at the wrong place without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After(pub Option<Position>);

#[derive(Deserialize)]
struct Parameters {
    // The name is `contract::params::AFTER`.
    after: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for After {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, Response> {
        after(parts).map(Self).map_err(refuse)
    }
}

fn after(parts: &Parts) -> Result<Option<Position>, Problem> {
    let Query(Parameters { after }) =
        Query::try_from_uri(&parts.uri).map_err(Problem::bad_cursor)?;
    let position = after.map(|text| text.parse()).transpose();
    position.map_err(Problem::bad_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::Request;

    fn asked(target: &str) -> Result<Option<Position>, Problem> {
        let (parts, ()) = Request::get(target).body(()).unwrap().into_parts();
        after(&parts)
    }

    #[test]
    fn after_is_one_position() {
        assert_eq!(asked("/events"), Ok(None));
        assert_eq!(asked("/events?connection=a"), Ok(None));
        assert_eq!(asked("/?after=earliest"), Ok(Some(Position::Earliest)));
        assert_eq!(asked("/?after=latest&x=1"), Ok(Some(Position::Latest)));
        let cursor = "k3f9x2.17".parse().unwrap();
        assert_eq!(
            asked("/?after=k3f9x2.17"),
            Ok(Some(Position::After(cursor)))
        );
        assert_eq!(
            asked("/?after=k3f9x2%2E17"),
            Ok(Some(Position::After(cursor)))
        );
        for wrong in [
            "/?after=",
            "/?after",
            "/?after=17",
            "/?after=latest&after=earliest",
            "/?after=%ff",
        ] {
            let refused = asked(wrong).expect_err(wrong);
            assert_eq!(
                (refused.status, refused.name()),
                (400, Some("bad-cursor")),
                "{wrong}"
            );
        }
    }
}
