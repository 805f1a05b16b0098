//! A listener without sockets.

use serving::Listener;
use std::io;
use tokio::{
    io::{duplex, DuplexStream},
    sync::mpsc,
};

/// A listener that accepts what a [`Dialer`] gives it, errors included.
///
/// No sockets, so there may be thousands of connections, the clock can be paused, and the test owns
/// both ends.
#[derive(Debug)]
pub struct Pipes(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

/// The other side of [`Pipes`].
#[derive(Clone, Debug)]
pub struct Dialer(mpsc::UnboundedSender<io::Result<DuplexStream>>);

impl Pipes {
    /// A listener, and what connects to it.
    pub fn new() -> (Dialer, Self) {
        let (dialer, accepted) = mpsc::unbounded_channel();
        (Dialer(dialer), Self(accepted))
    }
}

impl Listener for Pipes {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        match self.0.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

impl Dialer {
    /// A connection whose pipe holds this many bytes each way before its writer waits.
    pub fn connect(&self, bytes: usize) -> DuplexStream {
        let (ours, theirs) = duplex(bytes);
        self.0.send(Ok(theirs)).expect("the listener is open");
        ours
    }

    /// Makes the listener's next `accept` fail.
    pub fn fail(&self, error: io::Error) {
        self.0.send(Err(error)).expect("the listener is open");
    }

    /// Completes once the listener was dropped.
    pub async fn refused(&self) {
        self.0.closed().await;
    }
}
