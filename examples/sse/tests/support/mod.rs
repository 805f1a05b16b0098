//! A server of known bytes, and a raw socket to read them with.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use feed::{Data, Feed, Kind, Retention};
use serving::Ending;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// Turns a hang into a failure; nothing is measured by it.
pub const HANG: Duration = Duration::from_secs(30);

/// A server on a port of its own.
pub struct Server {
    pub feed: Feed,
    pub address: SocketAddr,
    pub ending: Ending,
    pub serving: JoinHandle<std::io::Result<()>>,
}

/// A log whose every byte is known: its name and its clock stand still.
pub fn still_feed(max_events: usize) -> Feed {
    Feed::builder()
        .epoch("k3f9x2".parse().unwrap())
        .clock(|| "2026-01-01T00:00:00Z".parse().unwrap())
        .retention(Retention {
            max_events,
            ..Retention::default()
        })
        .build()
}

/// The settings under which a stream's bytes are known.
pub fn still_config() -> sse::Config {
    sse::Config {
        retry_ms: 1730..1731,
        demo_cut: true,
        token_pause: Duration::ZERO,
        ..Default::default()
    }
}

pub async fn start(feed: Feed, config: sse::Config) -> Server {
    start_with(feed, config, serving::Config::default()).await
}

pub async fn start_with(feed: Feed, config: sse::Config, edge: serving::Config) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ending = Ending::new();
    let router = sse::router(feed.clone(), config, ending.clone());
    let serving = tokio::spawn(serving::serve(listener, router, edge, ending.clone()));
    Server {
        feed,
        address,
        ending,
        serving,
    }
}

/// Publishes a message whose data is this text.
pub async fn say(feed: &Feed, text: &str) {
    let kind: Kind = "message".parse().unwrap();
    feed.publish(kind, Data::new(text).unwrap()).await.unwrap();
}

/// One connection, byte by byte.
pub struct Raw {
    socket: TcpStream,
    /// Everything received so far.
    pub seen: String,
    /// The first bytes of a character whose rest has not come yet.
    partial: Vec<u8>,
}

impl Raw {
    /// Connects and sends `head`, a request line and headers with LF for line ends, and `body`.
    pub async fn send(server: &Server, head: &str, body: &str) -> Self {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let request = format!("{}\r\n\r\n{body}", head.trim_end().replace('\n', "\r\n"));
        socket.write_all(request.as_bytes()).await.unwrap();
        Self {
            socket,
            seen: String::new(),
            partial: Vec::new(),
        }
    }

    pub async fn get(server: &Server, target: &str) -> Self {
        Self::send(
            server,
            &format!("GET {target} HTTP/1.1\nHost: 127.0.0.1:4100"),
            "",
        )
        .await
    }

    /// Reads until everything received holds `end`.
    pub async fn until(&mut self, end: &str) {
        let mut searched = 0;
        let read = timeout(HANG, async {
            while !self.seen[searched..].contains(end) {
                // What comes next may complete an `end` whose beginning is here already.
                let keep = self.seen.len().saturating_sub(end.len());
                searched = searched.max(self.seen.floor_char_boundary(keep));
                assert!(self.more().await, "the connection ended without {end:?}");
            }
        });
        if read.await.is_err() {
            panic!("{end:?} did not come");
        }
    }

    /// Reads to the end of the connection; whether it ended well, or was reset.
    pub async fn read_to_end(&mut self) -> bool {
        let mut bytes = Vec::new();
        let ended = timeout(HANG, self.socket.read_to_end(&mut bytes)).await;
        self.seen.push_str(&String::from_utf8_lossy(&bytes));
        ended.expect("the connection ends").is_ok()
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.socket.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.partial.extend_from_slice(&piece[..length]);
                let whole = match std::str::from_utf8(&self.partial) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                let text: Vec<u8> = self.partial.drain(..whole).collect();
                self.seen.push_str(std::str::from_utf8(&text).unwrap());
                true
            }
        }
    }
}
