//! A Rust client that asks again and again.
//!
//! ```no_run
//! use feed::{contract::Update, Position};
//! use futures_util::StreamExt;
//! use polling::client::{Client, Follow};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:4101/".parse()?);
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

use crate::Prices;
use client::{failure, json, pages, pages::Pages, Pace, Server};
pub use client::{ClientError, Failure, Follow};
use feed::{contract::Update, Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::stream::Stream;
use reqwest::{
    header::{HeaderValue, ETAG, IF_NONE_MATCH},
    StatusCode, Url,
};
use std::time::Duration;

// ANCHOR: rhythm
/// How long a client pauses between its questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// The pause, on average; default 2 s. News is then a second old on average, and a
    /// chat still feels like one.
    pub interval: Duration,
    /// By how much of the interval a pause may be shorter or longer, from 0 to 1;
    /// default 0.1. Clients that one slow answer has brought into step come apart again
    /// by it.
    pub jitter: f64,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            jitter: 0.1,
        }
    }
}
// ANCHOR_END: rhythm

impl From<Rhythm> for pages::Rhythm {
    fn from(Rhythm { interval, jitter }: Rhythm) -> Self {
        Self::Interval { interval, jitter }
    }
}

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    pages: Pages,
}

impl Client {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its attempts otherwise, where they fail.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        let pages = Pages::new(base, pace, Rhythm::default().into());
        Self { pages }
    }

    /// The same client with other pauses between its questions.
    #[must_use]
    pub fn with_rhythm(self, rhythm: Rhythm) -> Self {
        let pages = self.pages.with_rhythm(rhythm.into());
        Self { pages }
    }
}

impl Follow for Client {
    /// Dropping the stream ends the asking. A page without events is an
    /// [`Update::Heartbeat`]: the server is there.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, ClientError>> + Send + 'static {
        self.pages.subscribe(position)
    }

    async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, ClientError> {
        self.pages.publish(key, kind, data).await
    }
}

// ANCHOR: state_client
/// A client of the state. It remembers which one it has, and asks for another.
#[derive(Clone, Debug)]
pub struct StateClient {
    server: Server,
    /// The tag of the state that was handed out last, as the server wrote it: to a
    /// client, a tag has no meaning.
    etag: Option<HeaderValue>,
}

impl StateClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        let server = Server::new(base);
        Self { server, etag: None }
    }

    /// The state; `None` where it is the one that the last call gave.
    ///
    /// # Errors
    /// [`Failure`], sorted by what to do next. The client keeps what it has, so a later
    /// call goes on from there.
    pub async fn get(&mut self) -> Result<Option<Prices>, Failure> {
        let mut request = self.server.get("state", None)?.timeout(client::PATIENCE);
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        let etag = response.headers().get(ETAG).cloned();
        match response.status() {
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::OK => {
                let prices = json(response, "state").await?;
                // Last, so that an answer that broke off is asked for again.
                self.etag = etag;
                Ok(Some(prices))
            }
            _ => Err(failure(response).await),
        }
    }
}
// ANCHOR_END: state_client
