//! A limit and a deadline on every request body.

use crate::{Config, Problem};
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request},
    middleware::{from_fn, Next},
    response::{IntoResponse, Response},
    Router,
};
use http::{header, HeaderValue, Method, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{sleep, Sleep};

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
    /// Shared with the middleware around the handler. A handler sees only that the body broke off; the middleware
    /// answers with the reason.
    failure: Arc<OnceLock<Failure>>,
}

impl LimitedBody {
    fn fail(&self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
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
            // Only while it waits: a body that keeps coming meets the size limit instead.
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

/// Puts the limit and the deadline of `config` on the body of every request to `router`.
pub(crate) fn limit(router: Router, config: &Config) -> Router {
    let (limit, after) = (config.max_body_bytes, config.body);
    router
        // axum's extractors have a limit of their own (2 MB), which answers in plain text. This one replaces it.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(move |request, next| {
            limited(request, next, limit, after)
        }))
}

async fn limited(request: Request, next: Next, limit: usize, after: Duration) -> Response {
    // What follows CONNECT is a tunnel and no body (RFC 9110 §9.3.6); it may last as long as it likes.
    if request.body().is_end_stream() || request.method() == Method::CONNECT {
        return next.run(request).await;
    }
    let version = request.version();
    let failure = Arc::new(OnceLock::new());
    let announced = request.body().size_hint().lower();
    if usize::try_from(announced).map_or(true, |bytes| bytes > limit) {
        return refuse(Failure::TooLarge { limit }, version);
    }
    let request = request.map(|body| {
        Body::new(LimitedBody {
            body,
            left: limit,
            limit,
            deadline: Box::pin(sleep(after)),
            after,
            failure: failure.clone(),
        })
    });
    let response = next.run(request).await;
    let failed = response.status().is_client_error() || response.status().is_server_error();
    match failure.get() {
        // The handler gave up because the body broke off. It cannot know why; the client should.
        Some(failure) if failed => refuse(*failure, version),
        _ => response,
    }
}

fn refuse(failure: Failure, version: Version) -> Response {
    let mut response = Problem::from(failure).into_response();
    // The rest of the body still stands before the next request, so HTTP/1 cannot use this connection again
    // (RFC 9112 §9.3). HTTP/2 resets the one stream and forbids this header (RFC 9113 §8.2.2).
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
