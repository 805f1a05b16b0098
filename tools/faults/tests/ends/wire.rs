//! One client of each method, byte by byte, and how its connection ends.

use anyhow::{bail, ensure};
use std::net::SocketAddr;
use testbed::{in_time, wire};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The methods that a server can leave somebody waiting in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Polling,
    LongPolling,
    Sse,
    WebSocket,
}

impl Method {
    pub const ALL: [Self; 4] = [Self::Polling, Self::LongPolling, Self::Sse, Self::WebSocket];

    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::LongPolling => "long-polling",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }

    /// Whether something of it stays open.
    pub fn waits(self) -> bool {
        self != Self::Polling
    }
}

/// A client's connection, and what has come over it.
pub struct Open {
    method: Method,
    socket: TcpStream,
    pub seen: Vec<u8>,
}

/// How a connection came to its end.
#[derive(Debug)]
pub struct Ended {
    /// What came over it in the end, after what [`Open`] had read.
    #[expect(dead_code, reason = "it is shown where a test fails")]
    pub text: String,
    /// Whether the server said, by the method's own means, that it goes.
    pub told: bool,
    /// Whether what had begun was brought to its end: the last chunk, the whole page.
    pub whole: bool,
    /// Whether the system of the server closed in order; a reset is the other way.
    pub in_order: bool,
}

impl Open {
    /// Opens a connection and brings it to where this method's client waits; `prefix` is
    /// where the routes lie.
    pub async fn at(method: Method, server: SocketAddr, prefix: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(server).await?;
        let seen = Vec::new();
        let mut open = Self {
            method,
            socket,
            seen,
        };
        match method {
            Method::Polling => {
                open.ask(&format!("GET {prefix}events?after=latest HTTP/1.1"))
                    .await?;
                open.until("\"}").await?;
            }
            Method::LongPolling => {
                open.ask(&format!("GET {prefix}events?after=latest HTTP/1.1"))
                    .await?;
                open.until("\"}").await?;
                ensure!(open.status() == 200, "{}", open.text());
                let page = open.text();
                let (_, next) = page.rsplit_once("\"next\":\"").unwrap_or_default();
                let cursor = next.trim_end_matches("\"}");
                let head = format!("GET {prefix}events?after={cursor} HTTP/1.1\nPrefer: wait=25");
                open.ask(&head).await?;
            }
            Method::Sse => {
                open.ask(&format!("GET {prefix}events HTTP/1.1")).await?;
                open.until("event: hello").await?;
            }
            Method::WebSocket => {
                let head = format!(
                    "GET {prefix}events HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket\n\
                     Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\
                     Sec-WebSocket-Protocol: waiting.v1"
                );
                open.ask(&head).await?;
                open.until("{\"hello\":").await?;
            }
        }
        // Nobody has answered a request that is parked.
        let expected = [101, 200, 0].contains(&open.status());
        ensure!(expected, "{method:?}: {}", open.text());
        Ok(open)
    }

    async fn ask(&mut self, head: &str) -> anyhow::Result<()> {
        self.seen.clear();
        let head = wire(&format!("{head}\nHost: 127.0.0.1"));
        Ok(self.socket.write_all(head.as_bytes()).await?)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// The status of the last answer.
    pub fn status(&self) -> u16 {
        status(&self.text())
    }

    /// Reads until this has come.
    pub async fn until(&mut self, text: &str) -> anyhow::Result<()> {
        in_time(text, async {
            while !self
                .seen
                .windows(text.len())
                .any(|it| it == text.as_bytes())
            {
                if self.socket.read_buf(&mut self.seen).await? == 0 {
                    bail!("closed without {text:?}: {}", self.text());
                }
            }
            Ok(())
        })
        .await
    }

    /// Reads to the end. A WebSocket's close is answered, as its client must.
    pub async fn end(mut self) -> Ended {
        let before = self.seen.len();
        if self.method == Method::LongPolling {
            self.seen.clear();
        }
        let in_order = in_time("the end of a connection", async {
            let mut answered = false;
            loop {
                match self.socket.read_buf(&mut self.seen).await {
                    Ok(0) => break true,
                    Ok(_) => {}
                    Err(_) => break false,
                }
                if self.method == Method::WebSocket && !answered && self.closes() {
                    // Masked with nothing: 1001.
                    let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
                    let _ = self.socket.write_all(&close).await;
                    answered = true;
                }
            }
        })
        .await;
        let all = self.text();
        let text = match self.method {
            Method::LongPolling => all.clone(),
            _ => String::from_utf8_lossy(&self.seen[before..]).into_owned(),
        };
        let (told, whole) = match self.method {
            // It has its page, and the next one is asked for on another connection.
            Method::Polling => (false, all.contains("\"next\"") && text.is_empty()),
            Method::LongPolling => (
                all.to_ascii_lowercase().contains("connection: close"),
                status(&all) == 200 && all.ends_with("\"}"),
            ),
            Method::Sse => (
                all.contains("event: end\ndata: {\"reason\":\"shutdown\"}"),
                all.ends_with("\r\n0\r\n\r\n"),
            ),
            Method::WebSocket => (self.closes(), self.closes()),
        };
        Ended {
            text,
            told,
            whole,
            in_order,
        }
    }

    /// Whether a close with 1001 has come.
    fn closes(&self) -> bool {
        let close = b"\x88\x0a\x03\xe9shutdown";
        self.seen.ends_with(close)
    }
}

/// The status of an answer; 0 where there is none.
pub fn status(text: &str) -> u16 {
    let code = text.split(' ').nth(1).unwrap_or_default();
    code.parse().unwrap_or_default()
}
