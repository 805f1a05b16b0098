//! The client of Server-Sent Events: it keeps itself connected.

use crate::{
    endpoint::Endpoint,
    event_stream::{Block, Message, Parser},
    response::{denied, failure, is_of_type},
    subscription::{updates, ConnectionState, Reconnect, SubscriptionState},
    watchdog::Watchdog,
    Client, Error, Failure, Pace, Update,
};
use contract::{
    headers::LAST_EVENT_ID, params::AFTER, stream::StreamMessage, EndReason, Position,
};
use futures_util::stream::Stream;
use reqwest::{header, Response, StatusCode, Url};
use std::time::Duration;
use tokio::time::timeout;

/// A client of one server by Server-Sent Events.
#[derive(Clone, Debug)]
pub struct SseClient {
    endpoint: Endpoint,
    pace: Pace,
}

impl SseClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its reconnecting otherwise. What the server asks for in
    /// `retry:` takes the place of [`Pace::first`].
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        Self {
            endpoint: Endpoint::new(base),
            pace,
        }
    }

    /// The same client by way of `endpoint`, which may have an HTTP client of its own.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }
}

impl Client for SseClient {
    /// Dropping the stream closes the connection.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, Error>> + Send + 'static {
        updates(SseFollower {
            endpoint: self.endpoint.clone(),
            subscription: SubscriptionState::new(position, self.pace)
                .with_renewal(self.endpoint.renews()),
            watchdog: Watchdog::default(),
            resumes: false,
            connection: ConnectionState::default(),
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// One subscription.
struct SseFollower {
    endpoint: Endpoint,
    subscription: SubscriptionState,
    watchdog: Watchdog,
    /// Whether the position is one that a stream gave, and no longer the user's.
    resumes: bool,
    connection: ConnectionState<(Response, Box<Parser>)>,
}

impl Reconnect for SseFollower {
    /// A stream, and what of it was read but is no whole block yet.
    type Connection = (Response, Box<Parser>);

    fn subscription(&mut self) -> &mut SubscriptionState {
        &mut self.subscription
    }

    fn connection(&mut self) -> &mut ConnectionState<Self::Connection> {
        &mut self.connection
    }

    async fn connect(&mut self) -> Result<ConnectionState<Self::Connection>, Failure> {
        let request = match self.subscription.position() {
            // What a browser sends when it comes back. A server that cannot place it
            // says so in the stream, while a position of the user's own that is wrong
            // is refused.
            Position::After(cursor) if self.resumes => {
                let (request, _) = self.endpoint.connection("events", None).await?;
                request.header(LAST_EVENT_ID, cursor.to_string())
            }
            position => {
                let after = Some((AFTER, &*position.to_string()));
                self.endpoint.connection("events", after).await?.0
            }
        };
        let request = request.header(header::ACCEPT, "text/event-stream");
        let silence = |_| Failure::Temporary(None);
        let response = timeout(self.watchdog.patience(), request.send());
        let response = response.await.map_err(silence)??;
        match response.status() {
            StatusCode::OK if is_of_type(&response, "text/event-stream") => {
                Ok(ConnectionState::Connected((response, Box::default())))
            }
            StatusCode::OK => {
                // Such as the login page of a hotel, which may be gone the next time.
                let error = "200, but no text/event-stream".to_owned();
                Err(Failure::Unexpected(Error::Protocol(error)))
            }
            StatusCode::NO_CONTENT => Ok(self.finish()),
            _ => Err(failure(response).await),
        }
    }

    async fn read(
        &mut self,
        (mut response, mut parser): Self::Connection,
    ) -> Result<ConnectionState<Self::Connection>, Failure> {
        let piece = match timeout(self.watchdog.patience(), response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            // The stream broke off, ended without a word, or fell silent: which is all
            // the same to a client that has its cursor.
            Ok(Ok(None) | Err(_)) | Err(_) => return Err(Failure::Temporary(None)),
        };
        let mut blocks = Vec::new();
        let pushed = parser.push(&piece, &mut blocks);
        pushed.map_err(|too_large| Error::Protocol(too_large.to_string()))?;
        if let Some(first) = parser.retry_ms() {
            self.subscription
                .set_first_wait(Duration::from_millis(first));
        }
        for block in blocks {
            match self.handle(block)? {
                None => {}
                Some(EndReason::Finished) => return Ok(self.finish()),
                Some(EndReason::Denied) => return Err(denied()),
                // The next connection has another credential, if there is one to have.
                Some(EndReason::Shutdown | EndReason::Renew | EndReason::Unknown) => {
                    return Err(Failure::Temporary(None))
                }
            }
        }
        Ok(ConnectionState::Connected((response, parser)))
    }
}

impl SseFollower {
    /// What one block means; a reason where the stream ends with it.
    fn handle(&mut self, block: Block) -> Result<Option<EndReason>, Error> {
        let message = match block {
            Block::Id(id) => {
                self.set_cursor(&id)?;
                return Ok(None);
            }
            Block::Event(message) => message,
        };
        let read = StreamMessage::read(&message.kind, &message.data);
        let read = read.map_err(|error| {
            let Message { kind, data, .. } = &message;
            Error::Protocol(format!("{kind} {data:.100}: {error}"))
        })?;
        // A greeting opens the connection and is no proof of health: a server may greet
        // everybody, and then fail.
        if !matches!(read, Some(StreamMessage::Hello(_))) {
            self.subscription.heard();
        }
        match read {
            Some(StreamMessage::Hello(hello)) => {
                self.watchdog.heard_interval(ms(hello.every));
                self.resumes = true;
                self.subscription.set_cursor(hello.cursor);
            }
            Some(StreamMessage::Event(event)) => self.subscription.event(event),
            Some(StreamMessage::Heartbeat(heartbeat)) => {
                self.watchdog.heard_interval(ms(heartbeat.every));
                // The server may be past events that it has not sent, and then its id
                // says how far.
                self.set_cursor(&message.last_event_id)?;
                self.subscription.heartbeat();
            }
            Some(StreamMessage::Gap(gap)) => self.subscription.gap(gap),
            Some(StreamMessage::End(end)) => return Ok(Some(end.reason)),
            // A message that this client does not know yet.
            None => {}
        }
        Ok(None)
    }

    /// The stream has named a place without an event.
    fn set_cursor(&mut self, id: &str) -> Result<(), Error> {
        let cursor = id.parse();
        let cursor = cursor.map_err(|_| Error::Protocol(format!("the id {id:?}")))?;
        self.resumes = true;
        self.subscription.set_cursor(cursor);
        Ok(())
    }

    fn finish<C>(&mut self) -> ConnectionState<C> {
        self.subscription.finish();
        // Never looked at: the subscription is over.
        ConnectionState::default()
    }
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}
