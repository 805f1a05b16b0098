//! What hyper does not do for a connection, done where every byte passes: two
//! deadlines, a look at whether it still reads, and an orderly close.

use crate::{counts::Counts, Config};
use contract::metrics::ConnectionEnd;
use http::Version;
use shares::{Senders, Share};
use std::{
    future::{poll_fn, Future},
    io,
    pin::Pin,
    sync::{
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
        Arc,
    },
    task::{ready, Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{sleep, Sleep},
};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{debug, Span};

/// What an HTTP/2 connection begins with ([RFC 9113
/// §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is read at once to see the version: as much as hyper reads first, so that
/// it gets the head of a request in one piece.
const FIRST_READ: usize = 8 * 1024;

/// A connection whose peer must send something at first, and must read what it asked
/// for.
///
/// A deadline that passes is an error of kind [`io::ErrorKind::TimedOut`], which ends
/// the connection.
pub struct DeadlineIo<I> {
    io: I,
    /// When the peer has to have sent its first bytes; `None` once it has. Where
    /// [`version`](Self::version) is asked for, they have to show it.
    opening: Option<Pin<Box<Sleep>>>,
    /// What was read to see the version; the next read begins with it.
    first: Vec<u8>,
    /// The peer takes no bytes.
    write: Stall,
    /// The layer below (TLS, say) has bytes of its own to pass on. Apart from `write`:
    /// a plain socket's flush is always ready at once, and must not count as progress
    /// of a write that waits.
    flush: Stall,
    /// Shared with whoever serves the connection.
    wire: Wire,
    linger: Duration,
    /// Some once this side is closed and the peer's last bytes are awaited.
    lingering: Option<Lingering>,
    /// Completes once the peer has closed its side; taken by whoever watches for that.
    departed: Option<Departed>,
    /// The connection's place in the limit and in the count of what is open. They ride
    /// on the IO, because the IO is what lives exactly as long as the descriptor: an
    /// upgraded connection outlives hyper's future.
    held: Held,
}

type Departed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is known of a connection while hyper has it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// Somebody has read, or tried to, since this was last looked at.
    read: AtomicBool,
    /// A request was answered before the end of its body, so the peer may be sending
    /// still.
    unread: AtomicBool,
    /// How it ends, if it ends now: a place in [`ConnectionEnd::ALL`].
    end: AtomicU8,
}

impl Wire {
    /// If the connection ends now, this is why.
    pub(crate) fn ends(&self, end: ConnectionEnd) {
        self.0.end.store(end as u8, Relaxed);
    }

    pub(crate) fn end(&self) -> ConnectionEnd {
        ConnectionEnd::ALL[usize::from(self.0.end.load(Relaxed))]
    }

    /// Has the close wait for what the peer is sending.
    pub(crate) fn leaves_unread(&self) {
        self.0.unread.store(true, Relaxed);
    }
}

/// How often a connection whose peer has closed its side is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A watch for a peer that has gone and that hyper would not miss.
///
/// hyper (1.12) looks for the end of an HTTP/1 connection only while nothing that the
/// peer sent is left in its buffer. One byte after the request, and a request that
/// waits would wait for a client that has gone.
pub(crate) struct Watch {
    /// `None` once the peer has closed its side.
    departed: Option<Departed>,
    wire: Wire,
}

impl Watch {
    /// Completes once the peer has closed its side and nobody reads what it sent
    /// before. As for hyper, who closes its side before it has its answer is taken to
    /// have gone. Cancel-safe.
    pub(crate) async fn gone(&mut self) {
        if let Some(departed) = &mut self.departed {
            departed.await;
            self.departed = None;
        }
        loop {
            self.wire.0.read.store(false, Relaxed);
            // hyper is polled at least once in between: this wait wakes the task that
            // it is part of.
            sleep(LOOK).await;
            if !self.wire.0.read.load(Relaxed) {
                return;
            }
        }
    }
}

/// The wait for the rest of what a peer sends, after this side was closed.
///
/// A connection that is closed with bytes unread is reset, and a reset can overtake the
/// answer that it follows ([RFC 9112
/// §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)).
struct Lingering {
    deadline: Pin<Box<Sleep>>,
    left: usize,
}

/// The most that is read and thrown away: more than any client of this book would send
/// by mistake.
const MAX_LINGERING: usize = 16 * 1024 * 1024;

impl Lingering {
    fn poll<I: AsyncRead + Unpin>(
        &mut self,
        io: &mut I,
        counts: &Counts,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut bytes = [0; 4096];
        while self.left > 0 && self.deadline.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
            match buffer.filled().len() {
                0 => break,
                _ if read.is_err() => break,
                count => {
                    counts.reads(count);
                    self.left = self.left.saturating_sub(count);
                }
            }
        }
        Poll::Ready(())
    }
}

/// A connection's place in the limit of connections, and in the count of what is open;
/// and where it is counted and logged.
pub(crate) struct Held {
    _place: OwnedSemaphorePermit,
    _share: Share,
    senders: Senders,
    _open: TaskTrackerToken,
    counts: Arc<Counts>,
    span: Span,
}

impl Held {
    pub(crate) fn new(
        place: OwnedSemaphorePermit,
        (senders, share): (Senders, Share),
        open: TaskTrackerToken,
        counts: Arc<Counts>,
        span: Span,
    ) -> Self {
        counts.connection_opens();
        Self {
            _place: place,
            _share: share,
            senders,
            _open: open,
            counts,
            span,
        }
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = polled {
            self.counts.writes(*bytes);
        }
    }
}

impl<I> Drop for DeadlineIo<I> {
    fn drop(&mut self) {
        let end = self.wire.end();
        let Held { counts, span, .. } = &self.held;
        counts.connection_ends(end);
        span.record("ended", end.name());
        span.in_scope(|| debug!("a connection ended"));
    }
}

/// The version of HTTP that begins with these bytes, if they are enough to tell.
/// HTTP/1.1 stands for whatever is no HTTP/2.
fn version_of(bytes: &[u8]) -> Option<Version> {
    if bytes.starts_with(HTTP2_PREFACE) {
        Some(Version::HTTP_2)
    } else if HTTP2_PREFACE.starts_with(bytes) {
        None
    } else {
        Some(Version::HTTP_11)
    }
}

/// A clock that runs only while something is pending.
struct Stall {
    limit: Duration,
    /// Boxed and made on demand: most writes never wait, and a timer in every
    /// connection would be paid for nothing.
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
        // Polled with the same context, so that the deadline wakes whoever waits for
        // the write.
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<I> DeadlineIo<I> {
    /// `departed` completes once the peer has closed its side. `held` is dropped with
    /// the connection.
    pub(crate) fn new(
        io: I,
        config: &Config,
        departed: impl Future<Output = ()> + Send + 'static,
        held: Held,
    ) -> Self {
        Self {
            io,
            opening: Some(Box::pin(sleep(config.first_bytes))),
            first: Vec::new(),
            write: Stall::new(config.write_progress),
            flush: Stall::new(config.write_progress),
            wire: Wire::default(),
            linger: config.linger,
            lingering: None,
            departed: Some(Box::pin(departed)),
            held,
        }
    }

    /// What is known of this connection, to be kept beside it.
    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }

    /// Who sends over it.
    pub(crate) fn senders(&self) -> Senders {
        self.held.senders.clone()
    }

    /// What counts it.
    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.held.counts.clone()
    }

    /// The watch for a peer that goes while nobody reads. There is one.
    pub(crate) fn watch(&mut self) -> Option<Watch> {
        Some(Watch {
            departed: Some(self.departed.take()?),
            wire: self.wire.clone(),
        })
    }
}

impl<I: AsyncRead + Unpin> DeadlineIo<I> {
    /// Reads until the version of HTTP is plain. What it has read is read again by
    /// whoever reads next. Cancel-safe.
    pub(crate) async fn version(&mut self) -> io::Result<Version> {
        poll_fn(|cx| self.poll_version(cx)).await
    }

    fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        // Not kept between polls: most connections need it once.
        let mut bytes = [0; FIRST_READ];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(self.poll_read_in_time(cx, &mut buffer))?;
            self.first.extend_from_slice(buffer.filled());
            let version = match version_of(&self.first) {
                Some(version) => version,
                // The peer has closed its side: nothing more can show it.
                None if buffer.filled().is_empty() => Version::HTTP_11,
                None => continue,
            };
            self.opening = None;
            return Poll::Ready(Ok(version));
        }
    }

    /// Reads, and fails where the first bytes are overdue.
    fn poll_read_in_time(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if polled.is_ready() {
            self.held.counts.reads(buffer.filled().len() - before);
            return polled;
        }
        let Some(deadline) = &mut self.opening else {
            return polled;
        };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer sent nothing",
        )))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for DeadlineIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.wire.0.read.store(true, Relaxed);
        if !this.first.is_empty() {
            let count = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..count]);
            this.first.drain(..count);
            if this.first.is_empty() {
                // Gives its memory back.
                this.first = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_read_in_time(cx, buffer))?;
        // Also where there were none: the peer has closed its side, and there is
        // nothing left to wait for.
        this.opening = None;
        Poll::Ready(Ok(()))
    }
}

// A close reads as well.
impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for DeadlineIo<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.held.wrote(&polled);
        this.write.watch(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.held.wrote(&polled);
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

    fn poll_shutdown(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let polled = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.flush.watch(cx, polled))?;
            if !this.wire.0.unread.load(Relaxed) {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this.linger;
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            deadline: Box::pin(sleep(linger)),
            left: MAX_LINGERING,
        });
        let counts = &this.held.counts;
        lingering.poll(&mut this.io, counts, cx).map(Ok)
    }
}
