//! Errors as problem details, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457).

use axum::{
    response::{IntoResponse, Response},
    Json, Router,
};
use feed::{Cursor, Gap, GapReason, PublishError, ReadError};
use http::{header, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, ops::RangeInclusive, time::Duration};

/// What every problem's `type` begins with; its name follows.
///
/// A tag URI ([RFC 4151](https://www.rfc-editor.org/rfc/rfc4151)) and not a link: it
/// names the problem for ever and promises no page that somebody would have to keep.
pub const TYPE_PREFIX: &str = "tag:waiting.example,2026:";

/// The media type of problem details, [RFC 9457
/// §3](https://www.rfc-editor.org/rfc/rfc9457#section-3).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Seconds until a refused client should ask again: each is told a number of its own
/// from this range. They were refused together, and one number for all would only move
/// the rush. Enough for a burst to pass or for a new process to start, and little
/// enough that a person still waits. Clients add jitter of their own.
const RETRY_AFTER: RangeInclusive<u16> = 1..=10;

/// An error answer that a program can read: what kind of problem, and what to do about
/// it.
///
/// The same shape serves both sides: a server returns it from a handler, a client
/// parses it from the body.
///
/// ```
/// use serving::Problem;
///
/// let body = r#"{"type":"tag:waiting.example,2026:busy","title":"No place is free","status":503}"#;
/// let problem: Problem = serde_json::from_str(body).unwrap();
/// assert_eq!(problem.name(), Some("busy"));
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
    /// Seconds until asking again makes sense. Sent as the header `Retry-After`, not in
    /// the body.
    #[serde(skip)]
    pub retry_after: Option<u16>,
}

fn about_blank() -> Cow<'static, str> {
    "about:blank".into()
}

impl Problem {
    /// A problem of the kind `name`, which is also the last part of its `type`.
    pub fn new(status: StatusCode, name: &str, title: &'static str) -> Self {
        Self {
            type_uri: format!("{TYPE_PREFIX}{name}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: None,
            asked: None,
            resume: None,
            retry_after: None,
        }
    }

    /// The same problem, with words on what is wrong this time.
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string().into());
        self
    }

    /// The last part of `type`, such as `expired`; `None` if the type is not one of
    /// this project's.
    pub fn name(&self) -> Option<&str> {
        self.type_uri.strip_prefix(TYPE_PREFIX)
    }

    /// 400 `bad-cursor`: the text names no place in any log.
    pub fn bad_cursor(detail: impl fmt::Display) -> Self {
        let title = "This is not a position in a log";
        Self::new(StatusCode::BAD_REQUEST, "bad-cursor", title).with_detail(detail)
    }

    /// 400 `future-cursor`: the cursor names an event that does not exist yet.
    pub fn future_cursor(asked: Cursor, latest: Cursor) -> Self {
        let title = "The cursor is ahead of the log";
        Self {
            asked: Some(asked),
            ..Self::new(StatusCode::BAD_REQUEST, "future-cursor", title)
                .with_detail(format_args!("the newest event is {latest}"))
        }
    }

    /// 410 `expired` or `new-log`: events were missed; `resume` says from where to go
    /// on.
    pub fn gap(gap: Gap) -> Self {
        let (name, title) = match gap.reason {
            GapReason::Expired => ("expired", "Events after this cursor are gone"),
            GapReason::NewLog => ("new-log", "The cursor is of another log"),
            GapReason::Unknown => ("unknown", "Nobody can tell what was missed"),
        };
        Self {
            asked: gap.asked,
            resume: Some(gap.resume),
            ..Self::new(StatusCode::GONE, name, title)
        }
    }

    /// 400 `bad-event`: the request holds no event that the log could take.
    pub fn bad_event(detail: impl fmt::Display) -> Self {
        let title = "This is not an event to publish";
        Self::new(StatusCode::BAD_REQUEST, "bad-event", title).with_detail(detail)
    }

    /// 400 `bad-body`: the body is JSON of another shape than this resource takes, or
    /// no JSON.
    pub fn bad_body(detail: impl fmt::Display) -> Self {
        let title = "This is not what this resource takes";
        Self::new(StatusCode::BAD_REQUEST, "bad-body", title).with_detail(detail)
    }

    /// 413 `too-large`: the body is larger than this server takes.
    pub fn too_large(detail: impl fmt::Display) -> Self {
        let title = "The content is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", title).with_detail(detail)
    }

    /// 415 `not-json`: the `Content-Type` is not JSON, or there is a
    /// `Content-Encoding`. The answer says what is taken.
    pub fn not_json(detail: impl fmt::Display) -> Self {
        let title = "Only JSON is taken here";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", title)
            .with_detail(detail)
    }

    /// 422 `key-reused`: the idempotency key was used for another event.
    pub fn key_reused() -> Self {
        let title = "This Idempotency-Key was used for another event";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", title)
    }

    /// 409 `finished`: the log is complete and takes no more events.
    pub fn finished() -> Self {
        let title = "The log is finished";
        Self::new(StatusCode::CONFLICT, "finished", title)
    }

    /// 503 `busy`: every place is taken. Comes with `Retry-After`.
    pub fn busy() -> Self {
        Self {
            retry_after: Some(fastrand::u16(RETRY_AFTER)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "No place is free")
        }
    }

    /// 503 `ending`: this server is going away. Comes with `Retry-After`.
    pub fn ending() -> Self {
        Self {
            retry_after: Some(fastrand::u16(RETRY_AFTER)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ending",
                "This server is going away",
            )
        }
    }

    /// 421 `wrong-host`: this server does not answer for that host.
    pub fn wrong_host(detail: impl fmt::Display) -> Self {
        let title = "This server does not answer for that host";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", title)
            .with_detail(detail)
    }

    /// 403 `foreign-origin`: a page of another site may not do this.
    pub fn foreign_origin(detail: impl fmt::Display) -> Self {
        let title = "A page of another origin may not do this";
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", title).with_detail(detail)
    }

    /// 408 `timed-out`: the request took longer to arrive than this server waits.
    pub fn timed_out(after: Duration) -> Self {
        let title = "The request took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timed-out", title).with_detail(
            format_args!("the body was not complete after {} s", after.as_secs_f64()),
        )
    }

    /// 404 `not-found`: nothing is here.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Nothing is here")
    }

    /// 405 `method-not-allowed`: something is here, but not for this method. axum adds
    /// the header `Allow`.
    pub fn method_not_allowed() -> Self {
        let title = "This method is not for this resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title)
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A status out of range can only come from a parsed body that is passed on.
        let status = StatusCode::from_u16(self.status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        // 404, 405 and 410 may be kept by caches unless told otherwise (RFC 9110
        // §15.1), and a problem passes.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // What is taken instead (RFC 9110 §15.5.16).
            headers
                .insert(header::ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Gap(gap) => Self::gap(gap),
            ReadError::Future { asked, latest } => Self::future_cursor(asked, latest),
        }
    }
}

impl From<feed::FutureCursor> for Problem {
    fn from(error: feed::FutureCursor) -> Self {
        Self::from(ReadError::from(error))
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLarge { .. } => Self::too_large(error),
            PublishError::KeyReused => Self::key_reused(),
            PublishError::Finished => Self::finished(),
        }
    }
}

/// Gives a router problem details for what it does not route: 404, and 405 with
/// `Allow`.
///
/// Call it last. axum's own answers have no body, and only routes that exist already
/// get the 405.
pub fn fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
}
