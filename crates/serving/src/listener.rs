//! Where connections come from, and what the system itself is told to watch on each.

use crate::Config;
use socket2::{SockRef, TcpKeepalive};
use std::{
    future::{pending, Future},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{ready, Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Where connections come from: a TCP socket, or a test's own pipes.
///
/// Unlike axum's trait of this name it passes errors on. What to do about them is the
/// accept loop's decision, and a test wants to see it decide.
pub trait Listener: Send + 'static {
    /// One connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    ///
    /// It must be cancel-safe: dropping the future loses no connection. It must not
    /// wait for the peer to send anything, or one silent peer keeps out all others; a
    /// TLS handshake belongs in the connection's first read.
    ///
    /// # Errors
    /// Whatever the system reports. [`serve`](crate::serve) says which errors it
    /// survives.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Tells the system what to watch on a new connection. By default nothing.
    fn prepare(_io: &Self::Io, _config: &Config) {}

    /// Who is on the other side, for the log. By default nobody can tell.
    fn peer(_io: &Self::Io) -> Option<SocketAddr> {
        None
    }

    /// Completes once the peer has closed its side, also while nobody reads. By default
    /// never.
    fn departed(_io: &Self::Io) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }
}

impl Listener for TcpListener {
    type Io = Tcp;

    async fn accept(&mut self) -> io::Result<Tcp> {
        let (stream, _peer) = TcpListener::accept(self).await?;
        Ok(Tcp(Arc::new(stream)))
    }

    fn prepare(io: &Tcp, config: &Config) {
        // A connection without these is served all the same.
        if let Err(error) = prepare(&io.0, config) {
            tracing::debug!(%error, "a socket's options were not set");
        }
    }

    fn peer(io: &Tcp) -> Option<SocketAddr> {
        io.0.peer_addr().ok()
    }

    fn departed(io: &Tcp) -> impl Future<Output = ()> + Send + 'static {
        departed(io.0.clone())
    }
}

// ANCHOR: prepare
fn prepare(stream: &TcpStream, config: &Config) -> io::Result<()> {
    // Nagle's algorithm keeps a small write back until the one before is acknowledged,
    // and a peer may put that off for 40 ms or more. An event is a small write that
    // somebody waits for.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        socket.set_tcp_user_timeout(Some(config.unacknowledged))?;
        socket.set_tcp_notsent_lowat(config.unsent_in_system)?;
    }
    let probes = TcpKeepalive::new().with_time(config.keep_alive);
    // These two cannot be set on every system; there its own numbers hold.
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "ios",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "windows",
    ))]
    let probes = probes
        .with_interval(config.keep_alive_interval)
        .with_retries(config.keep_alive_probes);
    socket.set_tcp_keepalive(&probes)
}
// ANCHOR_END: prepare

/// Completes once the peer has closed its side or reset the connection, whether or not
/// what it sent before was read.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn departed(stream: Arc<TcpStream>) {
    // Of the two things that wake a wait for priority, urgent data is never asked for
    // at the socket; a closed side comes unasked. A wait for readability would also be
    // woken by what nobody reads, again and again.
    let _ = stream.ready(tokio::io::Interest::PRIORITY).await;
}

/// Nothing tells of it here: the next write does.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
async fn departed(_stream: Arc<TcpStream>) {
    pending().await
}

/// A TCP connection. It can be watched while another part of the program owns it, which
/// is why the socket is shared.
#[derive(Clone, Debug)]
pub struct Tcp(Arc<TcpStream>);

impl Tcp {
    /// The socket, to set or read what the system knows of it.
    pub fn socket(&self) -> SockRef<'_> {
        SockRef::from(&*self.0)
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buffer) {
                // Ready for somebody before, and not any more: the next turn registers.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is kept back here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket().shutdown(std::net::Shutdown::Write))
    }
}
