//! The client of long polling: it lets the server wait.

use crate::{
    endpoint::Endpoint,
    pages::{PageClient, Schedule},
    Client, Error, Pace, Update,
};
use contract::Position;
use futures_util::stream::Stream;
use reqwest::Url;
use std::time::Duration;

/// The wait to ask for: as long as the book's servers grant, and shorter than the
/// time-outs of the proxies on the way.
const WAIT: Duration = Duration::from_secs(25);

/// A client of one server by long polling.
#[derive(Clone, Debug)]
pub struct LongPollingClient {
    pages: PageClient,
}

impl LongPollingClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`. It asks
    /// the server to wait 25 s.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its attempts otherwise, where they fail.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        let pages = PageClient::new(base, pace, Schedule::Wait(WAIT));
        Self { pages }
    }

    /// The same client with another wait, in whole seconds, rounded up; an hour at
    /// most. Its requests time out 10 s after it.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        let pages = self.pages.with_schedule(Schedule::Wait(wait));
        Self { pages }
    }

    /// The same client by way of `endpoint`, which may have an HTTP client of its own.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        let pages = self.pages.with_endpoint(endpoint);
        Self { pages }
    }
}

impl Client for LongPollingClient {
    /// Dropping the stream ends the request under way, and frees its place in the
    /// server. A page without events is an [`Update::Heartbeat`]: the server is there.
    fn subscribe(
        &self,
        position: Position,
    ) -> impl Stream<Item = Result<Update, Error>> + Send + 'static {
        self.pages.subscribe(position)
    }

    fn endpoint(&self) -> &Endpoint {
        self.pages.endpoint()
    }
}
