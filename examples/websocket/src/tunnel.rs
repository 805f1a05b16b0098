//! The bytes under a socket: when the last of them moved, and how the connection is
//! ended in order.

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{
    io,
    mem::replace,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{copy, sink, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{sleep_until, Instant},
};
use tokio_tungstenite::WebSocketStream;

/// One WebSocket, with the connection or the HTTP/2 stream below it within reach.
///
/// axum's own `WebSocket` does not show what lies below. Two things need it: a peer
/// that broke the protocol has to be read from after tungstenite can no longer do so,
/// and a message that is slow to arrive, or to leave, has to count as a sign of life.
pub type Socket = WebSocketStream<Tunnel>;

/// How many bytes of a peer that was told to go are thrown away before the connection
/// is broken off.
///
/// A program that writes a large message and reads afterwards gets its close if the
/// message is no larger than this.
const LINGER_BYTES: u64 = 16 * 1024 * 1024;

/// What an upgraded request has become.
pub struct Tunnel {
    io: TokioIo<Upgraded>,
    heard: Heard,
    /// Whether the last write found no room.
    full: bool,
}

/// When the peer gave its last sign of life: bytes came, or it made room for some by
/// reading. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Locked for one assignment or one copy, by the task that reads and by the one
    /// that waits.
    last: Arc<Mutex<Instant>>,
}

impl Tunnel {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let heard = Heard {
            last: Arc::new(Mutex::new(Instant::now())),
        };
        Self {
            io: TokioIo::new(upgraded),
            heard,
            full: false,
        }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.clone()
    }

    // ANCHOR: linger
    /// Ends this side, and reads until the peer has ended its own (RFC 6455 §7.1.1).
    ///
    /// What the peer sent and nobody has read would make the kernel reset the
    /// connection as soon as it is closed. A reset can take from the peer what it has
    /// not read yet: the close.
    pub(crate) async fn linger(mut self) {
        if self.shutdown().await.is_ok() {
            // An end, an error and too much are one here: nobody is left to be told.
            let _ = copy(&mut self.take(LINGER_BYTES), &mut sink()).await;
        }
    }
    // ANCHOR_END: linger
}

impl Heard {
    /// Completes when there was no sign of life for this long. Cancel-safe.
    pub(crate) async fn silence(self, limit: Duration) {
        loop {
            let until = self.last() + limit;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.heard.now();
        }
        polled
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        match polled {
            Poll::Pending => this.full = true,
            // There is room because the peer has read. While a write waits nothing is
            // read from it, so that this may be the only sign.
            Poll::Ready(Ok(1..)) if replace(&mut this.full, false) => this.heard.now(),
            Poll::Ready(_) => {}
        }
        polled
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
