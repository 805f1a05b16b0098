//! A limit and a deadline on every request body.

use crate::{deadline_io::Wire, Config, ProblemResponse};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    response::{IntoResponse, Response},
};
use contract::{Problem, ProblemKind};
use http::{header, HeaderMap, HeaderValue, Method, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    future::{poll_fn, Future},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{ready, Context, Poll},
    time::Duration,
};
use tokio::time::{sleep, timeout, Sleep};

/// Why a request body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body was not complete after {after:?}")]
    TimedOut { after: Duration },
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooLarge { .. } => Self::too_large(failure),
            Failure::TimedOut { after } => Self::timed_out(after),
        }
    }
}

/// A request body that ends with an error when it grows too large or takes too long.
struct LimitedBody {
    body: Body,
    left: usize,
    limit: usize,
    deadline: Pin<Box<Sleep>>,
    after: Duration,
    /// Shared with the middleware around the handler. A handler sees only that the body
    /// broke off; the middleware answers with the reason.
    failure: Arc<OnceLock<Failure>>,
}

impl LimitedBody {
    fn fail(
        &self,
        failure: Failure,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let failure = *self.failure.get_or_init(|| failure);
        Poll::Ready(Some(Err(axum::Error::new(failure))))
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match this.left.checked_sub(bytes) {
                    Some(left) => this.left = left,
                    None => return this.fail(Failure::TooLarge { limit: this.limit }),
                }
            }
            // Only while it waits: a body that keeps coming meets the size limit
            // instead.
            Poll::Pending if this.deadline.as_mut().poll(cx).is_ready() => {
                return this.fail(Failure::TimedOut { after: this.after });
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that comes back when whoever has it drops it before its end.
struct Lent {
    body: Option<LimitedBody>,
    back: Back,
}

/// Where it comes back to.
type Back = Arc<Mutex<Option<LimitedBody>>>;

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(LimitedBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), LimitedBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.back.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// What the body of a request may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit {
    /// In bytes.
    size: usize,
    /// From the head of the request to the end of the body.
    time: Duration,
}

/// What follows CONNECT is a tunnel and no body (RFC 9110 §9.3.6); it may last as long
/// as it likes.
pub(crate) fn has_body(request: &Request) -> bool {
    !request.body().is_end_stream() && request.method() != Method::CONNECT
}

impl BodyLimit {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            size: config.max_body_bytes,
            time: config.body,
        }
    }

    /// Refuses a body that could not be read to its end, before it is read.
    pub(crate) fn check(self, request: &Request) -> Result<(), ProblemResponse> {
        if !has_body(request) {
            return Ok(());
        }
        codings(request.headers())?;
        let announced = request.body().size_hint().lower();
        match usize::try_from(announced) {
            Ok(bytes) if bytes <= self.size => Ok(()),
            _ => Err(Failure::TooLarge { limit: self.size }.into()),
        }
    }

    /// Answers a request with a body by `handle`, keeps the body within the limit, and
    /// deals with what is left unread of it.
    pub(crate) async fn answer<F: Future<Output = Response>>(
        self,
        mut request: Request,
        handle: impl FnOnce(Request) -> F,
    ) -> Response {
        let wire = request.extensions_mut().remove::<Wire>();
        let version = request.version();
        let waits = request.headers().contains_key(header::EXPECT);
        let readable = self.check(&request).is_ok();
        let failure = Arc::new(OnceLock::new());
        let back = Back::default();
        let request = request.map(|body| {
            let body = LimitedBody {
                body,
                left: self.size,
                limit: self.size,
                deadline: Box::pin(sleep(self.time)),
                after: self.time,
                failure: failure.clone(),
            };
            Body::new(Lent {
                body: Some(body),
                back: back.clone(),
            })
        });
        let response = handle(request).await;
        let unread = back.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = unread {
            // On HTTP/2 the stream alone is reset. A client that expects 100 (Continue)
            // waits for this answer and may never send the body. Of the others the rest
            // is read, so that the connection can be used again.
            let keeps =
                version == Version::HTTP_2 || readable && !waits && discard(body).await;
            return match keeps {
                true => response,
                false => leave_unread(response, version, wire),
            };
        }
        let failed =
            response.status().is_client_error() || response.status().is_server_error();
        match failure.get() {
            // The handler gave up because the body broke off. It cannot know why; the
            // client should.
            Some(failure) if failed => leave_unread(
                ProblemResponse::from(*failure).into_response(),
                version,
                wire,
            ),
            _ => response,
        }
    }
}

/// Refuses transfer codings that hyper passes over: it takes any list that ends in
/// `chunked`, and hands on what was, say, compressed as if it were plain (RFC 9112
/// §6.1).
fn codings(headers: &HeaderMap) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = match codings.next() {
        None => true,
        Some(coding) => coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked"),
    };
    if plain && codings.next().is_none() {
        return Ok(());
    }
    let problem = Problem::of(ProblemKind::UnknownCoding);
    Err(problem.with_detail("Transfer-Encoding can only be chunked"))
}

/// How long an answer waits for the rest of a body that nobody needs. A client that is
/// sending it has sent it by then, or is on a line where a new connection is the lesser
/// cost.
const REST: Duration = Duration::from_millis(200);

/// Reads what is left of a body and throws it away; whether its end came in time.
async fn discard(mut body: LimitedBody) -> bool {
    let end = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            frame?;
        }
        Ok::<_, axum::Error>(())
    };
    timeout(REST, end).await.is_ok_and(|end| end.is_ok())
}

/// Makes this answer the last of its connection, where the rest of the body still
/// stands before the next request.
fn leave_unread(
    mut response: Response,
    version: Version,
    wire: Option<Wire>,
) -> Response {
    // HTTP/1 cannot use the connection again (RFC 9112 §9.3). HTTP/2 resets the one
    // stream and forbids this header (RFC 9113 §8.2.2).
    if version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        if let Some(wire) = wire {
            wire.leaves_unread();
        }
    }
    response
}
