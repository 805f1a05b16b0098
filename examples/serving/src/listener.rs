//! Where connections come from.

use std::{future::Future, io};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// Where connections come from: a TCP socket, or a test's own pipes.
///
/// Unlike axum's trait of this name it passes errors on. What to do about them is the accept loop's decision, and a
/// test wants to see it decide.
pub trait Listener: Send + 'static {
    /// One connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    ///
    /// It must be cancel-safe: dropping the future loses no connection. It must not wait for the peer to send
    /// anything, or one silent peer keeps out all others; a TLS handshake belongs in the connection's first read.
    ///
    /// # Errors
    /// Whatever the system reports. [`serve`](crate::serve) says which errors it survives.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _peer) = TcpListener::accept(self).await?;
        // Nagle's algorithm keeps a small write back until the one before is acknowledged, and a peer may put that off
        // for 40 ms or more. An event is a small write that somebody waits for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        Ok(stream)
    }
}
