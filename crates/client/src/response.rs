//! Reading the answers of HTTP: a success as JSON, and anything else as what a client
//! should do about it.

use crate::{Error, Failure, LONGEST_WAIT, MAX_BODY_BYTES, PATIENCE};
use contract::{is_temporary, Problem, ProblemKind, PROBLEM_JSON};
use reqwest::{
    header::{HeaderMap, HeaderName, CONTENT_TYPE, DATE, RETRY_AFTER},
    Response, StatusCode,
};
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// Reads an answer that is no success. Of those that are not temporary, 410 is a gap,
/// and only another 4xx with a problem of the contract is final: anything else may come
/// from a proxy or a cache on the way.
pub(crate) async fn failure(response: Response) -> Failure {
    let status = response.status();
    if is_temporary(status.as_u16()) {
        return Failure::Temporary(retry_after(response.headers()));
    }
    match problem(response).await {
        Error::Refused(problem) => match problem.to_gap() {
            Some(gap) if status == StatusCode::GONE => Failure::Gap(gap),
            _ if status == StatusCode::UNAUTHORIZED
                && problem.kind() == Some(ProblemKind::Unauthorized) =>
            {
                Failure::Unauthorized(Error::Refused(problem))
            }
            _ if status.is_client_error() && problem.name().is_some() => {
                Failure::Permanent(Error::Refused(problem))
            }
            _ => Failure::Unexpected(Error::Refused(problem)),
        },
        error => error.into(),
    }
}

/// The server has ended the subscription, because this client may not listen any more.
pub(crate) fn denied() -> Failure {
    let problem = Problem::forbidden("the server has ended the subscription");
    Failure::Permanent(Error::Refused(Box::new(problem)))
}

/// The header `Retry-After`, as seconds or as a date (RFC 9110 §10.2.3). One that is
/// neither is none.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let asked = if is_number {
        // More digits than 64 bits hold are a number all the same.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        // Counted on the server's own clock where it sends a date: this machine's may
        // be wrong by any amount.
        let now = date(headers, DATE).unwrap_or_else(SystemTime::now);
        let then = date(headers, RETRY_AFTER)?;
        then.duration_since(now).unwrap_or_default()
    };
    Some(asked.min(LONGEST_WAIT))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let text = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

/// Reads the problem in an answer that is no success, if that is what it says it holds.
pub(crate) async fn problem(response: Response) -> Error {
    let status = response.status();
    let unexpected = || Error::Protocol(format!("status {status} without a problem"));
    if !is_of_type(&response, PROBLEM_JSON) {
        return unexpected();
    }
    // A time-out of its own: that of the request may have ended with the head.
    match timeout(PATIENCE, body(response)).await {
        Ok(Ok(body)) => match serde_json::from_slice(&body) {
            Ok(problem) => Error::Refused(Box::new(problem)),
            Err(_) => unexpected(),
        },
        Ok(Err(error)) => error,
        Err(_late) => Error::NoAnswer,
    }
}

/// Whether an answer says that its body is of this media type.
pub(crate) fn is_of_type(response: &Response, media_type: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    // What follows a semicolon are parameters, such as a charset.
    let essence = text.unwrap_or_default().split(';').next();
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

/// Reads the JSON of an answer that is a success. `what` names it, for the error.
///
/// # Errors
/// [`Error::Protocol`] where it says that it is something else, or is something else;
/// and those of [`body`].
pub(crate) async fn json<T: DeserializeOwned>(
    response: Response,
    what: &str,
) -> Result<T, Error> {
    if !is_of_type(&response, "application/json") {
        let status = response.status();
        return Err(Error::Protocol(format!("{status}, but no JSON")));
    }
    serde_json::from_slice(&body(response).await?)
        .map_err(|error| Error::Protocol(format!("no {what}: {error}")))
}

/// Reads a whole body, of a bounded size: a server that errs must not fill this
/// machine's memory.
///
/// # Errors
/// [`Error::Protocol`] where it is larger than 1 MiB, [`Error::Http`] where it breaks
/// off.
pub(crate) async fn body(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_BODY_BYTES {
            let problem = format!("an answer of more than {MAX_BODY_BYTES} bytes");
            return Err(Error::Protocol(problem));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::Script;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_whose_body_never_ends_is_not_waited_for() {
        for status in ["400 Bad Request", "410 Gone", "404 Not Found"] {
            let half = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: 100\r\n\r\n{{"
            );
            let script = Script::of([half]).await;
            let response = reqwest::Client::builder().no_proxy().build().unwrap();
            let response = response.get(script.base.clone()).send().await.unwrap();
            let start = Instant::now();
            let failure = failure(response).await;
            assert!(matches!(failure, Failure::Temporary(None)), "{failure:?}");
            assert!(start.elapsed() <= Duration::from_secs(11), "{status}");
        }
    }
}
