//! One open socket, as the client uses it.

use super::{
    handshake::{Socket, MAX_SENT},
    publisher::{Outbox, PendingPublish},
};
use crate::{Error, Failure};
use contract::{
    socket::{Auth, ClientMessage, Close},
    Problem,
};
use futures_util::{
    future::FutureExt,
    stream::{SplitSink, SplitStream, StreamExt},
    SinkExt,
};
use std::time::Duration;
use tokio::time::{timeout, Instant};
use tokio_tungstenite::tungstenite::{
    self, error::ProtocolError, protocol::CloseFrame, Message,
};

/// How long the closing of a connection may take on the way out. Its outcome changes
/// nothing, so it is short.
const CLOSING: Duration = Duration::from_secs(1);

/// What was read; `None` at the end of a connection.
pub(super) type Next = Option<Result<Message, tungstenite::Error>>;

pub(super) struct Connection {
    /// In two halves, because one turn waits for both.
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    /// Whether a publish waits to be written.
    unflushed: bool,
    /// When the last sign of life came.
    heard: Instant,
}

impl Connection {
    pub(super) fn new(socket: Socket) -> Self {
        let (sink, stream) = socket.split();
        Self {
            sink,
            stream,
            unflushed: false,
            heard: Instant::now(),
        }
    }

    /// Says who this is, before anything else; what follows flushes it.
    pub(super) async fn introduce(&mut self, auth: Auth) {
        let message = ClientMessage::Auth(auth);
        let text = serde_json::to_string(&message).expect("a text becomes JSON");
        // As in `send`.
        let _ = self.sink.feed(Message::text(text)).await;
        self.unflushed = true;
    }

    /// Waits for whatever comes first, and returns what was read; `None` where
    /// something was written instead. It always reads, and never waits for a write
    /// alone: a server that waits for us to read may not read from us until we do.
    pub(super) async fn next_step(
        &mut self,
        outbox: &mut Outbox,
        patience: Duration,
    ) -> Option<Next> {
        let patience = patience.saturating_sub(self.heard.elapsed());
        tokio::select! {
            // Cancel-safe: a message is handed out whole, or stays.
            next = timeout(patience, self.stream.next()) => {
                // After too long a silence, whatever follows is nothing.
                Some(next.ok().flatten())
            }
            // Cancel-safe: what is not written yet stays in tungstenite's buffer. An
            // error is not looked at, because the reader is about to see it too, and
            // perhaps a close before it that says why.
            _ = self.sink.flush(), if self.unflushed => {
                self.unflushed = false;
                None
            }
            // Cancel-safe: a publish that is not taken stays where it is. Only one
            // waits to be written; the others wait with their callers.
            Some(pending) = outbox.next(), if !self.unflushed => {
                self.send(outbox, pending).await;
                None
            }
        }
    }

    /// What has come already, without waiting.
    pub(super) fn ready(&mut self) -> Option<Next> {
        self.stream.next().now_or_never()
    }

    /// Something came.
    pub(super) fn is_alive(&mut self) {
        self.heard = Instant::now();
    }

    /// Hands a publish to tungstenite; what follows flushes it.
    async fn send(&mut self, outbox: &mut Outbox, pending: PendingPublish) {
        if pending.is_given_up() {
            return;
        }
        let message = ClientMessage::Publish(pending.publish.clone());
        let text = serde_json::to_string(&message).expect("a publish is JSON already");
        if text.len() > MAX_SENT {
            return pending.refuse(Problem::too_large("more than this client sends"));
        }
        // An error is one that the reader is about to see too, and then the next
        // connection sends it again.
        let _ = self.sink.feed(Message::text(text)).await;
        outbox.sent(pending);
        self.unflushed = true;
    }

    /// The message that was read, or why there is none.
    pub(super) async fn message(&mut self, next: Next) -> Result<Message, Failure> {
        match next {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(self.broken(error).await),
            None => Err(Error::NoAnswer.into()),
        }
    }

    /// Answers the server's close, and waits for the server to end the connection,
    /// which is the server's part (RFC 6455 §7.1.1). It is reading that writes the
    /// answer.
    pub(super) async fn end(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(CLOSING, rest).await;
    }

    /// What an error of tungstenite comes to. Where the server broke the protocol, the
    /// close that RFC 6455 §7.1.7 asks for names the rule; tungstenite sends none.
    async fn broken(&mut self, error: tungstenite::Error) -> Failure {
        let Some(close) = close_for(&error) else {
            return Error::NoAnswer.into();
        };
        let (code, reason) = (close.code().into(), close.reason().into());
        let frame = CloseFrame { code, reason };
        let sent = self.sink.send(Message::Close(Some(frame)));
        let _ = timeout(CLOSING, sent).await;
        Error::Protocol(error.to_string()).into()
    }
}

/// What to close with where the server broke the protocol (RFC 6455 §7.4.1); `None`
/// where it did not, or the connection is gone.
fn close_for(error: &tungstenite::Error) -> Option<Close> {
    use tungstenite::Error::{Capacity, Protocol, Utf8};
    match error {
        Capacity(_) => Some(Close::TooLarge),
        Utf8(_) => Some(Close::NotUtf8),
        // It ended without a close; or we wrote after its close, which the reader is
        // about to see.
        Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::SendAfterClosing,
        ) => None,
        Protocol(_) => Some(Close::Protocol),
        _ => None,
    }
}
