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

/// The most frames that are kept of one connection. A page with its style sheet and script takes about 20.
const MAX_FRAMES: usize = 500;

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

/// What went over one connection, in the order in which this end of it saw it. Clones share one recording.
#[derive(Clone)]
pub struct Recording(
    // Written by the connection's task, read by whoever wants to know. A watch channel and not a lock: one may also wait until
    // something has gone over the wire. It is locked for one frame at a time.
    Arc<watch::Sender<Vec<(Side, Frame)>>>,
);

impl Default for Recording {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Vec::new())))
    }
}

impl Recording {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn add(&self, side: Side, frame: Frame) {
        self.0.send_if_modified(|frames| {
            let room = frames.len() < MAX_FRAMES;
            if room {
                frames.push((side, frame));
            }
            room
        });
    }

    /// The frames so far, at most 500.
    pub fn frames(&self) -> Vec<(Side, Frame)> {
        self.0.borrow().clone()
    }

    /// Waits until `holds` is true of this recording. It looks once now, and then after each frame.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        // Subscribed before the look: a frame that comes in between is not missed.
        let mut frames = self.0.subscribe();
        while !holds(self) {
            frames.borrow_and_update();
            // Looked at again after the mark: a frame between the look and the mark would otherwise count as seen.
            if holds(self) || frames.changed().await.is_err() {
                return;
            }
        }
    }

    /// What the client said of pushes in its SETTINGS; `None` where it left the setting out, which means 1
    /// ([RFC 9113 §6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
    pub fn enable_push(&self) -> Option<u32> {
        let frames = self.0.borrow();
        let of_client = frames.iter().filter(|(side, _)| *side == Side::Client);
        of_client
            .filter_map(|(_, frame)| frame.setting(ENABLE_PUSH))
            .next_back()
    }

    /// How many streams the server has promised.
    pub fn promises(&self) -> usize {
        let frames = self.0.borrow();
        let promises = frames
            .iter()
            .filter(|(_, frame)| matches!(frame.kind, Kind::Promise { .. }));
        promises.count()
    }

    /// How many promised streams the client has refused, by resetting them.
    pub fn refused(&self) -> usize {
        let frames = self.0.borrow();
        let resets = frames.iter().filter(|(side, frame)| {
            // Streams that a server begins have even numbers (RFC 9113 §5.1.1).
            *side == Side::Client
                && matches!(frame.kind, Kind::Reset(_))
                && frame.stream.is_multiple_of(2)
        });
        resets.count()
    }

    /// How many interim answers the server has sent that are 103.
    pub fn hints(&self) -> usize {
        let frames = self.0.borrow();
        let hints = frames
            .iter()
            .filter(|(_, frame)| frame.field(":status") == Some("103"));
        hints.count()
    }

    /// The paths that the client has asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        let frames = self.0.borrow();
        let of_client = frames.iter().filter(|(side, _)| *side == Side::Client);
        of_client
            .filter_map(|(_, frame)| frame.field(":path").map(str::to_owned))
            .collect()
    }
}

/// One frame after the other, each with its sender.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, frame) in self.0.borrow().iter() {
            writeln!(f, "{side} {frame}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording")
            .field(&self.0.borrow().len())
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
        this.incoming
            .read(bytes, |frame| this.recording.add(this.peer, frame));
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
        this.outgoing
            .read(&bytes[..written], |frame| this.recording.add(own, frame));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
