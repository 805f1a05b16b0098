//! The client of WebSocket: it keeps itself connected, and publishes over the same
//! socket.

mod connection;
mod follower;
mod handshake;
mod publisher;

pub use handshake::{open, Opened, Socket};
pub use publisher::Publisher;

#[cfg(test)]
pub(crate) use follower::CloseAction;

use crate::{endpoint::Endpoint, subscription::updates, Client, Error, Pace, Update};
use contract::{Cursor, Data, IdempotencyKey, Kind, Position, Problem};
use follower::WebSocketFollower;
use futures_util::{
    future::FutureExt,
    stream::{Stream, StreamExt},
};
use reqwest::Url;
use std::pin::pin;

/// A client of one server by WebSocket.
///
/// ```no_run
/// use client::{Update, WebSocketClient};
/// use contract::{Data, Position};
/// use futures_util::StreamExt;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = WebSocketClient::new("http://127.0.0.1:4103/".parse()?);
/// let (publisher, updates) = client.connect(Position::Latest);
/// let (kind, data) = ("message".parse()?, Data::new("hello")?);
/// tokio::spawn(async move { publisher.publish(None, kind, data).await });
/// let mut updates = std::pin::pin!(updates);
/// while let Some(update) = updates.next().await {
///     if let Update::Events(events) = update? {
///         println!("{} events", events.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WebSocketClient {
    endpoint: Endpoint,
    pace: Pace,
}

impl WebSocketClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`. `http:`
    /// and `ws:` mean the same here: the handshake is a request of HTTP.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its reconnecting otherwise.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        Self {
            endpoint: Endpoint::new(http(base)),
            pace,
        }
    }

    /// The same client by way of `endpoint`, which may have an HTTP client of its own.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }

    /// Events after `position`, and a way to publish, both over one socket, and across
    /// as many as it takes. Dropping the stream closes the socket.
    ///
    /// The stream does all the work: what is published is sent, and its answer read,
    /// only while the stream is polled. Publish from another task. Where it is not
    /// polled for two heartbeats, no ping is answered, and the server drops the
    /// connection; the next poll reconnects, and goes on after its cursor.
    ///
    /// # Errors
    /// [`Error`] as the last item, where trying again would not help: the server
    /// refused, or is none of this kind.
    pub fn connect(
        &self,
        position: Position,
    ) -> (
        Publisher,
        impl Stream<Item = Result<Update, Error>> + Send + 'static,
    ) {
        let (publisher, outbox) = publisher::channel();
        let endpoint = self.endpoint.clone();
        let follower = WebSocketFollower::new(endpoint, position, self.pace, outbox);
        (publisher, updates(follower))
    }
}

impl Client for WebSocketClient {
    /// [`connect`](WebSocketClient::connect) for those who only listen.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, Error>> + Send + 'static {
        self.connect(position).1
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Publishes one event, over a socket of its own. With a `key` it may be repeated
    /// after an error without making a second one.
    ///
    /// For those who publish now and then and listen to nothing: the handshake takes a
    /// round trip more than the publish. Whoever has a subscription uses its
    /// [`Publisher`].
    ///
    /// # Errors
    /// [`Error`]. It makes one attempt; an answer must come within 10 s.
    async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, Error> {
        let (publisher, updates) = self.connect(Position::Latest);
        let mut answer = pin!(publisher.publish(key, kind, data));
        let failure = tokio::select! {
            answer = &mut answer => return answer,
            failure = failure_of(updates) => failure,
        };
        // The answer may have come together with the end.
        match answer.now_or_never() {
            Some(Err(Error::NoAnswer)) | None => Err(failure),
            Some(answer) => answer,
        }
    }
}

/// The same base with the scheme that the handshake is sent by.
fn http(mut base: Url) -> Url {
    let scheme = match base.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return base,
    };
    base.set_scheme(scheme)
        .expect("both schemes have a host and a port");
    base
}

/// Polls a subscription until it fails in any way, and returns how.
async fn failure_of(updates: impl Stream<Item = Result<Update, Error>>) -> Error {
    let mut updates = pin!(updates);
    loop {
        match updates.next().await {
            Some(Ok(Update::Finished)) => {
                return Error::Refused(Box::new(Problem::finished()))
            }
            Some(Ok(Update::Reconnecting(_))) | None => return Error::NoAnswer,
            Some(Err(error)) => return error,
            Some(Ok(_)) => {}
        }
    }
}
