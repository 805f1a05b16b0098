//! Requests of HTTP/1.1 and their answers, byte by byte, with no HTTP client between.

use crate::{observer::in_time, Method};
use contract::{Problem, PROBLEM_JSON, TYPE_PREFIX};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use url::Url;

/// How long an answer may take that need not wait for anything. Not a figure that is
/// measured; shorter than the 20 s for which a request may be parked, so that one that
/// was parked by mistake is seen.
const AT_ONCE: Duration = Duration::from_secs(15);

/// How long the body of an answer may take that was not expected.
const BODY_LIMIT: Duration = Duration::from_secs(5);

/// No answer that the suite asks for comes near this size.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// The largest head taken.
const MAX_HEAD: usize = 64 * 1024;

/// A request, as its parts.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// Below the base, such as `events?after=latest`.
    pub(crate) target: String,
    /// Besides `Host` and, with a body, `Content-Length`. A `Host` here replaces it.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A publish with this body.
    pub(crate) fn post(body: impl Into<String>) -> Self {
        Self {
            method: "POST",
            body: body.into(),
            ..Self::get("events")
        }
        .with("Content-Type", "application/json")
    }

    /// Opens a WebSocket.
    pub(crate) fn upgrade(target: impl Into<String>) -> Self {
        Self::get(target)
            .with("Connection", "Upgrade")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", KEY)
            .with("Sec-WebSocket-Protocol", contract::socket::SUBPROTOCOL)
    }

    /// The request for events of a method.
    pub(crate) fn events(method: Method, query: &str) -> Self {
        let target = format!("events{query}");
        match method {
            Method::WebSocket => Self::upgrade(target),
            _ => Self::get(target),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn head(&self, base: &Url) -> String {
        let path = base.path();
        let mut head = format!("{} {path}{} HTTP/1.1\r\n", self.method, self.target);
        let has = |name: &str| self.headers.iter().any(|(other, _)| *other == name);
        if !has("Host") {
            let host = &base[url::Position::BeforeHost..url::Position::AfterPort];
            head.push_str(&format!("Host: {host}\r\n"));
        }
        if !has("Connection") {
            head.push_str("Connection: close\r\n");
        }
        if self.method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}

/// The key of the handshake in RFC 6455 §1.2.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An answer whose head has come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    socket: TcpStream,
    /// What was read and is not handed out yet.
    buffer: Vec<u8>,
    framing: Framing,
}

/// Where the body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After as many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
    /// With the connection.
    Connection,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own, and reads the head of the answer.
pub(crate) async fn send(base: &Url, request: &Request) -> Result<Answer, String> {
    let answer = async {
        let host = base.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = base.port_or_known_default().unwrap_or(80);
        let mut socket = TcpStream::connect((host, port)).await.map_err(text)?;
        let bytes = format!("{}{}", request.head(base), request.body);
        socket.write_all(bytes.as_bytes()).await.map_err(text)?;
        Answer::read(socket).await
    };
    let what = format!("an answer to {} {}", request.method, request.target);
    in_time(&what, answer).await
}

/// The whole answer to a request that need not wait for anything.
pub(crate) async fn ask(base: &Url, request: Request) -> Result<Whole, String> {
    let whole = async { send(base, &request).await?.whole().await };
    match timeout(AT_ONCE, whole).await {
        Ok(whole) => whole,
        Err(_) => Err(format!(
            "no answer to {} {} within {} s",
            request.method,
            request.target,
            AT_ONCE.as_secs()
        )),
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

impl Answer {
    async fn read(mut socket: TcpStream) -> Result<Self, String> {
        let mut buffer = Vec::new();
        let end = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end;
            }
            if buffer.len() > MAX_HEAD {
                return Err("the head of the answer does not end".to_owned());
            }
            if socket.read_buf(&mut buffer).await.map_err(text)? == 0 {
                return Err("the connection was closed without an answer".to_owned());
            }
        };
        let rest = buffer.split_off(end + 4);
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let code = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = code.and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {first:?}"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let named = |name: &str| {
            let found = headers.iter().find(|(other, _)| other == name);
            found.map(|(_, value)| value.as_str())
        };
        let framing = if matches!(status, 101 | 204 | 304) {
            Framing::Length(0)
        } else if named("transfer-encoding").is_some() {
            Framing::Chunked
        } else if let Some(length) = named("content-length") {
            let length = length.parse();
            Framing::Length(length.map_err(|_| "the Content-Length is no number")?)
        } else {
            Framing::Connection
        };
        Ok(Self {
            status,
            headers,
            socket,
            buffer: rest,
            framing,
        })
    }

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The connection, of which the head has been read, and what came after it.
    pub(crate) fn into_socket(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.buffer)
    }

    /// The next piece of the body; `None` at its end, which has to be a clean one.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.framing {
                Framing::Length(0) => return Ok(None),
                Framing::Length(left) if !self.buffer.is_empty() => {
                    let length = left.min(self.buffer.len());
                    self.framing = Framing::Length(left - length);
                    return Ok(Some(self.buffer.drain(..length).collect()));
                }
                Framing::Connection if !self.buffer.is_empty() => {
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
                Framing::Chunked => {
                    if let Some(piece) = self.chunk()? {
                        if piece.is_empty() {
                            self.framing = Framing::Length(0);
                            return Ok(None);
                        }
                        return Ok(Some(piece));
                    }
                }
                _ => {}
            }
            if self.buffer.len() > MAX_BODY {
                return Err("the body does not end".to_owned());
            }
            if self.socket.read_buf(&mut self.buffer).await.map_err(text)? == 0 {
                return match self.framing {
                    Framing::Connection => Ok(None),
                    _ => Err("the connection was closed within the body".to_owned()),
                };
            }
        }
    }

    /// The next chunk, if it has come as a whole; an empty one is the last.
    fn chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(end) = find(&self.buffer, b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&self.buffer[..end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| format!("no size of a chunk: {line:?}"))?;
        let (start, stop) = (end + 2, end + 2 + size);
        if size > MAX_BODY || self.buffer.len() < stop + 2 {
            return Ok(None);
        }
        let piece = self.buffer[start..stop].to_vec();
        self.buffer.drain(..stop + 2);
        Ok(Some(piece))
    }

    /// What to report where another answer was expected. It may be one without end.
    pub(crate) async fn instead_of(self, expected: &str) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        let head = format!("{} {kind}", self.status);
        match timeout(BODY_LIMIT, self.whole()).await {
            Ok(Ok(whole)) => format!("expected {expected}, found {whole}"),
            Ok(Err(_)) | Err(_) => format!("expected {expected}, found {head}"),
        }
    }

    pub(crate) async fn whole(mut self) -> Result<Whole, String> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            body.extend(piece);
            if body.len() > MAX_BODY {
                return Err("the body does not end".to_owned());
            }
        }
        Ok(Whole {
            status: self.status,
            headers: self.headers,
            body: String::from_utf8(body).map_err(|_| "the body is no UTF-8")?,
        })
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.as_str())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

impl Whole {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        let bare = value.split(';').next().unwrap_or_default();
        bare.trim().to_ascii_lowercase()
    }

    /// The body of an answer that has to have this status.
    pub(crate) fn json<T: DeserializeOwned>(&self, status: u16) -> Result<T, String> {
        if self.status != status || self.media_type() != "application/json" {
            return Err(format!(
                "expected {status} and application/json, found {self}"
            ));
        }
        serde_json::from_str(&self.body).map_err(|error| format!("{error} in {self}"))
    }

    /// The problem of an answer that has to be this one. `status` are those allowed.
    pub(crate) fn problem(
        &self,
        name: &str,
        status: &[u16],
    ) -> Result<Problem, String> {
        let wrong =
            |why: &str| format!("expected the problem {name}, found {self}{why}");
        if self.media_type() != PROBLEM_JSON {
            return Err(wrong(", which is no application/problem+json"));
        }
        let problem: Problem = serde_json::from_str(&self.body)
            .map_err(|error| wrong(&format!(": {error}")))?;
        if problem.type_uri != format!("{TYPE_PREFIX}{name}") {
            return Err(wrong(""));
        }
        if !status.contains(&self.status) || problem.status != self.status {
            return Err(wrong(&format!(", where the status should be {status:?}")));
        }
        let cached = self.header("cache-control").unwrap_or_default();
        if !cached.split(',').any(|part| part.trim() == "no-store") {
            return Err(wrong(", without Cache-Control: no-store"));
        }
        Ok(problem)
    }
}

impl std::fmt::Display for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(200).collect();
        let media_type = self.media_type();
        write!(f, "{} {media_type} {body}", self.status)
    }
}

/// A block of an event stream, as its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: Option<String>,
}

/// An event stream, block by block.
pub(crate) struct Blocks {
    answer: Answer,
    text: String,
    /// The first bytes of a character whose rest has not come.
    partial: Vec<u8>,
}

impl Blocks {
    /// Opens a stream, which has to be one.
    pub(crate) async fn open(base: &Url, request: Request) -> Result<Self, String> {
        let answer = send(base, &request).await?;
        let kind = answer.header("content-type").unwrap_or_default();
        if answer.status != 200 || !kind.starts_with("text/event-stream") {
            return Err(answer.instead_of("200 and text/event-stream").await);
        }
        Ok(Self {
            answer,
            text: String::new(),
            partial: Vec::new(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.answer.header(name)
    }

    /// The next block that has data or an id; `None` at the end of the response.
    pub(crate) async fn next(&mut self) -> Result<Option<Block>, String> {
        in_time("a block", async {
            loop {
                if let Some(end) = self.text.find("\n\n") {
                    let block: String = self.text.drain(..end + 2).collect();
                    let block = Block::read(&block);
                    if block.id.is_some() || block.data.is_some() {
                        return Ok(Some(block));
                    }
                    continue;
                }
                let Some(piece) = self.answer.piece().await? else {
                    return Ok(None);
                };
                self.partial.extend(piece);
                let whole = match std::str::from_utf8(&self.partial) {
                    Ok(text) => text.len(),
                    Err(error) if error.error_len().is_none() => error.valid_up_to(),
                    Err(_) => return Err("the stream is no UTF-8".to_owned()),
                };
                let text: Vec<u8> = self.partial.drain(..whole).collect();
                let text = String::from_utf8(text).expect("checked");
                // A server may end its lines as it likes.
                self.text.push_str(&text);
                self.text = self.text.replace("\r\n", "\n");
            }
        })
        .await
    }

    /// The next block, which may not be the end.
    pub(crate) async fn block(&mut self) -> Result<Block, String> {
        let next = self.next().await?;
        next.ok_or_else(|| "the stream ended".to_owned())
    }
}

impl Block {
    fn read(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            let field = match name {
                "id" => &mut block.id,
                "event" => &mut block.event,
                "retry" => &mut block.retry,
                "data" => &mut block.data,
                _ => continue,
            };
            match field {
                Some(lines) if name == "data" => {
                    lines.push('\n');
                    lines.push_str(value);
                }
                _ => *field = Some(value.to_owned()),
            }
        }
        block
    }
}
