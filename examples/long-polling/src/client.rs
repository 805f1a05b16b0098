//! A Rust client that lets the server wait.
//!
//! ```no_run
//! use feed::{contract::Update, Position};
//! use futures_util::StreamExt;
//! use long_polling::client::{Client, Follow};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("http://127.0.0.1:4102/".parse()?);
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

use client::{
    pages::{Pages, Rhythm},
    Pace,
};
pub use client::{ClientError, Follow};
use feed::{contract::Update, Cursor, Data, IdempotencyKey, Kind, Position};
use futures_util::stream::Stream;
use reqwest::Url;
use std::time::Duration;

/// The wait to ask for: as long as the book's servers grant, and shorter than the
/// time-outs of the proxies on the way.
const WAIT: Duration = Duration::from_secs(25);

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    pages: Pages,
}

impl Client {
    /// A client of the server whose routes lie at `base`, which ends in `/`. It asks
    /// the server to wait 25 s.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its attempts otherwise, where they fail.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        let pages = Pages::new(base, pace, Rhythm::Wait(WAIT));
        Self { pages }
    }

    /// The same client with another wait, in whole seconds, rounded up. Its requests
    /// time out 10 s after it.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        let pages = self.pages.with_rhythm(Rhythm::Wait(wait));
        Self { pages }
    }
}

impl Follow for Client {
    /// Dropping the stream ends the request under way, and frees its place in the
    /// server. A page without events is an
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
