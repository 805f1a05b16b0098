//! Answers that are no success, sorted by what a client should do.

use feed::{Gap, GapReason};
use reqwest::{
    header::{HeaderMap, HeaderName, DATE, RETRY_AFTER},
    Response, StatusCode,
};
use serving::Problem;
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// Why a client ended, or a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server said no, and would say so again.
    #[error("the server refused: {}{}", .0.title, .0.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused(Box<Problem>),
    /// The server's answer is not what this method's servers answer.
    #[error("the answer is not of this protocol: {0}")]
    Protocol(String),
    /// The request could not be made or got no answer.
    #[error("no answer: {0}")]
    Http(#[from] reqwest::Error),
    /// The connection was lost, or the time was up, before an answer came. What was asked may have been done all the same.
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
            // A request that cannot be built will not be better next time. Whatever else happened on the way may.
            ClientError::Http(error) if !error.is_builder() => Self::Passing(None),
            ClientError::NoAnswer => Self::Passing(None),
            error => Self::Final(error),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        ClientError::from(error).into()
    }
}

/// Reads an answer that is no success. 408, 429 and all of 5xx pass; 410 tells of a gap; anything else stays as it is.
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
            Some(gap) => Failure::Gap(gap),
            None => Failure::Final(ClientError::Refused(problem)),
        },
        error => error.into(),
    }
}

/// The header `Retry-After`, as seconds or as a date (RFC 9110 §10.2.3). One that is neither is none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // Counted on the server's own clock where it tells the time: this machine's may be wrong by any amount.
    let now = date(headers, DATE).unwrap_or_else(SystemTime::now);
    let then = date(headers, RETRY_AFTER)?;
    Some(then.duration_since(now).unwrap_or_default())
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
        "unknown" => GapReason::Unknown,
        _ => return None,
    };
    Some(Gap {
        reason,
        asked: problem.asked,
        resume: problem.resume?,
    })
}

/// Reads the problem in an answer that is no success.
pub async fn refusal(response: Response) -> ClientError {
    let status = response.status();
    let body = match body(response).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    match serde_json::from_slice(&body) {
        Ok(problem) => ClientError::Refused(Box::new(problem)),
        Err(_) => ClientError::Protocol(format!("status {status} without a problem")),
    }
}

/// No answer of the contract comes near this size: a page has 64 KiB of events, or one event, whose data has 64 KiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Reads a whole body, of a bounded size: a server that errs must not fill this machine's memory.
///
/// # Errors
/// [`ClientError::Protocol`] where it is larger than 1 MiB, [`ClientError::Http`] where it breaks off.
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

    fn headers(all: &[(HeaderName, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |text| retry_after(&headers(&[(RETRY_AFTER, text)])).map(|it| it.as_secs());
        assert_eq!(retry_after(&HeaderMap::new()), None);
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("120"), Some(120));
        for wrong in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(wrong), None, "{wrong:?}");
        }
        // A moment that has passed, in the three forms of RFC 9110 §5.6.7, the last two of them obsolete.
        for past in [
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "Friday, 31-Dec-99 23:59:59 GMT",
            "Fri Dec 31 23:59:59 1999",
        ] {
            assert_eq!(seconds(past), Some(0), "{past}");
        }
        assert!(seconds("Fri, 31 Dec 9999 23:59:59 GMT") > Some(1_000_000));
        // By the clock of this machine it passed long ago.
        let by_its_own_clock = headers(&[
            (DATE, "Fri, 31 Dec 1999 23:59:50 GMT"),
            (RETRY_AFTER, "Sat, 01 Jan 2000 00:00:00 GMT"),
        ]);
        assert_eq!(
            retry_after(&by_its_own_clock),
            Some(Duration::from_secs(10))
        );
    }

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
        let unknown = Gap {
            reason: GapReason::Unknown,
            asked: None,
            ..told
        };
        assert_eq!(gap(&Problem::gap(unknown)), Some(unknown));
        assert_eq!(gap(&Problem::busy()), None);
    }
}
