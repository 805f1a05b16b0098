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
use contract::socket::Close;
use futures_util::{future::join, SinkExt, StreamExt};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{
    self, error::ProtocolError, protocol::CloseFrame, Message,
};

/// The frame that closes a socket.
fn frame(close: Close) -> CloseFrame {
    CloseFrame {
        code: close.code().into(),
        reason: close.reason().into(),
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

/// How to close on a peer that broke the protocol; `None` where nobody is to blame, or
/// nobody is left to read it.
///
/// tungstenite reports a broken protocol as an error and sends nothing; the close that
/// RFC 6455 §7.1.7 asks for is ours to send.
pub(crate) fn close_for(error: &tungstenite::Error) -> Option<Close> {
    use tungstenite::Error::{Capacity, Protocol, Utf8};
    match error {
        Capacity(_) => Some(Close::TooLarge),
        Utf8(_) => Some(Close::NotUtf8),
        // The connection ended without a close. Nobody is there.
        Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        // We wrote after the peer's close had come. Reading on finds the end.
        Protocol(ProtocolError::SendAfterClosing) => None,
        Protocol(_) => Some(Close::Protocol),
        // The connection is lost; or it is closed already; or the peer does not read,
        // and what waits for it has grown too large.
        _ => None,
    }
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        close_for(&error).map_or(Self::Gone, Self::Closes)
    }
}

// ANCHOR: close
impl End {
    /// Sends the close, drops what holds the socket's place, and waits for the peer to
    /// end the connection. All of it takes at most `patience`.
    pub(crate) async fn close<P>(self, socket: Socket, place: P, patience: Duration) {
        let word = match self {
            Self::Dropped => return,
            Self::Gone => None,
            Self::Closes(close) => Some(Message::Close(Some(frame(close)))),
        };
        // Two halves, since here one may have to wait while the other goes on: a peer
        // that waits for us to read may not read itself.
        let (mut sink, mut stream) = socket.split();
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
            // at once where tungstenite has met an error.
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
