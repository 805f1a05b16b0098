//! How a WebSocket ends: the close codes (RFC 6455 §7.4), and what a broken protocol comes to.
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
//! A page may close with 1000 or 3000 to 4999 and nothing else (WHATWG WebSockets §3.1).

use axum::{
    extract::ws::{close_code, CloseFrame, Message, WebSocket},
    Error,
};
use futures_util::{
    future::join,
    stream::{SplitSink, SplitStream},
    SinkExt, StreamExt,
};
use std::time::Duration;
use tokio::time::{sleep_until, timeout_at, Instant};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

// ANCHOR: codes
/// What this server says when it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// 1000: the log is finished, and the peer has all of it. There is nothing to reconnect for.
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
        match self {
            Self::Finished => close_code::NORMAL,
            Self::Shutdown => close_code::AWAY,
            Self::Protocol => close_code::PROTOCOL,
            Self::Binary => close_code::UNSUPPORTED,
            Self::NotUtf8 => close_code::INVALID,
            Self::TooLarge => close_code::SIZE,
        }
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
            code: self.code(),
            reason: self.reason().into(),
        }))
    }
}
// ANCHOR_END: codes

// ANCHOR: end
/// Why the work on a socket is over, and so what is left to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing: it was cut on request, or the peer is silent and nobody would hear it.
    Dropped,
    /// Nothing: the peer has closed, and tungstenite has answered; or it broke off.
    Gone,
    /// This, and then the peer's own close is awaited (RFC 6455 §7.1.1).
    Closes(Close),
    /// This, to a peer that broke the protocol. Nothing more can be read from it, not even its close.
    Fails(Close),
}
// ANCHOR_END: end

// ANCHOR: mapping
impl Close {
    /// What to say to a peer that broke the protocol; `None` where nobody is to blame or nobody is there to be told.
    ///
    /// tungstenite reports a broken protocol as an error and sends nothing; the close that RFC 6455 §7.1.7 asks for is ours
    /// to send.
    pub(crate) fn of(error: &tungstenite::Error) -> Option<Self> {
        use tungstenite::Error::{Capacity, Protocol, Utf8};
        match error {
            Capacity(_) => Some(Self::TooLarge),
            Utf8(_) => Some(Self::NotUtf8),
            // The connection ended without a close. There is nobody to tell.
            Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            // We wrote after the peer's close had come. The reader has seen it, or is about to.
            Protocol(ProtocolError::SendAfterClosing) => None,
            Protocol(_) => Some(Self::Protocol),
            // The connection is lost; or it is closed already; or the peer does not read, and what waits for it has
            // grown too large.
            _ => None,
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let error = error.into_inner().downcast::<tungstenite::Error>();
        let close = error.ok().and_then(|error| Close::of(&error));
        close.map_or(Self::Gone, Self::Fails)
    }
}
// ANCHOR_END: mapping

/// The two halves of a socket.
pub(crate) type Halves = (SplitSink<WebSocket, Message>, SplitStream<WebSocket>);

// ANCHOR: close
impl End {
    /// Says what is left to say, and waits for the peer's answer, both for at most `patience`.
    pub(crate) async fn say(self, (sink, mut stream): Halves, patience: Duration) {
        let until = Instant::now() + patience;
        // After the peer's close there is nothing more to read, and it is the server that ends the connection (§7.1.1).
        let rest = async { while let Some(Ok(_)) = stream.next().await {} };
        match self {
            Self::Dropped => {}
            // Reading on is also what makes tungstenite write its answer to the peer's close.
            Self::Gone => drop(timeout_at(until, rest).await),
            // Both at once: a peer that waits for us to read may not read itself.
            Self::Closes(close) => drop(timeout_at(until, join(send(sink, close), rest)).await),
            Self::Fails(close) => {
                if timeout_at(until, send(sink, close)).await.is_ok() {
                    // What the peer sent and nobody reads makes the kernel reset the connection as soon as it is closed,
                    // and on many systems a reset takes away what its receiver has not read yet: the close. So the
                    // peer is given time to read it.
                    sleep_until(until).await;
                }
            }
        }
    }
}

async fn send(mut sink: SplitSink<WebSocket, Message>, close: Close) {
    // An error here means that the peer is gone, and that is what was wanted.
    let _ = sink.send(close.message()).await;
}
// ANCHOR_END: close
