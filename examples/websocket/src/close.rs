//! How a WebSocket ends: the close codes (RFC 6455 §7.4), and what a broken protocol
//! comes to.
//!
//! | code | said by | what it means | what the client does |
//! | --- | --- | --- | --- |
//! | 1000 | the server | the log is finished, and everything was sent | stops for good |
//! | 1001 | the server | it shuts down | reconnects, to another or later |
//! | 1002 | the server | the peer broke the framing: no mask, reserved bits, an unknown opcode | its own defect |
//! | 1003 | the server | a binary message, where the protocol is text | its own defect |
//! | 1007 | the server | a text message that is no UTF-8 | its own defect |
//! | 1009 | the server | a message larger than [`Config::max_message`](crate::Config::max_message) | its own defect |
//! | 1005 | nobody | the close had no code; for the API alone | – |
//! | 1006 | nobody | there was no close: lost, cut, or never opened; for the API alone | reconnects |
//! | 1013 | nobody here | "try again later", from IANA's registry: this server says so with 503, before it opens | – |
//!
//! A page may close with 1000 or 3000 to 4999 and nothing else (WHATWG WebSockets
//! §3.1).

use crate::tunnel::Socket;
use futures_util::{
    future::join,
    stream::{SplitSink, SplitStream},
    SinkExt, StreamExt,
};
use serving::Slot;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{
    self,
    error::ProtocolError,
    protocol::{frame::coding::CloseCode, CloseFrame},
    Message,
};

/// What this server says when it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// 1000: the log is finished, and the peer has all of it. There is nothing to
    /// reconnect for.
    Finished,
    /// 1001: this server is going away.
    Shutdown,
    /// 1002: the peer broke the rules of framing.
    Protocol,
    /// 1003: a binary message, where only text is understood.
    Binary,
    /// 1007: a text message that is no UTF-8.
    NotUtf8,
    /// 1009: a message larger than this server takes.
    TooLarge,
}

impl Close {
    /// The status code (RFC 6455 §7.4.1).
    pub fn code(self) -> u16 {
        let code = match self {
            Self::Finished => CloseCode::Normal,
            Self::Shutdown => CloseCode::Away,
            Self::Protocol => CloseCode::Protocol,
            Self::Binary => CloseCode::Unsupported,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::TooLarge => CloseCode::Size,
        };
        code.into()
    }

    /// The reason, for a person who reads a log; programs go by the code.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Shutdown => "shutdown",
            Self::Protocol => "protocol error",
            Self::Binary => "text only",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLarge => "too large",
        }
    }

    fn message(self) -> Message {
        Message::Close(Some(CloseFrame {
            code: self.code().into(),
            reason: self.reason().into(),
        }))
    }
}

/// Why the work on a socket is over, and so what is left to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing: it was cut on request, or the peer is silent and nobody would hear it.
    Dropped,
    /// Nothing: the peer has closed, and tungstenite has answered; or it broke off.
    Gone,
    /// This, and then the peer's own close is awaited, unless it broke the protocol:
    /// then nothing more can be read.
    Closes(Close),
}

impl Close {
    /// What to say to a peer that broke the protocol; `None` where nobody is to blame
    /// or nobody is there to be told.
    ///
    /// tungstenite reports a broken protocol as an error and sends nothing; the close
    /// that RFC 6455 §7.1.7 asks for is ours to send.
    pub(crate) fn of(error: &tungstenite::Error) -> Option<Self> {
        use tungstenite::Error::{Capacity, Protocol, Utf8};
        match error {
            Capacity(_) => Some(Self::TooLarge),
            Utf8(_) => Some(Self::NotUtf8),
            // The connection ended without a close. There is nobody to tell.
            Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            // We wrote after the peer's close had come. The reader has seen it, or is
            // about to.
            Protocol(ProtocolError::SendAfterClosing) => None,
            Protocol(_) => Some(Self::Protocol),
            // The connection is lost; or it is closed already; or the peer does not
            // read, and what waits for it has grown too large.
            _ => None,
        }
    }
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        Close::of(&error).map_or(Self::Gone, Self::Closes)
    }
}

/// The two halves of a socket.
pub(crate) type Halves = (SplitSink<Socket, Message>, SplitStream<Socket>);

// ANCHOR: close
impl End {
    /// Says what is left to say, gives the socket's place back, and waits for the peer
    /// to end the connection. All of it takes at most `patience`.
    pub(crate) async fn say(self, halves: Halves, place: Slot, patience: Duration) {
        let (mut sink, mut stream) = halves;
        let word = match self {
            Self::Dropped => return,
            Self::Gone => None,
            Self::Closes(close) => Some(close.message()),
        };
        let goodbye = async {
            let said = async {
                if let Some(close) = word {
                    // An error here means that the peer is gone. That was wanted.
                    let _ = sink.send(close).await;
                }
                // Before the wait: who is on the way out keeps nobody out.
                drop(place);
            };
            // Reading finds the peer's close, and makes tungstenite answer it. It ends
            // at once where tungstenite has met an error. And it is done beside the
            // writing: a peer that waits for us to read may not read itself.
            let rest = async { while let Some(Ok(_)) = stream.next().await {} };
            join(said, rest).await;
            if let Ok(socket) = stream.reunite(sink) {
                // tungstenite and its buffers go; the connection is read on.
                socket.into_inner().linger().await;
            }
        };
        // Past this the connection is broken off.
        let _ = timeout(patience, goodbye).await;
    }
}
// ANCHOR_END: close
