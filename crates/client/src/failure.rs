//! Answers that are no success, sorted by what a client should do.

use crate::PATIENCE;
use feed::{Gap, GapReason};
use reqwest::{
    header::{HeaderMap, HeaderName, CONTENT_TYPE, DATE, RETRY_AFTER},
    Response, StatusCode,
};
use serde::de::DeserializeOwned;
use serving::Problem;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::time::timeout;

/// Why a client ended, or a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server said no, and would say so again.
    #[error("the server refused: {}{}", .0.title, .0.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused(Box<Problem>),
    /// The server's answer is not what this method's servers answer.
    #[error("the answer is not of this protocol: {0}")]
    Protocol(String),
    /// What the client was told to ask is no base of any address.
    #[error("no base of an address: {0}")]
    Base(String),
    /// The request could not be made or got no answer.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The connection was lost, or the time was up, before an answer came. What was
    /// asked may have been done all the same.
    #[error("no answer came")]
    NoAnswer,
}

impl ClientError {
    /// The name of the problem, such as `future-cursor`, where the server refused.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.name(),
            _ => None,
        }
    }
}

/// What did not succeed, sorted by what a client should do.
#[derive(Debug, Error)]
pub enum Failure {
    /// Ask again: after this long at least, if the server said so.
    #[error("no success this time{}", .0.map(|wait| format!("; the server asks to wait {} s", wait.as_secs())).unwrap_or_default())]
    Passing(Option<Duration>),
    /// This is not what a server of the contract says. A proxy, a login page or a cache
    /// may have said it, and may be gone the next time: ask again, after a wait that
    /// grows.
    #[error(transparent)]
    Strange(ClientError),
    /// Events were missed: tell the user, and go on from [`Gap::resume`].
    #[error("{0}")]
    Gap(Gap),
    /// Do not ask again.
    #[error(transparent)]
    Final(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            // A request that cannot be built will not be better next time. Whatever
            // else happened on the way may.
            ClientError::Http(error) if !error.is_builder() => Self::Passing(None),
            ClientError::NoAnswer => Self::Passing(None),
            error @ ClientError::Protocol(_) => Self::Strange(error),
            error => Self::Final(error),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        ClientError::from(error).into()
    }
}

/// Reads an answer that is no success. 408, 429 and all of 5xx pass, and 410 tells of a
/// gap. Only another 4xx with a problem of the contract is final: anything else may
/// come from somebody on the way.
pub async fn failure(response: Response) -> Failure {
    let status = response.status();
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
    if passes {
        return Failure::Passing(retry_after(response.headers()));
    }
    match refusal(response).await {
        ClientError::Refused(problem) => match gap(&problem) {
            Some(gap) if status == StatusCode::GONE => Failure::Gap(gap),
            _ if status.is_client_error() && problem.name().is_some() => {
                Failure::Final(ClientError::Refused(problem))
            }
            _ => Failure::Strange(ClientError::Refused(problem)),
        },
        error => error.into(),
    }
}

/// The longest wait that a server may ask for; what is longer counts as this. A page
/// that sleeps for a month is no better than one that gave up, and a number that large
/// is more likely a mistake.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The header `Retry-After`, as seconds or as a date (RFC 9110 §10.2.3). One that is
/// neither is none.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let asked = if is_number {
        // More digits than 64 bits hold are a number all the same.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        // Counted on the server's own clock where it tells the time: this machine's may
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

/// The gap that a 410 tells of.
fn gap(problem: &Problem) -> Option<Gap> {
    let reason = match problem.name()? {
        "expired" => GapReason::Expired,
        "new-log" => GapReason::NewLog,
        // Of a newer server, perhaps. That events were missed is what counts.
        _ => GapReason::Unknown,
    };
    Some(Gap {
        reason,
        asked: problem.asked,
        resume: problem.resume?,
    })
}

/// Reads the problem in an answer that is no success, if that is what it says it holds.
pub async fn refusal(response: Response) -> ClientError {
    let status = response.status();
    let strange =
        || ClientError::Protocol(format!("status {status} without a problem"));
    if !is_of_type(&response, serving::CONTENT_TYPE) {
        return strange();
    }
    // A time-out of its own: that of the request may have ended with the head.
    match timeout(PATIENCE, body(response)).await {
        Ok(Ok(body)) => match serde_json::from_slice(&body) {
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(_) => strange(),
        },
        Ok(Err(error)) => error,
        Err(_late) => ClientError::NoAnswer,
    }
}

/// Whether an answer says that its body is of this media type.
pub fn is_of_type(response: &Response, media_type: &str) -> bool {
    let value = response.headers().get(CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok());
    // What follows a semicolon are parameters, such as a charset.
    let essence = text.unwrap_or_default().split(';').next();
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

/// Reads the JSON of an answer that is a success. `what` names it, for the error.
///
/// # Errors
/// [`ClientError::Protocol`] where it says that it is something else, or is something
/// else; and those of [`body`].
pub async fn json<T: DeserializeOwned>(
    response: Response,
    what: &str,
) -> Result<T, ClientError> {
    if !is_of_type(&response, "application/json") {
        let status = response.status();
        return Err(ClientError::Protocol(format!("{status}, but no JSON")));
    }
    serde_json::from_slice(&body(response).await?)
        .map_err(|error| ClientError::Protocol(format!("no {what}: {error}")))
}

/// No answer of the contract comes near this size: a page has 64 KiB of events, or one
/// event, whose data has 64 KiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Reads a whole body, of a bounded size: a server that errs must not fill this
/// machine's memory.
///
/// # Errors
/// [`ClientError::Protocol`] where it is larger than 1 MiB, [`ClientError::Http`] where
/// it breaks off.
pub async fn body(mut response: Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_BODY_BYTES {
            let problem = format!("an answer of more than {MAX_BODY_BYTES} bytes");
            return Err(ClientError::Protocol(problem));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_problem_that_says_from_where_to_go_on() {
        let told = Gap {
            reason: GapReason::NewLog,
            asked: Some("k3f9x2.1".parse().unwrap()),
            resume: "aaaaaa.0".parse().unwrap(),
        };
        assert_eq!(gap(&Problem::gap(told)), Some(told));
        let half = Problem {
            resume: None,
            ..Problem::gap(told)
        };
        assert_eq!(gap(&half), None);
        assert_eq!(gap(&Problem::busy()), None);
    }
}
