//! Two deadlines that hyper does not have, kept where every byte passes.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{ready, Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{sleep, Sleep},
};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What an HTTP/2 connection begins with ([RFC 9113 §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
/// hyper-util reads until the bytes differ from it or it is complete.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose peer must send something at first, and must read what it asked for.
///
/// A deadline that passes is an error of kind [`io::ErrorKind::TimedOut`], which ends the connection.
pub struct DeadlineIo<I> {
    io: I,
    /// Some until the first bytes have shown the version of HTTP.
    opening: Option<Opening>,
    /// The peer takes no bytes.
    write: Stall,
    /// The layer below (TLS, say) has bytes of its own to pass on. Apart from `write`: a plain socket's flush is always
    /// ready at once, and must not count as progress of a write that waits.
    flush: Stall,
    /// The connection's place in the limit and in the count of what is open. They ride on the IO, because the IO is
    /// what lives exactly as long as the descriptor: an upgraded connection outlives hyper's future.
    _held: Held,
}

/// A connection's place in the limit of connections, and in the count of what is open.
pub(crate) struct Held {
    _place: OwnedSemaphorePermit,
    _open: TaskTrackerToken,
}

impl Held {
    pub(crate) fn new(place: OwnedSemaphorePermit, open: TaskTrackerToken) -> Self {
        Self {
            _place: place,
            _open: open,
        }
    }
}

struct Opening {
    deadline: Pin<Box<Sleep>>,
    /// How many bytes of the HTTP/2 preface have come.
    matched: usize,
}

impl Opening {
    /// Whether these bytes, after those before, show which version it is.
    fn shows_version(&mut self, bytes: &[u8]) -> bool {
        let expected = &HTTP2_PREFACE[self.matched..];
        if bytes.len() < expected.len() && expected.starts_with(bytes) {
            self.matched += bytes.len();
            return false;
        }
        true
    }
}

/// A clock that runs only while something is pending.
struct Stall {
    limit: Duration,
    /// Boxed and made on demand: most writes never wait, and a timer in every connection would be paid for nothing.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn new(limit: Duration) -> Self {
        let deadline = None;
        Self { limit, deadline }
    }

    /// Passes `polled` on, unless it has been pending for the limit.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.deadline = None;
            return polled;
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        // Polled with the same context, so that the deadline wakes whoever waits for the write.
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<I> DeadlineIo<I> {
    /// `held` is dropped with the connection.
    pub(crate) fn new(io: I, first_bytes: Duration, write_progress: Duration, held: Held) -> Self {
        Self {
            io,
            opening: Some(Opening {
                deadline: Box::pin(sleep(first_bytes)),
                matched: 0,
            }),
            write: Stall::new(write_progress),
            flush: Stall::new(write_progress),
            _held: held,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for DeadlineIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        let Some(opening) = &mut this.opening else {
            return polled;
        };
        if polled.is_ready() {
            let bytes = &buffer.filled()[before..];
            // No bytes: the peer has closed its side, and there is nothing left to wait for.
            if bytes.is_empty() || opening.shows_version(bytes) {
                this.opening = None;
            }
            return polled;
        }
        ready!(opening.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer sent nothing",
        )))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for DeadlineIo<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.write.watch(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.write.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_flush(cx);
        this.flush.watch(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_shutdown(cx);
        this.flush.watch(cx, polled)
    }
}
