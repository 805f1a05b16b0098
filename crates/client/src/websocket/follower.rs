//! One subscription over WebSocket, across as many sockets as it takes.

use super::{
    connection::Connection,
    handshake::{open, Opened},
    publisher::Outbox,
};
use crate::{
    endpoint::Endpoint,
    response::{denied, failure},
    subscription::{ConnectionState, Reconnect, SubscriptionState},
    watchdog::Watchdog,
    Error, Failure, Pace,
};
use contract::{
    params::AFTER,
    socket::{Close, Refusal, ServerMessage, SUBPROTOCOL},
    Position,
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{protocol::CloseFrame, Message};

/// How many events are reported together, at most, and how large they are together, in
/// bytes: as many as in a page of the log.
const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 64 * 1024;

/// One subscription.
pub(super) struct WebSocketFollower {
    endpoint: Endpoint,
    subscription: SubscriptionState,
    watchdog: Watchdog,
    outbox: Outbox,
    connection: ConnectionState<Box<Connection>>,
}

impl Reconnect for WebSocketFollower {
    type Connection = Box<Connection>;

    fn subscription(&mut self) -> &mut SubscriptionState {
        &mut self.subscription
    }

    fn connection(&mut self) -> &mut ConnectionState<Self::Connection> {
        &mut self.connection
    }

    async fn connect(&mut self) -> Result<ConnectionState<Self::Connection>, Failure> {
        let after = self.subscription.position().to_string();
        let after = Some((AFTER, &*after));
        let (request, first) = self.endpoint.connection("events", after).await?;
        let opened =
            timeout(self.watchdog.patience(), open(request, Some(SUBPROTOCOL)));
        let socket = match opened.await.map_err(|_silence| Error::NoAnswer)?? {
            Opened::Socket(socket) => socket,
            Opened::Refused(response) => return Err(failure(response).await),
        };
        self.outbox.resend();
        let mut connection = Connection::new(*socket);
        if let Some(auth) = first {
            connection.introduce(auth).await;
        }
        Ok(ConnectionState::Connected(Box::new(connection)))
    }

    /// Reads what has come, and what came with it. All of a batch is reported together,
    /// up to what a page would hold.
    ///
    /// Each read also writes tungstenite's answers to pings that were read before. So a
    /// ping is answered as long as the stream is polled, although nothing here writes.
    async fn read(
        &mut self,
        mut connection: Self::Connection,
    ) -> Result<ConnectionState<Self::Connection>, Failure> {
        let patience = self.watchdog.patience();
        let Some(mut next) = connection.next_step(&mut self.outbox, patience).await
        else {
            return Ok(ConnectionState::Connected(connection));
        };
        let mut bytes = 0;
        for count in 1.. {
            let message = connection.message(next).await?;
            if let Message::Close(frame) = message {
                connection.end().await;
                return self.closed(frame).await;
            }
            bytes += message.len();
            self.handle(message)?;
            // Before another is read, which would be lost.
            if count >= BATCH_EVENTS || bytes > BATCH_BYTES {
                break;
            }
            match connection.ready() {
                Some(more) => next = more,
                None => break,
            }
        }
        connection.is_alive();
        Ok(ConnectionState::Connected(connection))
    }
}

impl WebSocketFollower {
    /// Not connected yet.
    pub(super) fn new(
        endpoint: Endpoint,
        position: Position,
        pace: Pace,
        outbox: Outbox,
    ) -> Self {
        Self {
            subscription: SubscriptionState::new(position, pace)
                .with_renewal(endpoint.renews()),
            endpoint,
            watchdog: Watchdog::default(),
            outbox,
            connection: ConnectionState::default(),
        }
    }

    /// What one message means.
    fn handle(&mut self, message: Message) -> Result<(), Error> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(Error::Protocol("a binary message".to_owned()))
            }
            // Signs of life, as every message is. tungstenite has the answer to a ping
            // ready.
            _ => return Ok(()),
        };
        let read = ServerMessage::read(&text);
        let read =
            read.map_err(|error| Error::Protocol(format!("{text:.100}: {error}")))?;
        self.subscription.heard();
        match read {
            Some(ServerMessage::Hello(hello)) => {
                self.watchdog.heard_interval(ms(hello.every));
                self.subscription.set_cursor(hello.cursor);
            }
            Some(ServerMessage::Event(event)) => self.subscription.event(event),
            Some(ServerMessage::Gap(gap)) => self.subscription.gap(gap),
            Some(ServerMessage::Heartbeat(heartbeat)) => {
                self.watchdog.heard_interval(ms(heartbeat.every));
                // The server may be past events that it has not sent.
                if let Some(cursor) = heartbeat.cursor {
                    self.subscription.set_cursor(cursor);
                }
                self.subscription.heartbeat();
            }
            Some(ServerMessage::Ack(ack)) => {
                self.outbox.answer(&ack.reference, Ok(ack.id));
            }
            Some(ServerMessage::Error(Refusal {
                reference: Some(reference),
                problem,
            })) => {
                let refused = Err(Error::Refused(Box::new(problem)));
                self.outbox.answer(&reference, refused);
            }
            // An answer to something that the server could not read; which that was is
            // not known.
            Some(ServerMessage::Error(_)) => {}
            // A message that this client does not know yet.
            None => {}
        }
        Ok(())
    }

    /// What a close comes to.
    async fn closed(
        &mut self,
        frame: Option<CloseFrame>,
    ) -> Result<ConnectionState<Box<Connection>>, Failure> {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        match CloseAction::of(code) {
            CloseAction::Stop => {
                self.outbox.finish(&self.endpoint).await;
                self.subscription.finish();
                // Not looked at: the subscription is over.
                return Ok(ConnectionState::default());
            }
            CloseAction::GiveUp => {
                let CloseFrame { code, reason } = frame.expect("the code decided so");
                let reason = format!("closed with {code}: {reason}");
                self.outbox.fail(&reason);
                return Err(Failure::Permanent(Error::Protocol(reason)));
            }
            CloseAction::Deny => {
                self.outbox.fail("the connection was ended");
                return Err(denied());
            }
            CloseAction::DropLargest => self.outbox.refuse_largest(),
            // The next connection has another credential, if there is one to have.
            CloseAction::Renew | CloseAction::Reconnect => {}
        }
        Err(Error::NoAnswer.into())
    }
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// What to do after a close (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseAction {
    /// The log is finished: never come back.
    Stop,
    /// This program broke a rule and would break it again: never come back.
    GiveUp,
    /// This client may not listen any more: never come back.
    Deny,
    /// Come back with another credential.
    Renew,
    /// One of the messages that have no answer was too large: refuse it, and come back.
    DropLargest,
    /// Come back, after a wait that grows.
    Reconnect,
}

impl CloseAction {
    /// By the code; `None` where the close had none, or where there was no close.
    pub(crate) fn of(code: Option<u16>) -> Self {
        match code.and_then(Close::from_code) {
            Some(Close::Finished) => Self::Stop,
            Some(Close::Protocol | Close::Binary | Close::NotUtf8) => Self::GiveUp,
            Some(Close::TooLarge) => Self::DropLargest,
            Some(Close::Renew) => Self::Renew,
            Some(Close::Denied) => Self::Deny,
            // The server goes or has failed, a proxy has closed, or the code is new.
            Some(Close::Shutdown | Close::TooMany) | None => Self::Reconnect,
        }
    }
}
