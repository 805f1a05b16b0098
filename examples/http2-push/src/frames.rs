//! HTTP/2 frames, read from the bytes of a connection as they pass.
//!
//! A frame is nine bytes of header and a payload ([RFC 9113
//! §4.1](https://www.rfc-editor.org/rfc/rfc9113#section-4.1)). The reader here is for
//! looking on: it answers nothing and refuses nothing, which is the part of the `h2`
//! crate.

use loona_hpack::Decoder;
use std::fmt;

/// What a client's half of an HTTP/2 connection begins with
/// ([RFC 9113 §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length in bytes of a frame's header.
const HEADER: usize = 9;

/// The largest payload in bytes that is kept to be read, the size that a peer may send
/// without having been allowed more ([RFC 9113
/// §4.2](https://www.rfc-editor.org/rfc/rfc9113#section-4.2)). The servers and clients
/// here allow no more.
const MAX_PAYLOAD: usize = 16 * 1024;

/// The most that is kept of one header block, by [`Field::size`]. A few bytes on the
/// wire can name large entries of the table that both sides keep, as often as they
/// like; without a bound the recording would grow by a thousand times.
const MAX_FIELDS: usize = 16 * 1024;

/// The largest table of names and values that a sender may ask for. It is the size that
/// each has from the start, and nobody here allows another ([RFC 7541
/// §4.2](https://www.rfc-editor.org/rfc/rfc7541#section-4.2)).
const MAX_TABLE: usize = 4096;

/// END_HEADERS, on HEADERS, PUSH_PROMISE and CONTINUATION.
const END_HEADERS: u8 = 0x4;
/// PADDED, on DATA, HEADERS and PUSH_PROMISE.
const PADDED: u8 = 0x8;
/// PRIORITY, on HEADERS.
const PRIORITY: u8 = 0x20;
/// ACK, on SETTINGS and PING; the same bit is END_STREAM on DATA and HEADERS.
const ACK: u8 = 0x1;

/// The setting that says whether a client takes pushes
/// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
pub const ENABLE_PUSH: u16 = 0x2;

/// One frame that went over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The stream it belongs to; 0 for the connection as a whole.
    pub stream: u32,
    /// The length of its payload in bytes.
    pub length: usize,
    /// Its flags, as they were sent.
    pub flags: u8,
    /// What it says.
    pub kind: Kind,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A piece of a body.
    Data,
    /// The head of a request or response. The fields are those of the whole block, on
    /// the frame that ends it.
    Headers(Vec<Field>),
    /// A stream's place among the others; deprecated.
    Priority,
    /// One stream ends at once, for the reason of this number.
    Reset(u32),
    /// How the sender wants to be talked to: pairs of a setting's number and its value.
    Settings(Vec<(u16, u32)>),
    /// A promise: the server will answer this request, which the client has not made,
    /// on the stream of this number.
    Promise {
        /// The promised stream.
        promised: u32,
        /// The request that the server makes up.
        fields: Vec<Field>,
    },
    /// A question for a sign of life, or its answer.
    Ping,
    /// The sender takes no streams after this one.
    GoAway {
        /// The newest stream that was or will be handled.
        last: u32,
        /// Why, as a number.
        code: u32,
    },
    /// The receiver has room for so many more bytes.
    WindowUpdate(u32),
    /// More of a header block. The fields are those of the whole block, on the frame
    /// that ends it.
    Continuation(Vec<Field>),
    /// A frame of an extension, by the number of its type.
    Other(u8),
}

/// A header field: its name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// In lower case; those with a colon stand for what the first line is in HTTP/1.1.
    pub name: String,
    /// As text, whatever it was.
    pub value: String,
}

impl Field {
    /// What it counts for: its bytes, and 32 for whatever holds it, as in [RFC 7541
    /// §4.1](https://www.rfc-editor.org/rfc/rfc7541#section-4.1). Without them a field
    /// of no bytes would cost nothing.
    fn size(&self) -> usize {
        self.name.len() + self.value.len() + 32
    }
}

impl Frame {
    /// About how many bytes of memory it takes.
    pub(crate) fn size(&self) -> usize {
        let own = match &self.kind {
            Kind::Settings(settings) => size_of_val(settings.as_slice()),
            _ => self.fields().iter().map(Field::size).sum(),
        };
        size_of::<Self>() + own
    }

    /// The value that this frame gives to a setting, if it is a SETTINGS frame that has
    /// it.
    pub fn setting(&self, number: u16) -> Option<u32> {
        let Kind::Settings(settings) = &self.kind else {
            return None;
        };
        // The last one counts, if it is there twice (RFC 9113 §6.5.3).
        let mut found = settings.iter().rev();
        found
            .find(|(name, _)| *name == number)
            .map(|(_, value)| *value)
    }

    /// Whether it only acknowledges the other side's.
    pub fn is_ack(&self) -> bool {
        matches!(self.kind, Kind::Settings(_) | Kind::Ping) && self.flags & ACK != 0
    }

    /// The fields of the header block that ends with this frame.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Headers(fields)
            | Kind::Promise { fields, .. }
            | Kind::Continuation(fields) => fields,
            _ => &[],
        }
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields().iter();
        fields
            .find(|field| field.name == name)
            .map(|field| field.value.as_str())
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Data => "DATA",
            Kind::Headers(_) => "HEADERS",
            Kind::Priority => "PRIORITY",
            Kind::Reset(_) => "RST_STREAM",
            Kind::Settings(_) => "SETTINGS",
            Kind::Promise { .. } => "PUSH_PROMISE",
            Kind::Ping => "PING",
            Kind::GoAway { .. } => "GOAWAY",
            Kind::WindowUpdate(_) => "WINDOW_UPDATE",
            Kind::Continuation(_) => "CONTINUATION",
            Kind::Other(_) => "unknown",
        }
    }

    fn flag_names(&self) -> Vec<&'static str> {
        let known: &[(u8, &str)] = match self.kind {
            Kind::Data => &[(0x1, "END_STREAM"), (PADDED, "PADDED")],
            Kind::Headers(_) => &[
                (0x1, "END_STREAM"),
                (END_HEADERS, "END_HEADERS"),
                (PADDED, "PADDED"),
                (PRIORITY, "PRIORITY"),
            ],
            Kind::Promise { .. } => &[(END_HEADERS, "END_HEADERS"), (PADDED, "PADDED")],
            Kind::Continuation(_) => &[(END_HEADERS, "END_HEADERS")],
            Kind::Settings(_) | Kind::Ping => &[(ACK, "ACK")],
            _ => &[],
        };
        let set = known.iter().filter(|(bit, _)| self.flags & bit != 0);
        set.map(|(_, name)| *name).collect()
    }
}

/// One line for the frame, and one for each of its settings and fields.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, length, .. } = self;
        write!(f, "{} stream={stream} length={length}", self.name())?;
        let flags = self.flag_names();
        if !flags.is_empty() {
            write!(f, " [{}]", flags.join(" "))?;
        }
        match &self.kind {
            Kind::Promise { promised, .. } => write!(f, " promises stream {promised}")?,
            Kind::Reset(code) => write!(f, " {}", error_name(*code))?,
            Kind::GoAway { last, code } => {
                write!(f, " last={last} {}", error_name(*code))?
            }
            Kind::WindowUpdate(more) => write!(f, " +{more}")?,
            Kind::Other(number) => write!(f, " type={number:#x}")?,
            Kind::Settings(settings) => {
                for (number, value) in settings {
                    write!(f, "\n    {} = {value}", setting_name(*number))?;
                }
            }
            _ => {}
        }
        for Field { name, value } in self.fields() {
            write!(f, "\n    {name}: {value}")?;
        }
        Ok(())
    }
}

/// A setting's name, [RFC 9113
/// §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2), with those that RFC
/// 8441 §3 and RFC 9218 §2.1 have added.
fn setting_name(number: u16) -> String {
    let name = match number {
        0x1 => "HEADER_TABLE_SIZE",
        ENABLE_PUSH => "ENABLE_PUSH",
        0x3 => "MAX_CONCURRENT_STREAMS",
        0x4 => "INITIAL_WINDOW_SIZE",
        0x5 => "MAX_FRAME_SIZE",
        0x6 => "MAX_HEADER_LIST_SIZE",
        0x8 => "ENABLE_CONNECT_PROTOCOL",
        0x9 => "NO_RFC7540_PRIORITIES",
        _ => return format!("setting {number:#x}"),
    };
    name.to_owned()
}

/// An error's name, [RFC 9113 §7](https://www.rfc-editor.org/rfc/rfc9113#section-7).
fn error_name(code: u32) -> String {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let name = usize::try_from(code).ok().and_then(|code| names.get(code));
    name.map_or_else(|| format!("error {code:#x}"), |name| (*name).to_owned())
}

/// Reads the frames of one direction of one connection, from its first byte on.
pub struct FrameReader {
    /// How much of the client's preface is still to come; none on the server's half.
    preface: &'static [u8],
    /// Set where the bytes are no HTTP/2 or more than is kept. Nothing is read after
    /// that.
    lost: bool,
    /// The beginning of a frame: its header, and its payload if that is worth keeping.
    partial: Vec<u8>,
    /// How much of a payload is still to be passed over.
    skip: usize,
    /// A header block whose end has not come.
    block: Vec<u8>,
    /// The table of names and values that the sender's encoder keeps in step with.
    decoder: Decoder<'static>,
}

impl FrameReader {
    /// For what the client sends.
    pub fn of_client() -> Self {
        Self::new(PREFACE)
    }

    /// For what the server sends.
    pub fn of_server() -> Self {
        Self::new(&[])
    }

    fn new(preface: &'static [u8]) -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(MAX_TABLE);
        Self {
            preface,
            lost: false,
            partial: Vec::new(),
            skip: 0,
            block: Vec::new(),
            decoder,
        }
    }

    /// Takes the next bytes, and gives each frame that they complete to `each`.
    pub fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        while !bytes.is_empty() && !self.lost {
            bytes = self.step(bytes, &mut each);
        }
    }

    /// Takes some of the bytes; returns the rest.
    fn step<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Frame)) -> &'a [u8] {
        if !self.preface.is_empty() {
            let (expected, rest) =
                self.preface.split_at(self.preface.len().min(bytes.len()));
            let (found, after) = bytes.split_at(expected.len());
            self.lost = found != expected;
            self.preface = rest;
            return after;
        }
        if self.skip > 0 {
            let (_, rest) = bytes.split_at(self.skip.min(bytes.len()));
            self.skip -= bytes.len() - rest.len();
            return rest;
        }
        let wanted = self.header().map_or(HEADER, |(length, _)| HEADER + length);
        if wanted > HEADER + MAX_PAYLOAD {
            self.lost = true;
            return &[];
        }
        let (taken, rest) =
            bytes.split_at((wanted - self.partial.len()).min(bytes.len()));
        self.partial.extend_from_slice(taken);
        if let Some((length, kind)) = self.header() {
            // A piece of a body is not kept: its header says all that is recorded of
            // it.
            if kind == 0 || self.partial.len() == HEADER + length {
                let whole = std::mem::take(&mut self.partial);
                self.skip = HEADER + length - whole.len();
                match self.frame(&whole, length) {
                    Some(frame) => each(frame),
                    None => self.lost = true,
                }
            }
        }
        rest
    }

    /// The length and the type of the frame that has begun, once its header is there.
    fn header(&self) -> Option<(usize, u8)> {
        match self.partial.as_slice() {
            [a, b, c, kind, ..] if self.partial.len() >= HEADER => {
                Some((u32::from_be_bytes([0, *a, *b, *c]) as usize, *kind))
            }
            _ => None,
        }
    }

    /// The frame of these bytes; `None` where they are none that the standard allows.
    fn frame(&mut self, whole: &[u8], length: usize) -> Option<Frame> {
        let (header, payload) = whole.split_at_checked(HEADER)?;
        let (number, flags) = (header[3], header[4]);
        let kind = match number {
            0x0 => Kind::Data,
            0x1 => {
                let block = unpadded(payload, flags)?;
                // Dependency and weight.
                let skip = if flags & PRIORITY != 0 { 5 } else { 0 };
                Kind::Headers(self.fields(block.get(skip..)?, flags)?)
            }
            0x2 => Kind::Priority,
            0x3 => Kind::Reset(number_at(payload, 0)?),
            0x4 => Kind::Settings(settings(payload)?),
            0x5 => {
                let payload = unpadded(payload, flags)?;
                Kind::Promise {
                    promised: number_at(payload, 0)? & 0x7fff_ffff,
                    fields: self.fields(payload.get(4..)?, flags)?,
                }
            }
            0x6 => Kind::Ping,
            0x7 => Kind::GoAway {
                last: number_at(payload, 0)? & 0x7fff_ffff,
                code: number_at(payload, 4)?,
            },
            0x8 => Kind::WindowUpdate(number_at(payload, 0)? & 0x7fff_ffff),
            0x9 => Kind::Continuation(self.fields(payload, flags)?),
            other => Kind::Other(other),
        };
        Some(Frame {
            stream: number_at(header, 5)? & 0x7fff_ffff,
            length,
            flags,
            kind,
        })
    }

    /// Adds to the header block; its fields if this is its end. Every block has to be
    /// read, also one that nobody looks at: it changes the table by which later ones
    /// are read.
    fn fields(&mut self, fragment: &[u8], flags: u8) -> Option<Vec<Field>> {
        if self.block.len() + fragment.len() > MAX_PAYLOAD {
            return None;
        }
        self.block.extend_from_slice(fragment);
        let mut fields = Vec::new();
        if flags & END_HEADERS == 0 {
            return Some(fields);
        }
        let block = std::mem::take(&mut self.block);
        let (mut block, mut left) = (block.as_slice(), Some(MAX_FIELDS));
        while !block.is_empty() {
            let (first, rest) = block.split_at_checked(first_field(block)?)?;
            let read = self.decoder.decode_with_cb(first, |name, value| {
                let field = Field {
                    name: String::from_utf8_lossy(&name).into_owned(),
                    value: String::from_utf8_lossy(&value).into_owned(),
                };
                left = left.and_then(|left| left.checked_sub(field.size()));
                if left.is_some() {
                    fields.push(field);
                }
            });
            read.ok()?;
            if left.is_none() {
                // More than is kept. To read on would cost more than it is worth: the
                // decoder builds a table for each string that is coded, and a frame has
                // room for thousands.
                self.lost = true;
                break;
            }
            block = rest;
        }
        Some(fields)
    }
}

/// The length of what stands for the first field of a header block, with any change of
/// the table's size before it ([RFC 7541
/// §6](https://www.rfc-editor.org/rfc/rfc7541#section-6)); `None` where that does not
/// end.
fn first_field(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let first = *block.get(at)?;
        let prefix = match first {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let (number, length) = integer(block.get(at..)?, prefix)?;
        at += length;
        match first {
            // A whole field of the table.
            0x80.. => return Some(at),
            // A new size of the table.
            0x20..0x40 => continue,
            // A name, unless the number tells where the table has it, and a value.
            _ => {
                for _ in 0..1 + usize::from(number == 0) {
                    let (length, own) = integer(block.get(at..)?, 7)?;
                    at = at.checked_add(own)?.checked_add(length)?;
                }
                return (at <= block.len()).then_some(at);
            }
        }
    }
}

/// A number in the low bits of a byte and in those that follow, and how many bytes it
/// takes ([RFC 7541 §5.1](https://www.rfc-editor.org/rfc/rfc7541#section-5.1)).
fn integer(bytes: &[u8], prefix: u32) -> Option<(usize, usize)> {
    let most = (1 << prefix) - 1;
    let mut number = usize::from(*bytes.first()?) & most;
    if number < most {
        return Some((number, 1));
    }
    // The decoder takes no more bytes than these either.
    for at in 1..=4_u8 {
        let byte = usize::from(*bytes.get(usize::from(at))?);
        number += (byte & 0x7f) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            return Some((number, usize::from(at) + 1));
        }
    }
    None
}

/// A payload without its padding.
fn unpadded(payload: &[u8], flags: u8) -> Option<&[u8]> {
    if flags & PADDED == 0 {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    four.try_into().ok().map(u32::from_be_bytes)
}

fn settings(payload: &[u8]) -> Option<Vec<(u16, u32)>> {
    let pairs = payload.chunks(6);
    pairs
        .map(|pair| {
            let number = pair.get(..2)?.try_into().ok().map(u16::from_be_bytes)?;
            Some((number, number_at(pair, 2)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// A frame's bytes.
    fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [head, payload.to_vec()].concat()
    }

    /// Everything read, however the bytes were cut.
    fn read(mut reader: FrameReader, all: &[u8], piece: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        for piece in all.chunks(piece) {
            reader.read(piece, |frame| frames.push(frame));
        }
        frames
    }

    #[test]
    fn frames_come_out_whole_however_their_bytes_are_cut() {
        let promise = [
            &[0, 0, 0, 2][..],
            // From the static table: `:method: GET` and `:scheme: https`; then a
            // literal, `:path: /style.css`.
            &[0x82, 0x87, 0x04, 10],
            b"/style.css",
        ]
        .concat();
        let all = [
            PREFACE.to_vec(),
            bytes(0x4, 0, 0, &[0, 2, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]),
            bytes(0x4, ACK, 0, &[]),
            bytes(0x5, END_HEADERS, 1, &promise),
            bytes(0x0, 0x1, 2, &[b'x'; 20_000]),
            bytes(0x3, 0, 2, &[0, 0, 0, 8]),
        ]
        .concat();
        let whole = read(FrameReader::of_client(), &all, all.len());
        for piece in [1, 2, 7, 1000] {
            assert_eq!(read(FrameReader::of_client(), &all, piece), whole);
        }
        let told: Vec<_> = whole.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "SETTINGS stream=0 length=12\n    ENABLE_PUSH = 0\n    MAX_CONCURRENT_STREAMS = 100",
                "SETTINGS stream=0 length=0 [ACK]",
                "PUSH_PROMISE stream=1 length=18 [END_HEADERS] promises stream 2\n    :method: GET\n    :scheme: https\n    :path: /style.css",
                "DATA stream=2 length=20000 [END_STREAM]",
                "RST_STREAM stream=2 length=4 CANCEL",
            ]
        );
        assert_eq!(whole[0].setting(ENABLE_PUSH), Some(0));
        assert!(whole[1].is_ack() && !whole[0].is_ack());
        assert_eq!(whole[2].field(":path"), Some("/style.css"));
    }

    #[test]
    fn padding_and_priority_are_no_part_of_a_header_block() {
        let payload = [2, 0, 0, 0, 0, 16, 0x82, 0, 0];
        let flags = END_HEADERS | PADDED | PRIORITY;
        let frames = read(
            FrameReader::of_server(),
            &bytes(0x1, flags, 1, &payload),
            64,
        );
        assert_eq!(frames[0].field(":method"), Some("GET"));
        assert_eq!(frames[0].fields().len(), 1);
    }

    #[test]
    fn a_promise_may_be_padded_and_a_reserved_bit_says_nothing() {
        let payload = [1, 0x80, 0, 0, 2, 0x82, 0];
        let all = bytes(0x5, END_HEADERS | PADDED, 1 << 31 | 1, &payload);
        let frames = read(FrameReader::of_server(), &all, 64);
        assert_eq!(frames[0].stream, 1);
        assert!(matches!(frames[0].kind, Kind::Promise { promised: 2, .. }));
        assert_eq!(frames[0].fields().len(), 1);
    }

    #[test]
    fn of_a_setting_that_is_there_twice_the_last_counts() {
        let payload = [0, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0];
        let frames = read(FrameReader::of_server(), &bytes(0x4, 0, 0, &payload), 64);
        assert_eq!(frames[0].setting(ENABLE_PUSH), Some(0));
    }

    #[test]
    fn a_block_that_does_not_end_is_given_up() {
        let first = bytes(0x1, 0, 1, &[0x82; 10_000]);
        let more = bytes(0x9, 0, 1, &[0x82; 10_000]);
        let all = [first, more.clone(), more].concat();
        assert_eq!(read(FrameReader::of_server(), &all, 1000).len(), 1);
    }

    #[test]
    fn a_block_in_pieces_is_told_at_its_end() {
        let all = [
            bytes(0x1, 0, 1, &[0x82]),
            bytes(0x9, 0, 1, &[0x87]),
            bytes(0x9, END_HEADERS, 1, &[0x84]),
        ]
        .concat();
        let frames = read(FrameReader::of_server(), &all, 64);
        let counts: Vec<_> = frames.iter().map(|frame| frame.fields().len()).collect();
        assert_eq!(counts, [0, 0, 3]);
    }

    #[test]
    fn what_is_no_http2_is_passed_over() {
        for wrong in [
            // Another protocol.
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            // A frame larger than anybody was allowed to send.
            [PREFACE, &bytes(0x4, 0, 0, &[0; 16_386])].concat(),
            // A setting that ends in its middle, more padding than there is, a block
            // that is no HPACK.
            [PREFACE, &bytes(0x4, 0, 0, &[0, 2, 0])].concat(),
            [PREFACE, &bytes(0x1, PADDED, 1, &[9, 1])].concat(),
            [PREFACE, &bytes(0x1, END_HEADERS, 1, &[0x80])].concat(),
        ] {
            let after = [wrong, bytes(0x6, 0, 0, &[0; 8])].concat();
            assert_eq!(read(FrameReader::of_client(), &after, 64), []);
        }
    }

    #[test]
    fn a_small_block_cannot_make_a_large_recording() {
        // A value of 4,000 bytes enters the table, and is then named a thousand times.
        let mut block = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
        block.extend([b'v'; 4_000]);
        block.extend([0xbe; 1_000]);
        let frames = read(
            FrameReader::of_server(),
            &bytes(0x1, END_HEADERS, 1, &block),
            99_999,
        );
        let kept: usize = frames[0].fields().iter().map(|f| f.value.len()).sum();
        assert!((4_000..=MAX_FIELDS).contains(&kept), "{kept}");

        // An entry of one byte, named so often that its place in memory outweighs it by
        // far.
        let mut block = vec![0x40, 1, b'a', 0];
        block.extend([0xbe; 16_000]);
        let all = bytes(0x1, END_HEADERS, 1, &block);
        let frames = read(FrameReader::of_server(), &all, all.len());
        assert_eq!(frames[0].fields().len(), MAX_FIELDS / 33);
    }

    #[test]
    fn nothing_is_read_after_more_than_is_kept() {
        // A name and a value of one letter each, coded: for every one of them the
        // decoder builds a table.
        let field = [0x00, 0x81, 0x1f, 0x81, 0x1f];
        for (fields, frames) in [(MAX_FIELDS / 34, 2), (MAX_FIELDS / 34 + 1, 1)] {
            let block = field.repeat(fields);
            let all = [
                bytes(0x1, END_HEADERS, 1, &block),
                bytes(0x6, 0, 0, &[0; 8]),
            ]
            .concat();
            let told = read(FrameReader::of_server(), &all, all.len());
            assert_eq!(told.len(), frames);
            assert_eq!(told[0].fields().len(), MAX_FIELDS / 34);
            assert_eq!(told[0].field("a"), Some("a"));
        }
    }

    #[test]
    fn a_field_is_as_long_as_the_rfc_has_it() {
        for (block, length) in [
            // RFC 7541, C.2: literals with a new name, one that the table knows, one
            // never indexed, and a field of the table.
            (&b"\x40\x0acustom-key\x0dcustom-header\x82"[..], Some(26)),
            (b"\x04\x0c/sample/path\x82", Some(14)),
            (b"\x10\x08password\x06secret\x82", Some(17)),
            (b"\x82\x86", Some(1)),
            // C.1.2: a number of three bytes, here an index.
            (b"\xff\x9a\x0a\x82", Some(3)),
            // A change of the table's size, and the field after it.
            (b"\x3f\xe1\x1f\x82\x82", Some(4)),
            (b"\x3f\xe1\x1f", None),
            (b"\x40\x0acustom", None),
            (b"\x00\x7f\xff\xff\xff\xff\x0f", None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(first_field(block), length, "{block:x?}");
        }
    }

    #[test]
    fn a_table_larger_than_anybody_allowed_is_no_http2() {
        // A size update to 4096, and one to 4097 (RFC 7541 §6.3).
        for (low, frames) in [(0xe1, 1), (0xe2, 0)] {
            let all = bytes(0x1, END_HEADERS, 1, &[0x3f, low, 0x1f, 0x82]);
            assert_eq!(read(FrameReader::of_server(), &all, 64).len(), frames);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_depend_on_how_they_are_cut(
            frames in vec((0_u8..12, any::<u8>(), 0_u32..4, vec(any::<u8>(), 0..64)), 0..20),
            noise in vec(any::<u8>(), 0..64),
            piece in 1_usize..50,
        ) {
            let mut all: Vec<u8> = frames.iter().flat_map(|(kind, flags, stream, payload)| bytes(*kind, *flags, *stream, payload)).collect();
            all.extend(&noise);
            let whole = read(FrameReader::of_server(), &all, all.len().max(1));
            for frame in &whole {
                // Shown as well: a panel does so.
                let _ = frame.to_string();
                prop_assert!(frame.fields().iter().map(Field::size).sum::<usize>() <= MAX_FIELDS);
            }
            prop_assert_eq!(read(FrameReader::of_server(), &all, piece), whole);
        }
    }
}
