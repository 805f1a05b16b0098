//! A Rust client that keeps itself connected.
//!
//! ```no_run
//! use feed::{contract::Update, Position};
//! use futures_util::StreamExt;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = sse::client::Client::new("http://127.0.0.1:4100/".parse()?);
//! let mut updates = std::pin::pin!(client.subscribe(Position::Latest));
//! while let Some(update) = updates.next().await {
//!     match update? {
//!         Update::Events(events) => println!("{} events", events.len()),
//!         Update::Gap(gap) => println!("events after {} are lost", gap.asked),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::parser::{Block, Message, Parser};
pub use client::ClientError;
use client::{failure, Backoff, Failure, Follow, Pace, Watchdog};
use feed::{
    contract::{control, End, EndReason, Heartbeat, Update, WireEvent, AFTER},
    Cursor, Data, Gap, IdempotencyKey, Kind, Position,
};
use futures_util::{
    future::{BoxFuture, FutureExt},
    stream::{self, BoxStream, Stream, StreamExt},
};
use reqwest::{header, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use std::{collections::VecDeque, time::Duration};
use tokio::time::{sleep, timeout};

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    pace: Pace,
}

impl Client {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its reconnecting otherwise. What the server asks for in `retry:` takes the place of
    /// [`Pace::first`].
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        Self {
            http: reqwest::Client::new(),
            base,
            pace,
        }
    }

    /// Events after `position`, across as many connections as it takes. Dropping the stream closes the connection.
    ///
    /// # Errors
    /// [`ClientError`] as the last item, where trying again would not help: the server refused, or is none of this kind.
    pub fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, ClientError>> + Send + 'static {
        let session = Session {
            backoff: Backoff::new(self.pace),
            client: self.clone(),
            position,
            watchdog: Watchdog::default(),
            state: State::Apart(Duration::ZERO),
            ready: VecDeque::new(),
        };
        stream::unfold(session, |mut session| async move {
            session.update().await.map(|update| (update, session))
        })
    }

    /// Publishes one event. With a `key` it may be repeated after an error without making a second one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, ClientError> {
        client::publish(&self.http, self.url("events")?, key, kind, data).await
    }

    fn url(&self, route: &str) -> Result<Url, ClientError> {
        let joined = self.base.join(route);
        joined.map_err(|error| ClientError::Protocol(format!("{}: {error}", self.base)))
    }
}

impl Follow for Client {
    fn subscribe(&self, position: Position) -> BoxStream<'static, Result<Update, ClientError>> {
        Self::subscribe(self, position).boxed()
    }

    fn publish(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Cursor, ClientError>> {
        async move { Self::publish(self, key.as_ref(), kind, data).await }.boxed()
    }
}

/// One subscription and what it remembers between its connections.
struct Session {
    client: Client,
    /// Where the next connection starts. A cursor as soon as the server has given one.
    position: Position,
    backoff: Backoff,
    watchdog: Watchdog,
    state: State,
    /// Updates that came in one piece of the stream.
    ready: VecDeque<Result<Update, ClientError>>,
}

enum State {
    /// No connection; the next attempt comes after this long.
    Apart(Duration),
    Connected {
        response: Response,
        parser: Box<Parser>,
        /// Whether this connection has given its cursor.
        opened: bool,
    },
    /// Nothing follows.
    Over,
}

impl Session {
    async fn update(&mut self) -> Option<Result<Update, ClientError>> {
        loop {
            if let Some(update) = self.ready.pop_front() {
                return Some(update);
            }
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return None,
                State::Apart(wait) => {
                    sleep(wait).await;
                    self.connect().await
                }
                State::Connected {
                    response,
                    parser,
                    opened,
                } => self.read(response, parser, opened).await,
            };
        }
    }

    async fn connect(&mut self) -> State {
        let mut url = match self.client.url("events") {
            Ok(url) => url,
            Err(error) => return self.fail(error),
        };
        let mut request = self.client.http.get(url.clone());
        match self.position {
            // What a browser sends when it comes back.
            Position::After(cursor) => {
                request = request.header("last-event-id", cursor.to_string())
            }
            position => {
                url.query_pairs_mut()
                    .append_pair(AFTER, &position.to_string());
                request = self.client.http.get(url);
            }
        }
        let request = request.header(header::ACCEPT, "text/event-stream");
        let response = match timeout(self.watchdog.patience(), request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_builder() => return self.fail(error.into()),
            Ok(Err(_)) | Err(_) => return self.apart(None),
        };
        match response.status() {
            StatusCode::OK if is_event_stream(&response) => State::Connected {
                response,
                parser: Box::default(),
                opened: false,
            },
            StatusCode::OK => self.fail(ClientError::Protocol(
                "200, but no text/event-stream".to_owned(),
            )),
            StatusCode::NO_CONTENT => self.finish(),
            _ => match failure(response).await {
                Failure::Passing(at_least) => self.apart(at_least),
                Failure::Final(error) => self.fail(error),
            },
        }
    }

    async fn read(
        &mut self,
        mut response: Response,
        mut parser: Box<Parser>,
        mut opened: bool,
    ) -> State {
        let piece = match timeout(self.watchdog.patience(), response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            // The stream broke off, ended without a word, or fell silent: all the same to a client that has its cursor.
            Ok(Ok(None) | Err(_)) | Err(_) => return self.apart(None),
        };
        let mut blocks = Vec::new();
        if let Err(too_large) = parser.push(&piece, &mut blocks) {
            return self.fail(ClientError::Protocol(too_large.to_string()));
        }
        if let Some(first) = parser.retry_ms() {
            self.backoff.set_first(Duration::from_millis(first));
        }
        let mut events = Vec::new();
        for block in blocks {
            let ended = match self.take(block, &mut opened, &mut events) {
                Ok(None) => continue,
                Ok(Some(reason)) => Ok(reason),
                Err(error) => Err(error),
            };
            // The events of this piece came before whatever ends it.
            self.hand_out(&mut events);
            return match ended {
                Ok(EndReason::Shutdown) => self.apart(None),
                Ok(EndReason::Finished) => self.finish(),
                Err(error) => self.fail(error),
            };
        }
        self.hand_out(&mut events);
        State::Connected {
            response,
            parser,
            opened,
        }
    }

    /// What one block means; a reason where the stream ends with it.
    fn take(
        &mut self,
        block: Block,
        opened: &mut bool,
        events: &mut Vec<WireEvent>,
    ) -> Result<Option<EndReason>, ClientError> {
        let message = match block {
            Block::Id(id) => {
                let cursor = id
                    .parse()
                    .map_err(|_| ClientError::Protocol(format!("the id {id:?}")))?;
                self.position = Position::After(cursor);
                if !std::mem::replace(opened, true) {
                    self.ready.push_back(Ok(Update::Opened(cursor)));
                }
                return Ok(None);
            }
            Block::Event(message) => message,
        };
        // A word from the server: it is well.
        self.backoff.reset();
        match message.kind.as_str() {
            "message" => {
                let event: WireEvent = json(&message)?;
                self.position = Position::After(event.id);
                events.push(event);
            }
            control::HEARTBEAT => {
                let Heartbeat { every } = json(&message)?;
                self.watchdog.heard_interval(Duration::from_millis(every));
                self.hand_out(events);
                self.ready.push_back(Ok(Update::Heartbeat));
            }
            control::GAP => {
                let gap: Gap = json(&message)?;
                self.position = Position::After(gap.resume);
                self.hand_out(events);
                self.ready.push_back(Ok(Update::Gap(gap)));
            }
            control::END => {
                let End { reason } = json(&message)?;
                return Ok(Some(reason));
            }
            // A kind of control message that this client does not know yet.
            _ => {}
        }
        Ok(None)
    }

    fn hand_out(&mut self, events: &mut Vec<WireEvent>) {
        if !events.is_empty() {
            self.ready
                .push_back(Ok(Update::Events(std::mem::take(events))));
        }
    }

    /// The connection is gone; the cursor stays.
    fn apart(&mut self, at_least: Option<Duration>) -> State {
        let wait = self.backoff.next_wait().max(at_least.unwrap_or_default());
        self.ready.push_back(Ok(Update::Reconnecting(wait)));
        State::Apart(wait)
    }

    fn finish(&mut self) -> State {
        self.ready.push_back(Ok(Update::Finished));
        State::Over
    }

    fn fail(&mut self, error: ClientError) -> State {
        self.ready.push_back(Err(error));
        State::Over
    }
}

fn json<T: DeserializeOwned>(message: &Message) -> Result<T, ClientError> {
    serde_json::from_str(&message.data).map_err(|error| {
        ClientError::Protocol(format!("{} {:?}: {error}", message.kind, message.data))
    })
}

fn is_event_stream(response: &Response) -> bool {
    let value = response.headers().get(header::CONTENT_TYPE);
    let text = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("text/event-stream")
}
