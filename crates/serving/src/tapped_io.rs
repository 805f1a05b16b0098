//! Where the bytes of a watched connection are seen: below HTTP and above TLS.

use crate::{
    deadline_io::Wire,
    tap::{key_in, Joined, Side, Tap, Way, WIRE},
};
use contract::metrics::ConnectionEnd;
use http::Version;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection, perhaps a watched one.
pub(crate) struct TappedIo<I> {
    io: I,
    /// `None` where the server keeps no record: a pointer is all that this costs then.
    watch: Option<Box<Watch>>,
}

/// The longest request line that a key is looked for in. hyper takes no head that is
/// longer than 16 KiB.
const LONGEST_LINE: usize = 16 * 1024;

/// The longest method: `CONNECT` and `OPTIONS`, and those of WebDAV.
const LONGEST_METHOD: usize = 16;

/// What an answer begins with after which a connection carries no more requests.
const UPGRADED: &[u8] = b"HTTP/1.1 101 ";

struct Watch {
    tap: Tap,
    wire: Wire,
    /// Some since the first request with a key.
    joined: Option<Joined>,
    /// Whether what moves now belongs to a request with that key.
    is_on: bool,
    is_upgraded: bool,
    /// The beginning of a request line that has not come whole.
    line: Vec<u8>,
}

/// What the first bytes of a read are.
#[derive(Debug, PartialEq, Eq)]
enum Start<'a> {
    /// A request, with this key if it is to be watched.
    Request(Option<&'a str>),
    /// A request or not: the end of the line has to come first.
    Unknown,
    /// Not the start of a request.
    Other,
}

impl<'a> Start<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        // A server skips empty lines before a request (RFC 9112 §2.2).
        let empty = bytes.iter().take_while(|it| matches!(it, b'\r' | b'\n'));
        let bytes = &bytes[empty.count()..];
        let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
        let method = bytes.iter().take_while(|byte| is_method(byte)).count();
        match bytes.get(method) {
            _ if method > LONGEST_METHOD => return Self::Other,
            None => return Self::Unknown,
            Some(b' ') if method > 0 => {}
            Some(_) => return Self::Other,
        }
        let rest = &bytes[method + 1..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Self::Unknown;
        };
        let line = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let Some((target, _)) = line.trim_end().rsplit_once(" HTTP/1.") else {
            return Self::Other;
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_wire = path.rsplit('/').next() == Some(WIRE);
        Self::Request(key_in(query).filter(|_| !is_wire))
    }
}

impl Watch {
    fn read(&mut self, bytes: &[u8]) {
        if self.is_upgraded {
            self.keep(Way::Up, &[bytes]);
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        let bytes = match line.is_empty() {
            // Nearly always, and then nothing is copied.
            true => bytes,
            false => {
                line.extend_from_slice(bytes);
                &line
            }
        };
        match Start::of(bytes) {
            Start::Request(key) => self.begin(key),
            Start::Unknown if bytes.len() < LONGEST_LINE => {
                self.line = bytes.to_vec();
                return;
            }
            Start::Unknown | Start::Other => {}
        }
        self.keep(Way::Up, &[bytes]);
    }

    /// `parts` are what was to be written, of which `count` bytes were.
    fn wrote<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>, count: usize) {
        if !self.line.is_empty() {
            // Whatever it was, it has an answer, and began no request.
            let line = std::mem::take(&mut self.line);
            self.keep(Way::Up, &[&line]);
        }
        let mut left = count;
        let mut written = parts
            .map(|part| {
                let part = &part[..part.len().min(left)];
                left -= part.len();
                part
            })
            .filter(|part| !part.is_empty())
            .peekable();
        self.is_upgraded |= written.peek().is_some_and(|it| it.starts_with(UPGRADED));
        if self.is_on && count > 0 {
            let written: Vec<&[u8]> = written.collect();
            self.keep(Way::Down, &written);
        }
    }

    /// A request begins, with a key or without one.
    fn begin(&mut self, key: Option<&str>) {
        self.is_on = key.is_some();
        let Some(key) = key else {
            // The next may have it again, and is on the same connection then.
            return;
        };
        if self.joined.as_ref().is_some_and(|it| it.key() == key) {
            return;
        }
        if let Some(joined) = self.joined.take() {
            self.tap.close(&joined, None);
        }
        self.joined = Some(self.tap.join(key));
    }

    fn keep(&mut self, way: Way, parts: &[&[u8]]) {
        let Some(joined) = self.joined.as_ref().filter(|_| self.is_on) else {
            return;
        };
        if !self.tap.keep(joined, way, parts) {
            // Nobody reads it any more. The next request may begin anew.
            (self.joined, self.is_on) = (None, false);
        }
    }

    fn close(&mut self, by: Side) {
        if let Some(joined) = &self.joined {
            self.tap.close(joined, Some(by));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.close(match self.wire.end() {
            ConnectionEnd::Gone => Side::Client,
            _ => Side::Server,
        });
    }
}

impl<I> TappedIo<I> {
    pub(crate) fn new(io: I, tap: Option<&Tap>, wire: &Wire, version: Version) -> Self {
        let tap = tap.filter(|_| version < Version::HTTP_2);
        let watch = tap.map(|tap| {
            tap.drop_unread();
            Box::new(Watch {
                tap: tap.clone(),
                wire: wire.clone(),
                joined: None,
                is_on: false,
                is_upgraded: false,
                line: Vec::new(),
            })
        });
        Self { io, watch }
    }

    fn read(&mut self, polled: &Poll<io::Result<()>>, bytes: &[u8]) {
        match (&mut self.watch, polled) {
            (Some(watch), Poll::Ready(Ok(()))) if bytes.is_empty() => {
                watch.close(Side::Client);
            }
            (Some(watch), Poll::Ready(Ok(()))) => watch.read(bytes),
            (Some(watch), Poll::Ready(Err(error))) => watch.close(whose(error)),
            (None, _) | (_, Poll::Pending) => {}
        }
    }

    fn wrote<'a>(
        &mut self,
        polled: &Poll<io::Result<usize>>,
        parts: impl Iterator<Item = &'a [u8]>,
    ) {
        match (&mut self.watch, polled) {
            (Some(watch), Poll::Ready(Ok(count))) => watch.wrote(parts, *count),
            (Some(watch), Poll::Ready(Err(error))) => watch.close(whose(error)),
            (None, _) | (_, Poll::Pending) => {}
        }
    }
}

/// Who has ended a connection that fails so.
fn whose(error: &io::Error) -> Side {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset => Side::Client,
        _ => Side::Server,
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for TappedIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        this.read(&polled, &buffer.filled()[before..]);
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for TappedIo<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.wrote(&polled, std::iter::once(bytes));
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.wrote(&polled, parts.iter().map(|part| &**part));
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(watch) = &mut this.watch {
            watch.close(Side::Server);
        }
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_kept_a_connection_is_larger_by_a_pointer() {
        type Io = Box<u8>;
        let size = size_of::<TappedIo<Io>>();
        assert_eq!(size, size_of::<Io>() + size_of::<usize>());
    }

    #[test]
    fn a_request_is_told_by_its_first_line() {
        let key = "0123456789abcdef";
        let asks = |bytes| Start::of(bytes);
        for (start, expected) in [
            (
                "GET /live/sse/events?tap=0123456789abcdef HTTP/1.1\r\n",
                Some(key),
            ),
            (
                "POST http://a/?tap=0123456789abcdef HTTP/1.0\nHost",
                Some(key),
            ),
            (
                "\r\nM-SEARCH /?a&tap=0123456789abcdef HTTP/1.1\r\n",
                Some(key),
            ),
            ("GET /live/wire?tap=0123456789abcdef HTTP/1.1\r\n", None),
            ("GET /wire?after=3&tap=0123456789abcdef HTTP/1.1\r\n", None),
            ("GET / HTTP/1.1\r\nx: /?tap=0123456789abcdef", None),
        ] {
            assert_eq!(asks(start.as_bytes()), Start::Request(expected), "{start}");
        }
        for start in ["", "\r\n", "G", "GET", "GET ", "GET /events?tap=0123"] {
            assert_eq!(asks(start.as_bytes()), Start::Unknown, "{start}");
        }
        for start in [
            "{\"kind\"",
            "get / HTTP/1.1\r\n",
            " GET / HTTP/1.1\r\n",
            "GET / FTP/1.1\r\n",
            "GET /\r\n",
            "ABCDEFGHIJKLMNOPQ",
            "\u{81}\u{8c}xxxx",
        ] {
            assert_eq!(asks(start.as_bytes()), Start::Other, "{start}");
        }
    }
}
