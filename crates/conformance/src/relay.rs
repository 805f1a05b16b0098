//! A stretch of network that can be cut.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Passes TCP connections on to a server, and breaks them when it is told to.
///
/// To the client a cut looks like a router that died: no status, no close frame, no
/// last chunk. A server asked to end its connections politely could not show that.
pub struct Relay {
    address: SocketAddr,
    /// Whether connections pass. Each one watches it and ends when it turns false.
    passing: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay to `server` on a free port of the loopback interface.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let passing = watch::Sender::new(true);
        let accepting = tokio::spawn(accept(listener, server, passing.subscribe()));
        Ok(Self {
            address,
            passing,
            accepting,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection and lets none through, until [`restore`](Self::restore).
    pub fn cut(&self) {
        self.passing.send_replace(false);
    }

    /// Lets connections through again.
    pub fn restore(&self) {
        self.passing.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    passing: watch::Receiver<bool>,
) {
    while let Ok((client, _)) = listener.accept().await {
        if *passing.borrow() {
            tokio::spawn(pass(client, server, passing.clone()));
        }
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    mut passing: watch::Receiver<bool>,
) {
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    let cut = tokio::select! {
        // Both arms may be dropped: when either is done the connection is over and both
        // sockets close.
        _ = passing.wait_for(|passing| !passing) => true,
        _ = copy_bidirectional(&mut client, &mut upstream) => false,
    };
    if cut {
        // A reset and not a close: what a dead peer's kernel, or a router that lost its
        // table, answers.
        let _ = client.set_zero_linger();
    }
}
