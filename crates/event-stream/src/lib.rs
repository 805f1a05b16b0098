//! The event stream format, read (WHATWG HTML §9.2.6).

use thiserror::Error;

/// The largest block taken, in bytes: 1 MiB, sixteen times the largest event of the
/// log. A server that never ends a line must not fill its client's memory.
const MAX_BLOCK: usize = 1024 * 1024;

/// What one block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A block with data: a browser would dispatch this event.
    Event(Message),
    /// A block that set an id and has no data. A browser keeps the id and dispatches
    /// nothing; here it is reported, since this id is the cursor that comes before
    /// the wait.
    Id(String),
}

/// An event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The field `event`, or `message` without one.
    pub kind: String,
    /// The lines of the fields `data`, joined by LF.
    pub data: String,
    /// The newest id that the stream has set so far, in this block or before.
    pub last_event_id: String,
}

/// A block is larger than 1 MiB. The stream cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a block of the event stream is larger than {MAX_BLOCK} bytes")]
pub struct TooLarge;

/// Reads one stream, in pieces of any size.
#[derive(Debug, Default)]
pub struct Parser {
    /// The line under way, in bytes: a piece may end inside a character.
    line: Vec<u8>,
    /// The last piece ended with CR. An LF that comes next belongs to the same line
    /// end.
    after_cr: bool,
    /// Whether the first line has been read; a byte-order mark may stand before it.
    begun: bool,
    /// The event type buffer.
    kind: String,
    /// The data buffer: each line followed by LF.
    data: String,
    /// The last event ID buffer; it stays from block to block.
    id: String,
    /// Whether this block has set the id.
    id_set: bool,
    /// The last event ID string: the buffer as it was when the last block ended.
    last_event_id: String,
    retry_ms: Option<u64>,
}

impl Parser {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of the last complete block that had one in force: what a reconnect sends
    /// as `Last-Event-ID`.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The reconnection time that the stream has set, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Reads the next piece; the blocks that it completes are added to `blocks`.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn push(
        &mut self,
        piece: &[u8],
        blocks: &mut Vec<Block>,
    ) -> Result<(), TooLarge> {
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'))
        {
            self.line.extend_from_slice(&rest[..end]);
            self.end_line(blocks);
            rest = match &rest[end..] {
                [b'\r', b'\n', rest @ ..] => rest,
                // The LF of a CRLF may be the first byte of the next piece.
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
            self.bounded()?;
        }
        self.line.extend_from_slice(rest);
        self.bounded()
    }

    fn bounded(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() > MAX_BLOCK {
            Err(TooLarge)
        } else {
            Ok(())
        }
    }

    fn end_line(&mut self, blocks: &mut Vec<Block>) {
        let bytes = std::mem::take(&mut self.line);
        // A line end is one byte in UTF-8 and no part of any other character, so
        // decoding line by line gives what decoding the whole stream would.
        let text = String::from_utf8_lossy(&bytes);
        let mut line = &*text;
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        match line.split_once(':') {
            _ if line.is_empty() => blocks.extend(self.end_block()),
            Some(("", _comment)) => {}
            Some((field, value)) => {
                self.field(field, value.strip_prefix(' ').unwrap_or(value))
            }
            None => self.field(line, ""),
        }
        // Gives the line's memory back to the next one.
        drop(text);
        self.line = bytes;
        self.line.clear();
    }

    fn field(&mut self, name: &str, value: &str) {
        match name {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // A NUL could not travel back in a header.
            "id" if !value.contains('\0') => {
                value.clone_into(&mut self.id);
                self.id_set = true;
            }
            "retry"
                if !value.is_empty()
                    && value.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                // So many digits that they fit no integer mean: later than anybody
                // waits.
                self.retry_ms = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    fn end_block(&mut self) -> Option<Block> {
        self.last_event_id.clone_from(&self.id);
        let kind = std::mem::take(&mut self.kind);
        let mut data = std::mem::take(&mut self.data);
        let id_set = std::mem::take(&mut self.id_set);
        if data.pop().is_none() {
            return id_set.then(|| Block::Id(self.id.clone()));
        }
        let kind = if kind.is_empty() {
            "message".to_owned()
        } else {
            kind
        };
        Some(Block::Event(Message {
            kind,
            data,
            last_event_id: self.id.clone(),
        }))
    }
}
