//! One connection, byte by byte.

use crate::in_time;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection on which a test writes requests and reads what comes, with no HTTP client in
/// between.
pub struct Raw {
    socket: TcpStream,
    /// Everything received so far that was not taken as an [`answer`](Self::answer).
    pub seen: String,
    /// What was read and is no text yet: the first bytes of a character whose rest has not come. A
    /// `Vec`, because a buffer on the stack would lie in every future of a test.
    partial: Vec<u8>,
}

/// One whole answer, as its text came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status line, the headers and the empty line after them, with CRLF for line ends.
    pub head: String,
    /// The content.
    pub body: String,
}

impl Answer {
    /// A whole answer with nothing after it; `None` of an empty text.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find("\r\n\r\n")? + 4;
        let (head, body) = text.split_at(end);
        let (head, body) = (head.to_owned(), body.to_owned());
        Some(Self { head, body })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        let code = self.head.split(' ').nth(1).unwrap_or_default();
        code.parse().expect("a status line")
    }

    /// The value of a header, by its name in lower case; hyper writes names so.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Head and body.
    pub fn text(&self) -> String {
        format!("{}{}", self.head, self.body)
    }
}

impl Raw {
    /// Connects and sends nothing.
    pub async fn connect(server: impl Into<SocketAddr>) -> Self {
        let socket = TcpStream::connect(server.into()).await;
        Self {
            socket: socket.expect("the server listens"),
            seen: String::new(),
            partial: Vec::new(),
        }
    }

    /// Connects and sends a request, as [`request`](Self::request) does.
    pub async fn send(server: impl Into<SocketAddr>, head: &str, body: &str) -> Self {
        let mut raw = Self::connect(server).await;
        raw.request(head, body).await;
        raw
    }

    /// Connects and sends a `GET` without further headers.
    pub async fn get(server: impl Into<SocketAddr>, target: &str) -> Self {
        let head = format!("GET {target} HTTP/1.1\nHost: 127.0.0.1");
        Self::send(server, &head, "").await
    }

    /// Sends `head`, a request line and headers with LF for line ends, and `body`. The connection
    /// stays open for more.
    ///
    /// # Panics
    /// Where the server has closed the connection.
    pub async fn request(&mut self, head: &str, body: &str) {
        let sent = self.write(&format!("{}{body}", wire(head))).await;
        assert!(sent, "the server takes the request");
    }

    /// Sends this text and nothing else, half a request for example; whether the connection took
    /// it.
    pub async fn write(&mut self, text: &str) -> bool {
        self.socket.write_all(text.as_bytes()).await.is_ok()
    }

    /// Sends a request and reads its whole answer.
    pub async fn ask(&mut self, head: &str, body: &str) -> Answer {
        self.request(head, body).await;
        self.answer().await
    }

    /// Reads one whole answer: its head, and as much as `Content-Length` says. Of 204 and 304 there
    /// is no more.
    ///
    /// # Panics
    /// Where the answer has another status and no `Content-Length`: it is a stream, and has no
    /// whole.
    pub async fn answer(&mut self) -> Answer {
        self.until("\r\n\r\n").await;
        let end = self.seen.find("\r\n\r\n").expect("just seen") + 4;
        let rest = self.seen.split_off(end);
        let mut answer = Answer {
            head: std::mem::replace(&mut self.seen, rest),
            body: String::new(),
        };
        if !matches!(answer.status(), 204 | 304) {
            let length = answer.header("content-length").map(str::parse::<usize>);
            let length = length.expect("a Content-Length").expect("a number");
            in_time("the rest of an answer", async {
                while self.seen.len() < length {
                    assert!(self.more().await, "the connection ended within an answer");
                }
            })
            .await;
            let rest = self.seen.split_off(length);
            answer.body = std::mem::replace(&mut self.seen, rest);
        }
        answer
    }

    /// Reads until everything received holds `end`.
    pub async fn until(&mut self, end: &str) {
        let mut searched = 0;
        in_time(&format!("{end:?}"), async {
            while !self.seen[searched..].contains(end) {
                // What comes next may complete an `end` whose beginning is here already.
                let keep = self.seen.len().saturating_sub(end.len());
                searched = searched.max(self.seen.floor_char_boundary(keep));
                assert!(self.more().await, "the connection ended without {end:?}");
            }
        })
        .await;
    }

    /// Breaks the connection off with a reset, where dropping it would close it in order.
    pub fn reset(self) {
        let set = self.socket.set_zero_linger();
        set.expect("a socket can be closed at once");
    }

    /// Reads to the end of the connection; whether it ended well, or was reset.
    pub async fn read_to_end(&mut self) -> bool {
        let mut bytes = Vec::new();
        let reading = self.socket.read_to_end(&mut bytes);
        let ended = in_time("the end of the connection", reading).await;
        self.seen.push_str(&String::from_utf8_lossy(&bytes));
        ended.is_ok()
    }

    async fn more(&mut self) -> bool {
        if !matches!(self.socket.read_buf(&mut self.partial).await, Ok(1..)) {
            return false;
        }
        let whole = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text: Vec<u8> = self.partial.drain(..whole).collect();
        self.seen
            .push_str(std::str::from_utf8(&text).expect("checked"));
        true
    }
}

/// A head as it goes over the wire: CRLF for line ends, and the empty line.
pub fn wire(head: &str) -> String {
    format!("{}\r\n\r\n", head.trim_end().replace('\n', "\r\n"))
}

/// Sends a request on a connection of its own and gives everything that comes until the server
/// closes it.
pub async fn answer_to(server: impl Into<SocketAddr>, head: &str, body: &str) -> String {
    let head = format!("{head}\nHost: 127.0.0.1\nConnection: close");
    let mut raw = Raw::send(server, &head, body).await;
    raw.read_to_end().await;
    raw.seen
}

/// The same for a `POST`.
pub async fn post(
    server: impl Into<SocketAddr>,
    target: &str,
    content_type: &str,
    body: &str,
) -> String {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\nContent-Type: {content_type}\nContent-Length: {length}");
    answer_to(server, &head, body).await
}
