//! A WebSocket message in one frame, read by tungstenite, as the book's servers and clients do.

use crate::{count, wrong, Marked, Wrong};
use serde::Deserialize;
use std::io::{self, Cursor, Read, Write};
use tungstenite::{
    protocol::{frame::FrameHeader, Role},
    Error, Message, WebSocket,
};

/// The frame that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// By whose rules it is judged.
    sender: Sender,
    opcode: u8,
    /// The payload of a text, or the reason of a close.
    text: Option<String>,
    /// The status code of a close.
    code: Option<u16>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sender {
    Client,
    Server,
}

pub(crate) fn mark(given: &str, wanted: &Wanted) -> Marked {
    let bytes = read_hex(given)?;
    let mut cursor = Cursor::new(&bytes);
    let (header, length) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(head)) => head,
        Ok(None) => return wrong("The head of the frame is not whole yet."),
        Err(error) => return refused(&error),
    };
    let head = cursor.position();
    let here = bytes.len() as u64 - head;
    if here < length {
        let (length, here) = (count(length, "byte"), count(here, "byte"));
        return wrong(format!(
            "The head announces a payload of {length}, and {here} of it came."
        ));
    }
    if here > length {
        let more = count(here - length, "byte");
        return wrong(format!("The frame ends {more} before your last byte."));
    }
    if head > header.len(length) as u64 {
        return wrong("The length has to be written in as few bytes as it fits into.");
    }
    if !header.is_final {
        return wrong("Without FIN this is not the last frame of its message.");
    }
    let message = match receive(bytes, wanted.sender) {
        Ok(message) => message,
        Err(error) => return refused(&error),
    };
    let opcode = u8::from(header.opcode);
    if opcode != wanted.opcode {
        return wrong(format!("This is a frame with the opcode {opcode:x}."));
    }
    let (code, text) = match message {
        Message::Close(None) => (None, String::new()),
        Message::Close(Some(close)) => (Some(close.code.into()), close.reason.to_string()),
        other => (None, String::from_utf8_lossy(&other.into_data()).into()),
    };
    if wanted.code.is_some() && code != wanted.code {
        return wrong(match code {
            Some(code) => format!("The status code is {code} here."),
            None => "The status code is missing.".to_owned(),
        });
    }
    match &wanted.text {
        Some(wanted) if *wanted != text => wrong(format!("The payload reads {text:?} here.")),
        _ => Ok(()),
    }
}

/// Bytes as a reader writes them: two hexadecimal digits each, with or without spaces and commas
/// between them, or `0x` before them.
fn read_hex(text: &str) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::new();
    let between = |next: char| next.is_whitespace() || next == ',';
    for word in text.split(between).filter(|word| !word.is_empty()) {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        if let Some(other) = digits.chars().find(|next| !next.is_ascii_hexdigit()) {
            return wrong(format!("`{other}` is no hexadecimal digit."));
        }
        if digits.is_empty() || digits.len() % 2 == 1 {
            return wrong(format!(
                "A byte has two digits. `{word}` has another number."
            ));
        }
        let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
        bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).expect("two digits")));
    }
    Ok(bytes)
}

/// Receives a message as the sender's peer does.
fn receive(bytes: Vec<u8>, sender: Sender) -> Result<Message, Error> {
    let role = match sender {
        Sender::Client => Role::Server,
        Sender::Server => Role::Client,
    };
    WebSocket::from_raw_socket(Peer(Cursor::new(bytes)), role, None).read()
}

fn refused(error: &Error) -> Marked {
    let error = match error {
        Error::Protocol(error) => error.to_string(),
        error => error.to_string(),
    };
    wrong(format!("Its receiver refuses the frame: {error}."))
}

/// Says these bytes, and does not listen.
#[derive(Debug)]
struct Peer(Cursor<Vec<u8>>);

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
