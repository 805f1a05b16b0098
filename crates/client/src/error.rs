//! What went wrong, sorted by what a client should do.

use contract::{Gap, Problem};
use std::time::Duration;

/// Why a client ended, or a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, and would refuse again.
    #[error("the server refused: {}{}", .0.title, .0.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
    Refused(Box<Problem>),
    /// The server's answer is not what this method's servers answer.
    #[error("the answer is not of this protocol: {0}")]
    Protocol(String),
    /// The base that the client was given is no base of any address.
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

impl Error {
    /// The name of the problem, such as `future-cursor`, where the server refused.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.name(),
            _ => None,
        }
    }
}

/// What did not succeed, sorted by what a client should do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Ask again: after this long at least, if the server said so.
    #[error("no success this time{}", .0.map(|wait| format!("; the server asks to wait {} s", wait.as_secs())).unwrap_or_default())]
    Temporary(Option<Duration>),
    /// This is not what a server of the contract answers. A proxy, a login page or a
    /// cache may have, and may be gone the next time: ask again, after a wait that
    /// grows.
    #[error(transparent)]
    Unexpected(Error),
    /// Events were missed: report it, and go on from [`Gap::resume`].
    #[error("{0}")]
    Gap(Gap),
    /// There is no credential, or it is over: ask again with another.
    #[error(transparent)]
    Unauthorized(Error),
    /// Do not ask again.
    #[error(transparent)]
    Permanent(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // A request that cannot be built will not be better next time. Whatever
            // else happened on the way may.
            Error::Http(error) if !error.is_builder() => Self::Temporary(None),
            Error::NoAnswer => Self::Temporary(None),
            error @ Error::Protocol(_) => Self::Unexpected(error),
            error => Self::Permanent(error),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Error::from(error).into()
    }
}
