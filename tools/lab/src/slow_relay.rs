//! A line of bytes, where none of packets is allowed: a relay that keeps them back.
//!
//! It ends TCP on both sides, so nothing is ever lost on it: what would be lost comes later.

use crate::line::{Line, Queue};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep_until,
};

/// What a lost piece of data takes longer, beside a round trip: Linux's least time to send again.
const AGAIN: Duration = Duration::from_millis(200);

/// The pieces that are on their way at most; then the sender has to wait.
const ON_THE_WAY: usize = 1024;

/// A relay to one server, until it is dropped.
#[derive(Debug)]
pub struct SlowRelay {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl SlowRelay {
    /// A relay on a free port of the loopback interface; the seed decides which pieces of data come
    /// as late as if they were lost.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn to(server: SocketAddr, line: Line, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            accepting: tokio::spawn(accept(listener, server, line, seed)),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SlowRelay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, line: Line, seed: u64) {
    let mut seed = seed.wrapping_mul(1 << 32);
    while let Ok((client, _)) = listener.accept().await {
        seed = seed.wrapping_add(2);
        tokio::spawn(async move {
            // A client whose server cannot be had sees that its connection ends.
            let _ = pass(client, server, line, seed).await;
        });
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, line: Line, seed: u64) -> io::Result<()> {
    let mut upstream = TcpStream::connect(server).await?;
    // An event is a small write that somebody waits for.
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = upstream.split();
    tokio::select! {
        // Both may be dropped: when one side has closed, the connection is over for these clients.
        up = copy(from_client, to_server, Queue::new(line, seed)) => up,
        down = copy(from_server, to_client, Queue::new(line, seed + 1)) => down,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut queue: Queue<Vec<u8>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut open = true;
    while open || queue.due().is_some() {
        while let Some(piece) = queue.pop(Instant::now()) {
            to.write_all(&piece).await?;
        }
        let due = queue.due();
        tokio::select! {
            // Cancel-safe: what is not read stays with the system.
            read = from.read(&mut buffer), if open && queue.len() < ON_THE_WAY => match read? {
                0 => open = false,
                read => queue.push_late(Instant::now(), buffer[..read].to_vec(), AGAIN),
            },
            // Only waits.
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::By;

    #[tokio::test]
    async fn what_would_be_lost_arrives_in_order() {
        let line = Line {
            rtt_ms: 2.0,
            loss_percent: 50.0,
            by: By::Relay,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = listener.local_addr().unwrap();
        let relay = SlowRelay::to(server, line, 1).await.unwrap();
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        client.write_all(b"question").await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut question = [0; 8];
        server.read_exact(&mut question).await.unwrap();
        assert_eq!(&question, b"question");
        for piece in ["an", "swer"] {
            server.write_all(piece.as_bytes()).await.unwrap();
        }
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
    }
}
