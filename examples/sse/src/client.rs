//! A Rust client that keeps itself connected.
//!
//! ```no_run
//! use feed::{contract::Update, Position};
//! use futures_util::StreamExt;
//! use sse::client::{Client, Follow};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:4100/".parse()?);
//! let mut updates = std::pin::pin!(client.subscribe(Position::Latest));
//! while let Some(update) = updates.next().await {
//!     match update? {
//!         Update::Events(events) => println!("{} events", events.len()),
//!         Update::Gap(gap) => println!("{gap}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::parser::{Block, Message, Parser};
use client::{
    failure, is_of_type, updates, Failure, Method, Pace, Server, Session, Watchdog,
};
pub use client::{ClientError, Follow};
use feed::{
    contract::{control, End, EndReason, Heartbeat, Hello, Update, AFTER},
    Cursor, Data, IdempotencyKey, Kind, Position,
};
use futures_util::stream::Stream;
use reqwest::{header, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
    pace: Pace,
}

impl Client {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its reconnecting otherwise. What the server asks for in
    /// `retry:` takes the place of [`Pace::first`].
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        Self {
            server: Server::new(base),
            pace,
        }
    }
}

impl Follow for Client {
    /// Dropping the stream closes the connection.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, ClientError>> + Send + 'static {
        updates(Follower {
            server: self.server.clone(),
            session: Session::new(position, self.pace),
            watchdog: Watchdog::default(),
            resumes: false,
            state: State::Apart(Duration::ZERO),
        })
    }

    async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, ClientError> {
        self.server.publish(key, kind, data).await
    }
}

/// One subscription.
struct Follower {
    server: Server,
    session: Session,
    watchdog: Watchdog,
    /// Whether the position is one that a stream gave, and no longer the user's.
    resumes: bool,
    state: State,
}

enum State {
    /// No connection; the next attempt comes after this long.
    Apart(Duration),
    /// A stream, and what of it was read but is no whole block yet.
    Connected(Response, Box<Parser>),
}

impl Method for Follower {
    fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    async fn step(&mut self) {
        let next =
            match std::mem::replace(&mut self.state, State::Apart(Duration::ZERO)) {
                State::Apart(wait) => {
                    sleep(wait).await;
                    self.connect().await
                }
                State::Connected(response, parser) => self.read(response, parser).await,
            };
        // Whatever ends a connection is told to the user, with the wait before the next
        // attempt; the cursor is kept.
        self.state =
            next.unwrap_or_else(|failure| State::Apart(self.session.failed(failure)));
    }
}

impl Follower {
    async fn connect(&mut self) -> Result<State, Failure> {
        let request = match self.session.position() {
            // What a browser sends when it comes back. A server that cannot place it
            // says so in the stream, while a position of the user's own that is wrong
            // is refused.
            Position::After(cursor) if self.resumes => {
                let request = self.server.get("events", None)?;
                request.header("last-event-id", cursor.to_string())
            }
            position => {
                let after = position.to_string();
                self.server.get("events", Some((AFTER, &after)))?
            }
        };
        let request = request.header(header::ACCEPT, "text/event-stream");
        let silence = |_| Failure::Passing(None);
        let response = timeout(self.watchdog.patience(), request.send());
        let response = response.await.map_err(silence)??;
        match response.status() {
            StatusCode::OK if is_of_type(&response, "text/event-stream") => {
                Ok(State::Connected(response, Box::default()))
            }
            StatusCode::OK => {
                // Such as the login page of a hotel, which may be gone the next time.
                let error = "200, but no text/event-stream".to_owned();
                Err(Failure::Strange(ClientError::Protocol(error)))
            }
            StatusCode::NO_CONTENT => Ok(self.finish()),
            _ => Err(failure(response).await),
        }
    }

    async fn read(
        &mut self,
        mut response: Response,
        mut parser: Box<Parser>,
    ) -> Result<State, Failure> {
        let piece = match timeout(self.watchdog.patience(), response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            // The stream broke off, ended without a word, or fell silent: all the same
            // to a client that has its cursor.
            Ok(Ok(None) | Err(_)) | Err(_) => return Err(Failure::Passing(None)),
        };
        let mut blocks = Vec::new();
        let pushed = parser.push(&piece, &mut blocks);
        pushed.map_err(|too_large| ClientError::Protocol(too_large.to_string()))?;
        if let Some(first) = parser.retry_ms() {
            self.session.set_first_wait(Duration::from_millis(first));
        }
        for block in blocks {
            match self.take(block)? {
                None => {}
                Some(EndReason::Shutdown) => return Err(Failure::Passing(None)),
                Some(EndReason::Finished) => return Ok(self.finish()),
            }
        }
        Ok(State::Connected(response, parser))
    }

    /// What one block means; a reason where the stream ends with it.
    fn take(&mut self, block: Block) -> Result<Option<EndReason>, ClientError> {
        let message = match block {
            Block::Id(id) => {
                self.at(&id)?;
                return Ok(None);
            }
            Block::Event(message) => message,
        };
        if message.kind == control::HELLO {
            // It opens the connection and is no proof of health: a server may greet
            // everybody, and then fail.
            let Hello { cursor, every } = json(&message)?;
            self.watchdog.heard_interval(Duration::from_millis(every));
            self.resumes = true;
            self.session.at(cursor);
            return Ok(None);
        }
        self.session.heard();
        match message.kind.as_str() {
            "message" => self.session.event(json(&message)?),
            control::HEARTBEAT => {
                let Heartbeat { every } = json(&message)?;
                self.watchdog.heard_interval(Duration::from_millis(every));
                // The server may be past events that it has not sent, and then its id
                // says how far.
                self.at(&message.last_event_id)?;
                self.session.heartbeat();
            }
            control::GAP => self.session.gap(json(&message)?),
            control::END => {
                let End { reason } = json(&message)?;
                return Ok(Some(reason));
            }
            // A kind of control message that this client does not know yet.
            _ => {}
        }
        Ok(None)
    }

    /// The stream has named a place without an event.
    fn at(&mut self, id: &str) -> Result<(), ClientError> {
        let cursor = id.parse();
        let cursor =
            cursor.map_err(|_| ClientError::Protocol(format!("the id {id:?}")))?;
        self.resumes = true;
        self.session.at(cursor);
        Ok(())
    }

    fn finish(&mut self) -> State {
        self.session.finish();
        // Never looked at: the session is over.
        State::Apart(Duration::ZERO)
    }
}

fn json<T: DeserializeOwned>(message: &Message) -> Result<T, ClientError> {
    serde_json::from_str(&message.data).map_err(|error| {
        ClientError::Protocol(format!("{} {:?}: {error}", message.kind, message.data))
    })
}
