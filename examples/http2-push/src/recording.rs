//! The frames of one connection, recorded as they pass.

use crate::frames::{Frame, FrameReader, Kind, ENABLE_PUSH};
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{ready, Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
};

/// The most frames that are kept of one connection. A page with its style sheet and
/// script takes about 20.
const MAX_FRAMES: usize = 500;

/// About how many bytes they may take together, in memory and also as they are told.
/// Such a page takes about 5 KiB. The peer decides what its frames hold, and may ask on
/// each of its streams to be told of them; 64 KiB is what the other servers of the book
/// keep for a stream.
const MAX_BYTES: usize = 64 * 1024;

/// The frames that are kept.
#[derive(Default)]
struct Kept {
    frames: Vec<(Side, Frame)>,
    /// What they take, each by the larger of [`Frame::size`] and [`told`].
    bytes: usize,
    /// Set by the first frame that had no room. Nothing is kept after it, and so
    /// nothing need be read.
    full: bool,
}

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The side that asks.
    Client,
    /// The side that answers, or pushes.
    Server,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// What went over one connection, in the order in which this end of it saw it. Clones
/// share one recording.
#[derive(Clone)]
pub struct Recording(
    // Written by the connection's task, read by whoever wants to know. A watch channel
    // and not a lock: one may also wait until something has gone over the wire. It is
    // locked for one frame at a time.
    Arc<watch::Sender<Kept>>,
);

impl Default for Recording {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Kept::default())))
    }
}

impl Recording {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&self, side: Side, frame: Frame) {
        self.0.send_if_modified(|kept| {
            let bytes = kept.bytes + frame.size().max(printed_size(side, &frame));
            kept.full |= kept.frames.len() >= MAX_FRAMES || bytes > MAX_BYTES;
            if !kept.full {
                kept.bytes = bytes;
                kept.frames.push((side, frame));
            }
            !kept.full
        });
    }

    fn is_full(&self) -> bool {
        self.0.borrow().full
    }

    /// The frames so far, at most 500, and at most about 64 KiB of them. After one that
    /// does not fit, none is kept.
    pub fn frames(&self) -> Vec<(Side, Frame)> {
        self.0.borrow().frames.clone()
    }

    /// Waits until `holds` is true of this recording. It looks once now, and then after
    /// each frame.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut kept = self.0.subscribe();
        loop {
            // Marked as seen before the look, so that no frame is missed.
            kept.borrow_and_update();
            if holds(self) || kept.changed().await.is_err() {
                return;
            }
        }
    }

    /// What the client said of pushes in its SETTINGS; `None` where it left the setting
    /// out, which means 1 ([RFC 9113
    /// §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
    pub fn enable_push(&self) -> Option<u32> {
        let kept = self.0.borrow();
        let of_client = kept.frames.iter().filter(|(side, _)| *side == Side::Client);
        of_client
            .filter_map(|(_, frame)| frame.setting(ENABLE_PUSH))
            .next_back()
    }

    /// How many streams the server has promised.
    pub fn promises(&self) -> usize {
        let kept = self.0.borrow();
        let promises = kept
            .frames
            .iter()
            .filter(|(_, frame)| matches!(frame.kind, Kind::Promise { .. }));
        promises.count()
    }

    /// How many promised streams the client has refused, by resetting them.
    pub fn refused(&self) -> usize {
        let kept = self.0.borrow();
        let resets = kept.frames.iter().filter(|(side, frame)| {
            // Streams that a server begins have even numbers (RFC 9113 §5.1.1).
            *side == Side::Client
                && matches!(frame.kind, Kind::Reset(_))
                && frame.stream.is_multiple_of(2)
        });
        resets.count()
    }

    /// How many interim answers the server has sent that are 103.
    pub fn hints(&self) -> usize {
        let kept = self.0.borrow();
        let hints = kept
            .frames
            .iter()
            .filter(|(_, frame)| frame.field(":status") == Some("103"));
        hints.count()
    }

    /// The paths that the client has asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        let kept = self.0.borrow();
        let of_client = kept.frames.iter().filter(|(side, _)| *side == Side::Client);
        of_client
            .filter_map(|(_, frame)| frame.field(":path").map(str::to_owned))
            .collect()
    }
}

/// How many bytes a frame takes where the recording is told as a string of JSON: six
/// for a control character.
fn printed_size(side: Side, frame: &Frame) -> usize {
    let line = format!("{side} {frame}\n");
    serde_json::to_string(&line).map_or(usize::MAX, |json| json.len())
}

/// One frame after the other, each with its sender.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, frame) in &self.0.borrow().frames {
            writeln!(f, "{side} {frame}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording")
            .field(&self.0.borrow().frames.len())
            .finish()
    }
}

/// A connection whose frames are recorded. It changes no byte.
pub struct Tap<I> {
    io: I,
    recording: Recording,
    /// The side whose bytes come in here.
    peer: Side,
    incoming: FrameReader,
    outgoing: FrameReader,
}

impl<I> Tap<I> {
    /// On the server's end.
    pub fn of_server(io: I, recording: Recording) -> Self {
        Self {
            io,
            recording,
            peer: Side::Client,
            incoming: FrameReader::of_client(),
            outgoing: FrameReader::of_server(),
        }
    }

    /// On the client's end.
    pub fn of_client(io: I, recording: Recording) -> Self {
        Self {
            io,
            recording,
            peer: Side::Server,
            incoming: FrameReader::of_server(),
            outgoing: FrameReader::of_client(),
        }
    }

    fn own(&self) -> Side {
        match self.peer {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Tap<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let bytes = &buffer.filled()[before..];
        if !this.recording.is_full() {
            this.incoming
                .read(bytes, |frame| this.recording.add(this.peer, frame));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Tap<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        let own = this.own();
        if !this.recording.is_full() {
            this.outgoing
                .read(&bytes[..written], |frame| this.recording.add(own, frame));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Field;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn frame(kind: Kind) -> Frame {
        Frame {
            stream: 1,
            length: 0,
            flags: 0,
            kind,
        }
    }

    #[test]
    fn what_the_client_said_is_not_what_the_server_said() {
        let recording = Recording::new();
        let said = |value| Kind::Settings(vec![(ENABLE_PUSH, value)]);
        recording.add(Side::Client, frame(said(0)));
        recording.add(Side::Server, frame(said(1)));
        assert_eq!(recording.enable_push(), Some(0));
        // A client may change its mind: the newest counts.
        recording.add(Side::Client, frame(said(1)));
        assert_eq!(recording.enable_push(), Some(1));
        let on = |stream| Frame {
            stream,
            ..frame(Kind::Reset(8))
        };
        // One request taken back, and one push that the server gave up: neither was
        // refused.
        recording.add(Side::Client, on(1));
        recording.add(Side::Server, on(2));
        assert_eq!(recording.refused(), 0);
        recording.add(Side::Client, on(4));
        assert_eq!(recording.refused(), 1);
    }

    #[tokio::test]
    async fn a_frame_is_recorded_once_although_it_was_written_in_pieces() {
        // Ping: eight bytes of length, and no pipe for more than ten at once.
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
        let (ours, mut theirs) = tokio::io::duplex(10);
        let recording = Recording::new();
        let mut tap = Tap::of_server(ours, recording.clone());
        assert_eq!(tap.write(&ping).await.unwrap(), 10);
        assert_eq!(recording.frames().len(), 0);
        theirs.read_exact(&mut [0; 10]).await.unwrap();
        assert_eq!(tap.write(&ping[10..]).await.unwrap(), 7);
        assert_eq!(recording.frames().len(), 1);
    }

    #[test]
    fn it_keeps_so_many_frames_and_no_more() {
        let recording = Recording::new();
        for _ in 0..MAX_FRAMES + 10 {
            recording.add(Side::Client, frame(Kind::Ping));
        }
        assert_eq!(recording.frames().len(), MAX_FRAMES);
    }

    #[test]
    fn it_keeps_so_many_bytes_and_no_more() {
        let large = Field {
            name: "a".to_owned(),
            value: "v".repeat(15_000),
        };
        let control = Field {
            name: "a".to_owned(),
            value: "\u{1}".repeat(2_500),
        };
        for kind in [
            Kind::Headers(vec![large]),
            // A setting takes 8 bytes of memory, and here 33 as it is told; a control
            // character one, and six.
            Kind::Settings(vec![(0xffff, u32::MAX); 450]),
            Kind::Headers(vec![control]),
        ] {
            let recording = Recording::new();
            for _ in 0..100 {
                recording.add(Side::Client, frame(kind.clone()));
            }
            let sent = serde_json::to_string(&recording.to_string()).unwrap();
            let bytes = sent.len();
            assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&bytes), "{bytes}");
            // Each takes some 15 KiB.
            assert_eq!(recording.frames().len(), 4);
            // Nor is anything kept that would have room.
            recording.add(Side::Client, frame(Kind::Ping));
            assert_eq!(recording.frames().len(), 4);
        }
    }
}
