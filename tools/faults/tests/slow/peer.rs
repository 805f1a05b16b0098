//! A client byte by byte, with an address of its own.

use anyhow::{ensure, Context as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use testbed::{in_time, parts::Forbidden};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// A connection, and what has come over it and was not taken.
pub struct Peer {
    pub socket: TcpStream,
    seen: Vec<u8>,
}

/// An answer of HTTP with a `Content-Length`, or the head of one without.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// An address of the loopback network.
pub fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

impl Peer {
    /// Connects from 127.0.0.`last`. With `room`, its system takes about so many bytes before
    /// anybody reads.
    pub async fn connect(last: u8, room: Option<u32>, to: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(room) = room {
            socket.set_recv_buffer_size(room)?;
        }
        socket
            .bind((address(last), 0).into())
            .context("this system has no other loopback address")
            .map_err(Forbidden)?;
        let socket = in_time("a connection", socket.connect(to)).await?;
        let seen = Vec::new();
        Ok(Self { socket, seen })
    }

    pub async fn write(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.socket.write_all(text.as_bytes()).await?)
    }

    /// More bytes; whether there were any.
    async fn more(&mut self) -> bool {
        let read = in_time("bytes", self.socket.read_buf(&mut self.seen)).await;
        matches!(read, Ok(1..))
    }

    /// Reads an answer; `None` where the connection ends before it.
    pub async fn answer(&mut self) -> anyhow::Result<Option<Answer>> {
        let end = loop {
            let found = self.seen.windows(4).position(|four| four == b"\r\n\r\n");
            match found {
                Some(end) => break end + 4,
                None if self.more().await => {}
                None => return Ok(None),
            }
        };
        let head = String::from_utf8(self.seen.drain(..end).collect())?;
        let status = head.split(' ').nth(1).context("a status line")?.parse()?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(Ok(0), |text| text.trim().parse())?;
        while self.seen.len() < length {
            ensure!(self.more().await, "it ends within an answer");
        }
        let body = String::from_utf8(self.seen.drain(..length).collect())?;
        Ok(Some(Answer { status, head, body }))
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: &str) -> anyhow::Result<Option<Answer>> {
        // Refused connections break off while they are written to.
        let _ = self.write(request).await;
        self.answer().await
    }

    /// Reads until `end` has come; whether it has, before the connection ended.
    pub async fn until(&mut self, end: &str) -> bool {
        let mut from = 0;
        loop {
            let found = self.seen[from..]
                .windows(end.len())
                .any(|bytes| bytes == end.as_bytes());
            if found {
                return true;
            }
            from = self.seen.len().saturating_sub(end.len());
            if !self.more().await {
                return false;
            }
        }
    }
}

/// A `GET`.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

/// A publish of a text of so many characters.
pub fn post(characters: usize) -> String {
    let body = format!(
        "{{\"kind\":\"message\",\"data\":\"{}\"}}",
        "x".repeat(characters)
    );
    let length = body.len();
    format!(
        "POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The request with which a client of this method waits, from this cursor on.
pub fn wait(method: &str, after: &str) -> String {
    let target = format!("/events?after={after}");
    match method {
        "long-polling" => {
            format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nPrefer: wait=25\r\n\r\n")
        }
        "websocket" => format!(
            "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: waiting.v1\r\n\r\n"
        ),
        _ => get(&target),
    }
}
