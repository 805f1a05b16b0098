//! Counts what goes over the wire, between the clients and a server.
//!
//! It passes bytes on and counts them as they are read from either side, below HTTP. What TCP and
//! IP add is not in it. It takes time, and so nothing else is measured through it, but where there
//! is no other way to have a delay between: then it keeps them back first.

use crate::line::{Line, Queue};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep_until,
};

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub connections: u64,
    pub requests: u64,
    /// Bytes from clients to the server.
    pub up: u64,
    /// Bytes from the server to clients.
    pub down: u64,
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            requests: self.requests - earlier.requests,
            up: self.up - earlier.up,
            down: self.down - earlier.down,
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// A relay to one server, until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay on a free port of the loopback interface, as slow as `line`; the seed decides which
    /// pieces of data come late, as if they were lost.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn to(server: SocketAddr, line: Line, seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let counters = Arc::<Counters>::default();
        let accepting = tokio::spawn(accept(listener, server, line, seed, counters.clone()));
        Ok(Self {
            address,
            counters,
            accepting,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has gone through so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            connections: self.counters.connections.load(Relaxed),
            requests: self.counters.requests.load(Relaxed),
            up: self.counters.up.load(Relaxed),
            down: self.counters.down.load(Relaxed),
        }
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
    line: Line,
    seed: u64,
    counters: Arc<Counters>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = counters.connections.fetch_add(1, Relaxed);
        let seed = seed.wrapping_mul(1 << 32).wrapping_add(2 * number);
        tokio::spawn(pass(client, server, line, seed, counters.clone()));
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    line: Line,
    seed: u64,
    counters: Arc<Counters>,
) {
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    // An event is a small write that somebody waits for.
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = upstream.split();
    let mut heads = Heads::default();
    let up = copy(from_client, to_server, Queue::new(line, seed), |bytes| {
        counters.up.fetch_add(bytes.len() as u64, Relaxed);
        counters.requests.fetch_add(heads.count(bytes), Relaxed);
    });
    let down = copy(
        from_server,
        to_client,
        Queue::new(line, seed + 1),
        |bytes| {
            counters.down.fetch_add(bytes.len() as u64, Relaxed);
        },
    );
    tokio::select! {
        // Both may be dropped: when one side has closed, the connection is over for these clients.
        () = up => {}
        () = down => {}
    }
}

/// What a lost piece of data takes longer, beside a round trip: Linux's least time to send again.
const AGAIN: Duration = Duration::from_millis(200);

/// The pieces that are on their way at most; then the sender has to wait.
const ON_THE_WAY: usize = 1024;

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut queue: Queue<Vec<u8>>,
    mut count: impl FnMut(&[u8]),
) {
    let mut buffer = vec![0; 16 * 1024];
    if queue.is_none() {
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            count(&buffer[..read]);
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
        return;
    }
    let mut open = true;
    while open || queue.due().is_some() {
        while let Some(piece) = queue.pop(Instant::now()) {
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let due = queue.due();
        tokio::select! {
            // Cancel-safe: what is read stays in the buffer of the system until then.
            read = from.read(&mut buffer), if open && queue.len() < ON_THE_WAY => match read {
                Ok(read @ 1..) => {
                    count(&buffer[..read]);
                    queue.push_late(Instant::now(), buffer[..read].to_vec(), AGAIN);
                }
                _ => open = false,
            },
            // Only waits.
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
        }
    }
}

/// Counts the heads of requests without a body, up to one that changes the protocol.
#[derive(Debug, Default)]
struct Heads {
    head: Vec<u8>,
    upgraded: bool,
}

impl Heads {
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            if self.upgraded {
                break;
            }
            self.head.push(*byte);
            if self.head.ends_with(b"\r\n\r\n") {
                count += 1;
                let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
                self.upgraded = head.contains("\r\nupgrade: websocket\r\n");
                self.head.clear();
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_however_their_bytes_come() {
        let two = b"GET /events HTTP/1.1\r\nhost: a\r\n\r\nGET /events?after=b HTTP/1.1\r\n\r\n";
        for size in [1, 3, 7, two.len()] {
            let mut heads = Heads::default();
            let count: u64 = two.chunks(size).map(|bytes| heads.count(bytes)).sum();
            assert_eq!(count, 2, "in pieces of {size}");
        }
    }

    #[test]
    fn what_follows_an_upgrade_is_no_request() {
        let mut heads = Heads::default();
        let upgrade =
            b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\r\n\r\n";
        assert_eq!(heads.count(upgrade), 1);
        assert_eq!(heads.count(b"\r\n\r\n"), 0);
    }

    #[tokio::test]
    async fn bytes_are_counted_both_ways_and_arrive() {
        let late = Line {
            rtt_ms: 2.0,
            loss_percent: 50.0,
            by: crate::line::By::Relay,
        };
        for line in [Line::NONE, late] {
            arrive(line).await;
        }
    }

    async fn arrive(line: Line) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::to(listener.local_addr().unwrap(), line, 1)
            .await
            .unwrap();
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        client.write_all(request).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut came = vec![0; request.len()];
        server.read_exact(&mut came).await.unwrap();
        assert_eq!(came, request);
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
        let counted = Traffic {
            connections: 1,
            requests: 1,
            up: request.len() as u64,
            down: 6,
        };
        assert_eq!(relay.traffic(), counted);
    }
}
