//! What the raw client reads: of each protocol only as much as it takes to count every event once.
//!
//! It knows an event by its number. In each event's JSON `"n":` stands once, and nowhere else: the
//! texts have letters alone.

use crate::answers::{Answers, Head, LONGEST};
use anyhow::{bail, ensure, Context as _};
use memchr::memmem;

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// The frames of `lab floor`.
    Loop,
    /// A response that does not end, with events between empty lines.
    Sse,
    /// One event in each text frame.
    WebSocket,
    /// Socket.IO's protocol 5 over Engine.IO's 4, in text frames.
    SocketIo,
    /// One answer after another.
    LongPolling(Next),
}

/// How a long poll says where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The contract of this book: `next` of the page goes into `after`.
    Page,
    /// nchan: `Last-Modified` and `Etag` come back as conditions of the next request
    /// (<https://nchan.io/#long-polling>).
    Validators,
    /// Durable Streams: `Stream-Next-Offset` goes into `offset`, and `Stream-Cursor` into `cursor`
    /// (PROTOCOL.md of the crate).
    Offset,
}

/// What came with some bytes.
#[derive(Debug, Default)]
pub struct Received {
    /// The numbers of events.
    pub numbers: Vec<u32>,
    /// What the client answers.
    pub answer: Vec<u8>,
    /// How many long polls were answered.
    pub polls: u64,
}

/// One client's side of a connection.
#[derive(Debug)]
pub struct Reader {
    wire: Wire,
    host: String,
    path: &'static str,
    /// What has come and is not read.
    raw: Vec<u8>,
    answers: Answers,
    /// Whether the server has taken the client in.
    pub opened: bool,
}

impl Reader {
    /// A client of a server at `host`, and what it sends first, with these fields in its head.
    pub fn new(wire: Wire, host: &str, path: &'static str, fields: &str) -> (Self, Vec<u8>) {
        let reader = Self {
            wire,
            host: host.to_owned(),
            path,
            raw: Vec::new(),
            answers: Answers::default(),
            // A first long poll is answered by a first event.
            opened: matches!(wire, Wire::LongPolling(Next::Validators | Next::Offset)),
        };
        let first = match wire {
            Wire::Loop => vec![crate::floor::SUBSCRIBE],
            Wire::Sse => reader.get(path, &format!("Accept: text/event-stream\r\n{fields}")),
            Wire::WebSocket | Wire::SocketIo => {
                let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                               Sec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                reader.get(path, &format!("{upgrade}{fields}"))
            }
            Wire::LongPolling(_) => reader.get(path, fields),
        };
        (reader, first)
    }

    fn get(&self, path: &str, fields: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host).into_bytes()
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// Where it is not what the server should say.
    pub fn read(&mut self, bytes: &[u8], received: &mut Received) -> anyhow::Result<()> {
        self.raw.extend_from_slice(bytes);
        match self.wire {
            Wire::Loop => self.read_loop(received),
            Wire::Sse => self.read_stream(received)?,
            Wire::WebSocket | Wire::SocketIo => self.read_frames(received)?,
            Wire::LongPolling(next) => self.read_answers(next, received)?,
        }
        ensure!(self.raw.len() < LONGEST, "a piece that does not end");
        Ok(())
    }

    fn read_loop(&mut self, received: &mut Received) {
        let mut at = 0;
        if !self.opened && !self.raw.is_empty() {
            self.opened = true;
            at = 1;
        }
        while let Some(header) = self.raw[at..].first_chunk() {
            let (length, n) = crate::floor::read_header(*header);
            let whole = at + header.len() + length;
            if self.raw.len() < whole {
                break;
            }
            received.numbers.push(n);
            at = whole;
        }
        self.raw.drain(..at);
    }

    fn read_stream(&mut self, received: &mut Received) -> anyhow::Result<()> {
        let Self { raw, answers, .. } = self;
        let ended = answers.read(raw)?;
        ensure!(!ended, "the stream has ended");
        if let Some(head) = &answers.head {
            ensure!(head.status == 200, "the status is {}", head.status);
            self.opened = true;
        }
        let body = &mut answers.body;
        if let Some(end) = memmem::rfind(body, b"\n\n") {
            numbers(&body[..end], &mut received.numbers);
            body.drain(..end + 2);
        }
        ensure!(body.len() < LONGEST, "an event that does not end");
        Ok(())
    }

    fn read_frames(&mut self, received: &mut Received) -> anyhow::Result<()> {
        if self.answers.head.is_none() {
            let Some(head) = Head::read(&mut self.raw)? else {
                return Ok(());
            };
            ensure!(head.status == 101, "the status is {}", head.status);
            self.answers.head = Some(head);
            self.opened = self.wire == Wire::WebSocket;
        }
        let mut at = 0;
        while let Some((opcode, start, end)) = frame(&self.raw[at..])? {
            let payload = &self.raw[at + start..at + end];
            match (opcode, self.wire) {
                (TEXT | BINARY, Wire::SocketIo) => match payload {
                    // Engine.IO's `open`: then the client joins the main namespace.
                    [b'0', ..] => received.answer.extend(masked(TEXT, b"40")),
                    [b'2'] => received.answer.extend(masked(TEXT, b"3")),
                    [b'4', b'0', ..] => self.opened = true,
                    [b'4', b'2', ..] => numbers(payload, &mut received.numbers),
                    other => bail!("a packet {:?}", String::from_utf8_lossy(other)),
                },
                (TEXT | BINARY, _) => numbers(payload, &mut received.numbers),
                (PING, _) => received.answer.extend(masked(PONG, payload)),
                (PONG, _) => {}
                (CLOSE, _) => bail!("the server closes the socket"),
                (other, _) => bail!("a frame of opcode {other}"),
            }
            at += end;
        }
        self.raw.drain(..at);
        Ok(())
    }

    fn read_answers(&mut self, next: Next, received: &mut Received) -> anyhow::Result<()> {
        while let Some((head, body)) = self.answers.next(&mut self.raw)? {
            // 204 is an answer without an event, of Durable Streams.
            ensure!(
                matches!(head.status, 200 | 204),
                "the status is {}",
                head.status
            );
            numbers(&body, &mut received.numbers);
            received.polls += 1;
            let field = |name| head.field(name).with_context(|| format!("no {name}"));
            let path = self.path;
            let request = match next {
                Next::Page => {
                    const MEMBER: &[u8] = br#""next":""#;
                    let at = memmem::find(&body, MEMBER).context("a page without next")?;
                    let rest = &body[at + MEMBER.len()..];
                    let end = memchr::memchr(b'"', rest).context("a page without next")?;
                    let cursor = std::str::from_utf8(&rest[..end])?;
                    self.get(&format!("{path}?after={cursor}"), "Prefer: wait=25\r\n")
                }
                Next::Validators => {
                    let (since, tag) = (field("Last-Modified")?, field("Etag")?);
                    let fields = format!("If-Modified-Since: {since}\r\nIf-None-Match: {tag}\r\n");
                    self.get(path, &fields)
                }
                Next::Offset => {
                    let (path, _) = path.split_once('?').unwrap_or((path, ""));
                    let offset = field("Stream-Next-Offset")?;
                    let cursor = field("Stream-Cursor")?;
                    let query = format!("offset={offset}&live=long-poll&cursor={cursor}");
                    self.get(&format!("{path}?{query}"), "")
                }
            };
            received.answer.extend(request);
            self.opened = true;
        }
        Ok(())
    }
}

/// The numbers of the events in whole pieces of a body.
fn numbers(mut text: &[u8], found: &mut Vec<u32>) {
    const MEMBER: &[u8] = br#""n":"#;
    while let Some(at) = memmem::find(text, MEMBER) {
        text = &text[at + MEMBER.len()..];
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(0_u32, |sum, digit| {
            sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))
        });
        found.push(number);
    }
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The opcode of a whole frame from a server, and where its payload begins and ends (RFC 6455
/// §5.2).
fn frame(bytes: &[u8]) -> anyhow::Result<Option<(u8, usize, usize)>> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    ensure!(first & 0x80 != 0, "a message in several frames");
    ensure!(first & 0x70 == 0, "a frame of an extension");
    ensure!(second & 0x80 == 0, "a masked frame from a server");
    let (start, length) = match second {
        126 => match rest.first_chunk() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        length => (2, u64::from(length)),
    };
    let length = usize::try_from(length).ok().filter(|it| *it < LONGEST);
    let end = start + length.context("a frame that is too long")?;
    Ok((bytes.len() >= end).then_some((first & 0x0F, start, end)))
}

/// A short frame from a client, whose mask is zero and so changes nothing.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a control frame has at most 125 bytes");
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client has found and answered, with the bytes in pieces of each size.
    fn read(wire: Wire, bytes: &[u8], numbers: &[u32], answer: &str) {
        for size in [1, 2, 3, 7, 64, bytes.len()] {
            let (mut reader, _) = Reader::new(wire, "a.example", "/events", "");
            let mut received = Received::default();
            for piece in bytes.chunks(size) {
                reader.read(piece, &mut received).unwrap();
            }
            assert_eq!(received.numbers, numbers, "{wire:?} in pieces of {size}");
            assert_eq!(String::from_utf8_lossy(&received.answer), answer);
            assert!(reader.opened, "{wire:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_is_read_in_chunks_that_end_anywhere() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = "e\r\ndata: {\"n\":12,\r\n8\r\n\"t\":1}\n\n\r\n\
                    18\r\ndata: {\"n\":3}\n\n: {\"n\":4}\r\n";
        read(Wire::Sse, format!("{head}{body}").as_bytes(), &[12, 3], "");
        let plain = "HTTP/1.1 200 OK\r\n\r\n: hi\n\nid: 1\ndata: {\"n\":5}\n\n";
        read(Wire::Sse, plain.as_bytes(), &[5], "");
    }

    #[test]
    fn frames_are_read_and_pings_answered() {
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        bytes.extend(b"\x81\x07{\"n\":1}\x89\x02ab");
        let long = format!("{{\"n\":2,\"text\":\"{}\"}}", "x".repeat(200));
        bytes.extend([0x81, 126, 0, long.len() as u8]);
        bytes.extend(long.as_bytes());
        let pong = String::from_utf8_lossy(&masked(PONG, b"ab")).into_owned();
        read(Wire::WebSocket, &bytes, &[1, 2], &pong);
    }

    #[test]
    fn a_client_of_socket_io_joins_and_stays() {
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        for packet in [
            r#"0{"sid":"a"}"#,
            r#"40{"sid":"b"}"#,
            r#"42["event",{"n":7}]"#,
            "2",
        ] {
            bytes.extend([0x81, packet.len() as u8]);
            bytes.extend(packet.as_bytes());
        }
        let answers = [masked(TEXT, b"40"), masked(TEXT, b"3")].concat();
        let answers = String::from_utf8_lossy(&answers).into_owned();
        read(Wire::SocketIo, &bytes, &[7], &answers);
    }

    #[test]
    fn a_long_poll_asks_with_what_its_answer_said() {
        let page = r#"{"after":"a.1","events":[{"data":{"n":1}},{"data":{"n":2}}],"next":"a.3"}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        );
        let next = "GET /events?after=a.3 HTTP/1.1\r\nHost: a.example\r\nPrefer: wait=25\r\n\r\n";
        read(
            Wire::LongPolling(Next::Page),
            answer.as_bytes(),
            &[1, 2],
            next,
        );
        let answer = "HTTP/1.1 200 OK\r\nlast-modified: now\r\nEtag: 4\r\n\
                      Transfer-Encoding: chunked\r\n\r\n7\r\n{\"n\":9}\r\n0\r\n\r\n";
        let next = "GET /events HTTP/1.1\r\nHost: a.example\r\n\
                    If-Modified-Since: now\r\nIf-None-Match: 4\r\n\r\n";
        read(
            Wire::LongPolling(Next::Validators),
            answer.as_bytes(),
            &[9],
            next,
        );
        let answer =
            "HTTP/1.1 204 No Content\r\nStream-Next-Offset: 34\r\nStream-Cursor: 5\r\n\r\n";
        let next = "GET /events?offset=34&live=long-poll&cursor=5 HTTP/1.1\r\n\
                    Host: a.example\r\n\r\n";
        read(
            Wire::LongPolling(Next::Offset),
            answer.as_bytes(),
            &[],
            next,
        );
    }

    #[test]
    fn the_loop_has_a_byte_and_then_frames() {
        let mut bytes = vec![crate::floor::SUBSCRIBE];
        for n in [0, 1] {
            bytes.extend(crate::floor::header(3, n));
            bytes.extend(b"abc");
        }
        read(Wire::Loop, &bytes, &[0, 1], "");
    }

    #[test]
    fn a_refusal_is_an_error() {
        let (mut reader, _) = Reader::new(Wire::Sse, "a.example", "/events", "");
        let refused = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        assert!(reader.read(refused, &mut Received::default()).is_err());
    }
}
