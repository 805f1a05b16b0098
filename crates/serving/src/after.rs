//! The query parameter `after`.

use crate::ProblemResponse;
use axum::extract::{FromRequestParts, Query};
use contract::{Position, Problem};
use http::request::Parts;
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
    // The name is [`contract::params::AFTER`].
    after: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for After {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, ProblemResponse> {
        let Query(Parameters { after }) =
            Query::try_from_uri(&parts.uri).map_err(Problem::bad_cursor)?;
        let position = after.map(|text| text.parse()).transpose();
        Ok(Self(position.map_err(Problem::bad_cursor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    async fn after(target: &str) -> Result<Option<Position>, Problem> {
        let (mut parts, ()) = Request::get(target).body(()).unwrap().into_parts();
        let extracted = After::from_request_parts(&mut parts, &()).await;
        extracted
            .map(|After(position)| position)
            .map_err(|ProblemResponse(problem)| problem)
    }

    #[tokio::test]
    async fn after_is_one_position() {
        assert_eq!(after("/events").await, Ok(None));
        assert_eq!(after("/events?connection=a").await, Ok(None));
        assert_eq!(
            after("/?after=earliest").await,
            Ok(Some(Position::Earliest))
        );
        assert_eq!(
            after("/?after=latest&x=1").await,
            Ok(Some(Position::Latest))
        );
        let cursor = "k3f9x2.17".parse().unwrap();
        assert_eq!(
            after("/?after=k3f9x2.17").await,
            Ok(Some(Position::After(cursor)))
        );
        assert_eq!(
            after("/?after=k3f9x2%2E17").await,
            Ok(Some(Position::After(cursor)))
        );
        for wrong in [
            "/?after=",
            "/?after",
            "/?after=17",
            "/?after=latest&after=earliest",
            "/?after=%ff",
        ] {
            let refused = after(wrong).await.expect_err(wrong);
            assert_eq!(
                (refused.status, refused.name()),
                (400, Some("bad-cursor")),
                "{wrong}"
            );
        }
    }
}
