//! HTTP/1.1 as a publisher and the raw client have it: requests that are written, and answers of
//! which no more is read than where they end.

use anyhow::{ensure, Context as _};
use memchr::memmem;

/// An answer whose head or frame is longer than this is not read on.
pub const LONGEST: usize = 1 << 20;

/// A request with JSON.
pub fn request(method: &str, path: &str, host: &str, json: &str) -> String {
    let length = json.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{json}"
    )
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    text: String,
}

impl Head {
    /// Takes a whole one off what has come.
    ///
    /// # Errors
    /// Where it is none of HTTP/1.1.
    pub fn read(raw: &mut Vec<u8>) -> anyhow::Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = memmem::find(raw, END) else {
            return Ok(None);
        };
        let text = String::from_utf8(raw.drain(..end + END.len()).collect())?;
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
        let status = status.context("no answer of HTTP/1.1")?.parse()?;
        Ok(Some(Self { status, text }))
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Reads the bodies of answers, one after another (RFC 9112 §6 and §7.1).
#[derive(Debug, Default)]
pub struct Answers {
    /// That of the answer which is being read.
    pub head: Option<Head>,
    rest: Rest,
    /// What has come of its body.
    pub body: Vec<u8>,
}

/// What an answer has still to bring.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Length(usize),
    /// Bytes of a chunk, its line end in them. None: next comes the length of one.
    Chunk(usize),
    /// The same of the last one.
    Last,
    Everything,
}

impl Default for Rest {
    fn default() -> Self {
        Self::Length(0)
    }
}

impl Answers {
    /// The next whole answer.
    ///
    /// # Errors
    /// Where it is none of HTTP/1.1.
    pub fn next(&mut self, raw: &mut Vec<u8>) -> anyhow::Result<Option<(Head, Vec<u8>)>> {
        if !self.read(raw)? {
            return Ok(None);
        }
        let head = self.head.take().context("an answer has a head")?;
        Ok(Some((head, std::mem::take(&mut self.body))))
    }

    /// Moves what has come of one answer into `body`; whether that is its end.
    ///
    /// # Errors
    /// Where it is none of HTTP/1.1.
    pub fn read(&mut self, raw: &mut Vec<u8>) -> anyhow::Result<bool> {
        if self.head.is_none() {
            let Some(head) = Head::read(raw)? else {
                return Ok(false);
            };
            let chunked = head.field("Transfer-Encoding") == Some("chunked");
            self.rest = match head.field("Content-Length") {
                _ if chunked => Rest::Chunk(0),
                Some(length) => Rest::Length(length.parse()?),
                None if head.status == 204 => Rest::Length(0),
                None => Rest::Everything,
            };
            self.head = Some(head);
        }
        let mut at = 0;
        let ended = loop {
            let left = &raw[at..];
            match self.rest {
                Rest::Length(length) => {
                    let length = length.min(left.len());
                    self.body.extend_from_slice(&left[..length]);
                    at += length;
                    let Rest::Length(rest) = &mut self.rest else {
                        unreachable!("it is a length")
                    };
                    *rest -= length;
                    break *rest == 0;
                }
                Rest::Everything => {
                    self.body.extend_from_slice(left);
                    at = raw.len();
                    break false;
                }
                Rest::Chunk(0) => {
                    let Some(end) = memmem::find(left, b"\r\n") else {
                        break false;
                    };
                    let digits = std::str::from_utf8(&left[..end])?;
                    let length = usize::from_str_radix(digits, 16).context("a chunk's length")?;
                    ensure!(length < LONGEST, "a chunk that is too long");
                    at += end + 2;
                    self.rest = match length {
                        0 => Rest::Last,
                        _ => Rest::Chunk(length + 2),
                    };
                }
                Rest::Chunk(rest) => {
                    let length = rest.min(left.len());
                    // The last two bytes are its line end.
                    let data = length.min(rest.saturating_sub(2));
                    self.body.extend_from_slice(&left[..data]);
                    at += length;
                    self.rest = Rest::Chunk(rest - length);
                    if length < rest {
                        break false;
                    }
                }
                Rest::Last => {
                    if left.len() < 2 {
                        break false;
                    }
                    ensure!(left.starts_with(b"\r\n"), "a trailer");
                    at += 2;
                    break true;
                }
            }
        };
        raw.drain(..at);
        Ok(ended)
    }
}
