//! hyper's part of one connection, by the version of HTTP that its peer speaks.
//!
//! Not by hyper-util's builder for both versions, which would do the same in one call.
//! It reads the first 24 bytes apart from the rest, so that hyper makes its buffer of 8
//! KiB twice as large for the second read. And each of its connections has room for
//! the state of either version, of which that of HTTP/2 is the larger one.

use crate::{deadline_io::Wire, peers::Answer, tapped_io::TappedIo, Config, Tap};
use http::{Request, Response, Version};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{convert::Infallible, future::Future, pin::Pin};
use tokio::io::{AsyncRead, AsyncWrite};

/// How connections are served: the limits of a [`Config`] that hyper keeps, and what
/// sees the bytes below it.
pub(crate) struct Http {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    tap: Option<Tap>,
}

/// A connection that hyper serves. It is done when the connection is, or when that was
/// upgraded.
pub(crate) trait Served: Future<Output = hyper::Result<()>> + Send {
    /// Ends it after the requests that are under way.
    fn end_gracefully(self: Pin<&mut Self>);
}

impl Http {
    pub(crate) fn new(config: &Config) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            // Without a timer hyper has no clock, and drops its time limits in silence.
            .timer(TokioTimer::new())
            .header_read_timeout(config.headers)
            .max_headers(config.http1_max_headers)
            .max_buf_size(config.http1_max_buffer);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            // A WebSocket over HTTP/2 is one of its streams, opened by a CONNECT that
            // names the protocol (RFC 8441 §3).
            .enable_connect_protocol()
            .max_concurrent_streams(config.http2_max_streams)
            .max_header_list_size(config.http2_max_header_list)
            .max_send_buf_size(config.http2_send_buffer)
            .keep_alive_interval(config.http2_ping_interval)
            .keep_alive_timeout(config.http2_ping_timeout);
        let tap = config.tap.clone();
        Self { http1, http2, tap }
    }

    /// Serves a connection whose peer speaks `version`. Boxed here, and once, so that
    /// the task around it is small whatever the version.
    pub(crate) fn serve<I, S>(
        &self,
        io: I,
        wire: &Wire,
        version: Version,
        service: S,
    ) -> Pin<Box<dyn Served>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible>
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let io = TappedIo::new(io, self.tap.as_ref(), wire, version);
        let io = TokioIo::new(io);
        match version {
            Version::HTTP_2 => Box::pin(self.http2.serve_connection(io, service)),
            _ => Box::pin(self.http1.serve_connection(io, service).with_upgrades()),
        }
    }
}

impl<I, S> Served for http1::UpgradeableConnection<I, S>
where
    Self: Future<Output = hyper::Result<()>> + Send,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible>,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Served for http2::Connection<I, S, TokioExecutor>
where
    Self: Future<Output = hyper::Result<()>> + Send,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn end_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
