//! Problem details, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457): what a server
//! refuses, and what a client reads of it.

use crate::{Cursor, Gap, GapReason};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, time::Duration};

/// What every problem's `type` begins with; its name follows.
///
/// A tag URI ([RFC 4151](https://www.rfc-editor.org/rfc/rfc4151)) and not a link: it
/// names the problem for ever and promises no page that somebody would have to keep.
pub const TYPE_PREFIX: &str = "tag:waiting.example,2026:";

/// The media type of problem details, [RFC 9457
/// §3](https://www.rfc-editor.org/rfc/rfc9457#section-3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One row for each problem: its name, its status, its title. All that is said of a
/// kind follows from its row, so that none can be left out somewhere.
macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $status:literal, $title:literal;)*) => {
        /// The problems of the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)*
        }

        impl ProblemKind {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The last part of the problem's `type`, such as `expired`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The status code with which it is answered, unless HTTP asks for another
            /// there.
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$kind => $status,)*
                }
            }

            /// The kind in words.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)*
                }
            }
        }
    };
}

problem_kinds! {
    /// 410: events after the cursor have left the retained window.
    Expired = "expired", 410, "Events after this cursor are gone";
    /// 410: the cursor is of another log.
    NewLog = "new-log", 410, "The cursor is of another log";
    /// 400: the cursor names an event that does not exist yet.
    FutureCursor = "future-cursor", 400, "The cursor is ahead of the log";
    /// 503: every place is in use, or too many ask.
    Busy = "busy", 503, "No place is free";
    /// 429: one client, or one address, has or asks more than its share.
    TooMany = "too-many", 429, "One client asks for too much";
    /// 503: this server is shutting down.
    Ending = "ending", 503, "This server is going away";
    /// 503: the log is on other machines, and they do not answer.
    Unavailable = "unavailable", 503, "The log cannot be reached";
    /// 408: the request took longer to arrive than this server waits.
    TimedOut = "timed-out", 408, "The request took too long to arrive";
    /// 400: the request holds no event that the log could append.
    BadEvent = "bad-event", 400, "This is not an event to publish";
    /// 400: the body is JSON of another shape than this resource accepts, or no JSON.
    BadBody = "bad-body", 400, "This is not what this resource takes";
    /// 413: the body, or the event, is larger than this server accepts.
    TooLarge = "too-large", 413, "The content is too large";
    /// 415: the `Content-Type` is not JSON, or there is a `Content-Encoding`.
    NotJson = "not-json", 415, "Only JSON is taken here";
    /// 501: the body has a `Transfer-Encoding` other than `chunked`.
    UnknownCoding = "unknown-coding", 501, "This transfer coding is not understood";
    /// 422: the idempotency key was used for another event.
    KeyReused = "key-reused", 422, "This Idempotency-Key was used for another event";
    /// 409: the log is complete and accepts no more events.
    Finished = "finished", 409, "The log is finished";
    /// 400: the text names no place in any log.
    BadCursor = "bad-cursor", 400, "This is not a position in a log";
    /// 426, or 400 over HTTP/2: only a WebSocket is opened here.
    UpgradeRequired = "upgrade-required", 426, "Only a WebSocket is opened here";
    /// 400: the request breaks the rules of WebSocket's opening handshake.
    BadHandshake = "bad-handshake", 400, "This is not a WebSocket handshake";
    /// 400: the client does not offer the [subprotocol](crate::socket::SUBPROTOCOL).
    BadSubprotocol = "bad-subprotocol", 400,
        "The subprotocol of this server was not offered";
    /// 404: nothing is here.
    NotFound = "not-found", 404, "Nothing is here";
    /// 405: something is here, but not for this method.
    MethodNotAllowed = "method-not-allowed", 405,
        "This method is not for this resource";
    /// 421, or 400: the request names no host that this server answers for.
    WrongHost = "wrong-host", 421, "This server does not answer for that host";
    /// 403: a page of another site may not do this.
    ForeignOrigin = "foreign-origin", 403, "A page of another origin may not do this";
    /// 401: there is no credential, or it is over. With another one the same request
    /// may succeed.
    Unauthorized = "unauthorized", 401, "This needs a valid credential";
    /// 403: whoever asks is known, and has no right to this.
    Forbidden = "forbidden", 403, "This is not allowed to you";
}

impl ProblemKind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Whether an answer with this status may be another one soon: the client waits, and
/// asks again. 408, 429 and all of 5xx.
pub fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// An error answer that a program can read: what kind of problem, and what to do about
/// it.
///
/// ```
/// use contract::{Problem, ProblemKind};
///
/// let body = r#"{"type":"tag:waiting.example,2026:busy","title":"No place is free","status":503}"#;
/// let problem: Problem = serde_json::from_str(body).unwrap();
/// assert_eq!(problem.kind(), Some(ProblemKind::Busy));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem, as a URI; absent in a body means `about:blank` (§3.1.1).
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: Cow<'static, str>,
    /// The kind in words; the same for every problem of the kind (§3.1.3).
    #[serde(default)]
    pub title: Cow<'static, str>,
    /// The status code, repeated for those who see only the body (§3.1.2). 0 where a
    /// body leaves it out.
    #[serde(default)]
    pub status: u16,
    /// What is wrong this time, in words (§3.1.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
    /// The cursor that the client asked with, where one was the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Cursor>,
    /// The cursor to go on from, where events were missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Cursor>,
    /// Seconds until asking again makes sense: the header `Retry-After`, and no part of
    /// the body.
    #[serde(skip)]
    pub retry_after: Option<u16>,
}

fn about_blank() -> Cow<'static, str> {
    "about:blank".into()
}

impl Problem {
    /// A problem of the contract.
    pub fn of(kind: ProblemKind) -> Self {
        Self::new(kind.status(), kind.name(), kind.title())
    }

    /// A problem named `name`, which is the last part of its `type`. For what is no
    /// part of the contract.
    pub fn new(status: u16, name: &str, title: &'static str) -> Self {
        Self {
            type_uri: format!("{TYPE_PREFIX}{name}").into(),
            title: title.into(),
            status,
            detail: None,
            asked: None,
            resume: None,
            retry_after: None,
        }
    }

    /// The same problem, with words on what is wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// The same problem, answered with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The last part of `type`, such as `expired`; `None` if the type is not one of
    /// this project's.
    pub fn name(&self) -> Option<&str> {
        self.type_uri.strip_prefix(TYPE_PREFIX)
    }

    /// Which problem of the contract this is; `None` if it is none.
    pub fn kind(&self) -> Option<ProblemKind> {
        self.name().and_then(ProblemKind::from_name)
    }

    /// The headers of an answer that is this problem.
    pub fn headers(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        let mut headers: Vec<(_, Cow<'static, str>)> = vec![
            ("content-type", PROBLEM_JSON.into()),
            // 404, 405 and 410 may be kept by caches unless told otherwise (RFC 9110
            // §15.1), and a problem passes.
            ("cache-control", "no-store".into()),
        ];
        if self.status == ProblemKind::NotJson.status() {
            // What is accepted instead (RFC 9110 §15.5.16).
            headers.push(("accept", "application/json".into()));
            headers.push(("accept-encoding", "identity".into()));
        }
        if self.status == ProblemKind::Unauthorized.status() {
            // Which kind of credential is taken, as 401 must say (RFC 9110 §15.5.2).
            // Only for `Basic` and the like does a browser ask its user.
            headers.push(("www-authenticate", "Bearer".into()));
        }
        if let Some(seconds) = self.retry_after {
            headers.push(("retry-after", seconds.to_string().into()));
        }
        headers
    }

    /// `expired` or `new-log`: events were missed; `resume` says from where to go on.
    pub fn gap(gap: Gap) -> Self {
        let kind = match gap.reason {
            GapReason::Expired => ProblemKind::Expired,
            // A cursor that names no place in this log is of another, as far as anybody
            // can tell.
            GapReason::NewLog | GapReason::Unknown => ProblemKind::NewLog,
        };
        Self {
            asked: gap.asked,
            resume: Some(gap.resume),
            ..Self::of(kind)
        }
    }

    /// The gap that an answer with status 410 reports; `None` where it reports none.
    pub fn to_gap(&self) -> Option<Gap> {
        let reason = match self.name()? {
            "expired" => GapReason::Expired,
            "new-log" => GapReason::NewLog,
            // Of a newer server, perhaps. That events were missed is what counts.
            _ => GapReason::Unknown,
        };
        Some(Gap {
            reason,
            asked: self.asked,
            resume: self.resume?,
        })
    }

    /// `future-cursor`.
    pub fn future_cursor(asked: Cursor, latest: Cursor) -> Self {
        let detail = format_args!("the newest event is {latest}");
        Self {
            asked: Some(asked),
            ..Self::of(ProblemKind::FutureCursor).with_detail(detail)
        }
    }

    /// `bad-cursor`.
    pub fn bad_cursor(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::BadCursor).with_detail(detail)
    }

    /// `bad-event`.
    pub fn bad_event(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::BadEvent).with_detail(detail)
    }

    /// `bad-body`.
    pub fn bad_body(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::BadBody).with_detail(detail)
    }

    /// `too-large`.
    pub fn too_large(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::TooLarge).with_detail(detail)
    }

    /// `unauthorized`.
    pub fn unauthorized(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::Unauthorized).with_detail(detail)
    }

    /// `forbidden`.
    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::Forbidden).with_detail(detail)
    }

    /// `not-json`.
    pub fn not_json(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::NotJson).with_detail(detail)
    }

    /// `key-reused`.
    pub fn key_reused() -> Self {
        Self::of(ProblemKind::KeyReused)
    }

    /// `finished`.
    pub fn finished() -> Self {
        Self::of(ProblemKind::Finished)
    }

    /// `unavailable`. Its answer has `Retry-After`, which the server draws.
    pub fn unavailable() -> Self {
        Self::of(ProblemKind::Unavailable)
    }

    /// `busy`. Its answer has `Retry-After`, which the server draws.
    pub fn busy() -> Self {
        Self::of(ProblemKind::Busy)
    }

    /// `too-many`. Its answer has `Retry-After`, which the server draws.
    pub fn too_many(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::TooMany).with_detail(detail)
    }

    /// `ending`. Its answer has `Retry-After`, which the server draws.
    pub fn ending() -> Self {
        Self::of(ProblemKind::Ending)
    }

    /// `wrong-host`.
    pub fn wrong_host(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::WrongHost).with_detail(detail)
    }

    /// `foreign-origin`.
    pub fn foreign_origin(detail: impl fmt::Display) -> Self {
        Self::of(ProblemKind::ForeignOrigin).with_detail(detail)
    }

    /// `timed-out`.
    pub fn timed_out(after: Duration) -> Self {
        let seconds = after.as_secs_f64();
        let detail = format_args!("the body was not complete after {seconds} s");
        Self::of(ProblemKind::TimedOut).with_detail(detail)
    }

    /// `not-found`.
    pub fn not_found() -> Self {
        Self::of(ProblemKind::NotFound)
    }

    /// `method-not-allowed`. Its answer has `Allow`.
    pub fn method_not_allowed() -> Self {
        Self::of(ProblemKind::MethodNotAllowed)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.title)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_of_its_own() {
        for &kind in ProblemKind::ALL {
            assert_eq!(ProblemKind::from_name(kind.name()), Some(kind));
            let read: Problem = serde_json::from_str(
                &serde_json::to_string(&Problem::of(kind)).unwrap(),
            )
            .unwrap();
            assert_eq!((read.kind(), read.status), (Some(kind), kind.status()));
        }
        assert_eq!(Problem::new(502, "no-answer", "x").kind(), None);
    }

    #[test]
    fn a_strangers_problem_can_be_read() {
        let problem: Problem =
            serde_json::from_str(r#"{"title":"Oh","instance":"/x","y":1}"#).unwrap();
        assert_eq!(
            (&*problem.type_uri, problem.name(), problem.status),
            ("about:blank", None, 0)
        );
    }

    #[test]
    fn a_gap_is_a_problem_that_names_where_to_go_on() {
        for reason in [GapReason::Expired, GapReason::NewLog] {
            let gap = Gap {
                reason,
                asked: Some("k3f9x2.1".parse().unwrap()),
                resume: "aaaaaa.0".parse().unwrap(),
            };
            let problem = Problem::gap(gap);
            assert_eq!(problem.to_gap(), Some(gap));
            let resume = None;
            assert_eq!(
                Problem {
                    resume,
                    ..problem.clone()
                }
                .to_gap(),
                None
            );
            let newer = Problem {
                type_uri: format!("{TYPE_PREFIX}moved").into(),
                ..problem
            };
            let reason = GapReason::Unknown;
            assert_eq!(newer.to_gap(), Some(Gap { reason, ..gap }));
        }
        assert_eq!(Problem::busy().to_gap(), None);
    }
}
