//! Counts what goes over the wire, between the clients and a server.
//!
//! It passes bytes on and counts those of its connections to the server, below HTTP and below TLS.
//! What TCP and IP add is not in it. It takes time, and so nothing else is measured through it.
//!
//! It can add TLS: to its clients it speaks HTTP in the clear, which is where it counts requests.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        Arc,
    },
    task::{ready, Context, Poll},
};
use tls::server_name;
use tokio::{
    io::{split, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub connections: u64,
    pub requests: u64,
    /// Bytes from clients to the server.
    pub up: u64,
    /// Bytes from the server to clients.
    pub down: u64,
    /// Of these, up and down: those of the handshakes of TLS, until the server's part was read and
    /// the client's written.
    pub handshake: (u64, u64),
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            connections: self.connections - earlier.connections,
            requests: self.requests - earlier.requests,
            up: self.up - earlier.up,
            down: self.down - earlier.down,
            handshake: (
                self.handshake.0 - earlier.handshake.0,
                self.handshake.1 - earlier.handshake.1,
            ),
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    handshake: [AtomicU64; 2],
}

/// A relay to one server, until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay on a free port of the loopback interface, by TLS where there is somebody to trust.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn to(server: SocketAddr, tls: Option<TlsConnector>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let counters = Arc::<Counters>::default();
        let accepting = tokio::spawn(accept(listener, server, tls, counters.clone()));
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
            handshake: (
                self.counters.handshake[0].load(Relaxed),
                self.counters.handshake[1].load(Relaxed),
            ),
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
    tls: Option<TlsConnector>,
    counters: Arc<Counters>,
) {
    while let Ok((client, _)) = listener.accept().await {
        counters.connections.fetch_add(1, Relaxed);
        let (tls, counters) = (tls.clone(), counters.clone());
        tokio::spawn(async move {
            // A client whose server cannot be had sees that its connection ends.
            let _ = connect(client, server, tls, counters).await;
        });
    }
}

async fn connect(
    client: TcpStream,
    server: SocketAddr,
    tls: Option<TlsConnector>,
    counters: Arc<Counters>,
) -> io::Result<()> {
    let io = TcpStream::connect(server).await?;
    // An event is a small write that somebody waits for.
    client.set_nodelay(true)?;
    io.set_nodelay(true)?;
    let upstream = Counted {
        io,
        up: 0,
        down: 0,
        counters: counters.clone(),
    };
    match tls {
        None => pass(client, upstream, &counters).await,
        Some(tls) => {
            let name = server_name(&server.ip().to_string()).map_err(io::Error::other)?;
            let upstream = tls.connect(name, upstream).await?;
            let Counted { up, down, .. } = upstream.get_ref().0;
            counters.handshake[0].fetch_add(*up, Relaxed);
            counters.handshake[1].fetch_add(*down, Relaxed);
            pass(client, upstream, &counters).await;
        }
    }
    Ok(())
}

async fn pass(client: TcpStream, upstream: impl AsyncRead + AsyncWrite, counters: &Counters) {
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(upstream);
    let mut heads = Heads::default();
    let up = copy(from_client, to_server, |bytes| {
        counters.requests.fetch_add(heads.count(bytes), Relaxed);
    });
    let down = copy(from_server, to_client, |_| {});
    tokio::select! {
        // Both may be dropped: when one side has closed, the connection is over for these clients.
        () = up => {}
        () = down => {}
    }
}

/// The connection to the server, with what goes over it.
struct Counted {
    io: TcpStream,
    up: u64,
    down: u64,
    counters: Arc<Counters>,
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        this.down += read;
        this.counters.down.fetch_add(read, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.up += written as u64;
        this.counters.up.fetch_add(written as u64, Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut count: impl FnMut(&[u8]),
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        count(&buffer[..read]);
        let passed = async {
            to.write_all(&buffer[..read]).await?;
            // TLS keeps what the system does not take at once.
            to.flush().await
        };
        if passed.await.is_err() {
            return;
        }
    }
}

/// What a connection of HTTP/2 begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header, and the type of the frame that begins a request (RFC 9113 §4.1,
/// §6.2).
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;

/// Counts the heads of requests, up to one that changes the protocol. Of HTTP/1.1 those that have a
/// body without an empty line.
#[derive(Debug, Default)]
struct Heads {
    head: Vec<u8>,
    upgraded: bool,
    /// HTTP/2, and how many bytes of the frame's payload are still to come.
    frames: Option<usize>,
}

impl Heads {
    fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            if self.upgraded {
                break;
            }
            match &mut self.frames {
                Some(0) => {
                    self.head.push(*byte);
                    if let [a, b, c, kind, .., _] = self.head[..] {
                        if self.head.len() == FRAME_HEADER {
                            self.frames = Some(u32::from_be_bytes([0, a, b, c]) as usize);
                            count += u64::from(kind == HEADERS);
                            self.head.clear();
                        }
                    }
                }
                Some(left) => *left -= 1,
                None => {
                    self.head.push(*byte);
                    if self.head == PREFACE {
                        self.frames = Some(0);
                        self.head.clear();
                    } else if self.head.ends_with(b"\r\n\r\n") && !PREFACE.starts_with(&self.head) {
                        count += 1;
                        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
                        self.upgraded = head.contains("\r\nupgrade: websocket\r\n");
                        self.head.clear();
                    }
                }
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

    #[test]
    fn a_request_of_http2_is_a_frame_with_headers() {
        let mut bytes = PREFACE.to_vec();
        // SETTINGS without a setting, HEADERS of three bytes, DATA of one, HEADERS of none.
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 3, 1, 4, 0, 0, 0, 1, 1, 1, 1]);
        bytes.extend([0, 0, 1, 0, 1, 0, 0, 0, 1, 1]);
        bytes.extend([0, 0, 0, 1, 5, 0, 0, 0, 3]);
        for size in [1, 5, bytes.len()] {
            let mut heads = Heads::default();
            let count: u64 = bytes.chunks(size).map(|bytes| heads.count(bytes)).sum();
            assert_eq!(count, 2, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn bytes_are_counted_both_ways_and_arrive() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::to(listener.local_addr().unwrap(), None)
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
            handshake: (0, 0),
        };
        assert_eq!(relay.traffic(), counted);
    }
}
