//! The clients of polling: one of the log, which asks again and again, and one of a
//! state, which asks whether it has changed.

use crate::{
    endpoint::Endpoint,
    pages::{PageClient, Schedule},
    response::{failure, json},
    Client, Error, Failure, Pace, Update, PATIENCE,
};
use contract::Position;
use futures_util::stream::Stream;
use reqwest::{
    header::{HeaderValue, ETAG, IF_NONE_MATCH},
    StatusCode, Url,
};
use serde::de::DeserializeOwned;
use std::{marker::PhantomData, time::Duration};

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

/// A client of one server by polling.
#[derive(Clone, Debug)]
pub struct PollingClient {
    pages: PageClient,
}

impl PollingClient {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self::with_pace(base, Pace::default())
    }

    /// A client that paces its attempts otherwise, where they fail.
    pub fn with_pace(base: Url, pace: Pace) -> Self {
        let schedule = Schedule::Interval(Rhythm::default());
        let pages = PageClient::new(base, pace, schedule);
        Self { pages }
    }

    /// The same client with other pauses between its questions.
    #[must_use]
    pub fn with_rhythm(self, rhythm: Rhythm) -> Self {
        let pages = self.pages.with_schedule(Schedule::Interval(rhythm));
        Self { pages }
    }

    /// The same client by way of `endpoint`, which may have an HTTP client of its own.
    #[must_use]
    pub fn with_endpoint(self, endpoint: Endpoint) -> Self {
        let pages = self.pages.with_endpoint(endpoint);
        Self { pages }
    }
}

impl Client for PollingClient {
    /// Dropping the stream ends the asking. A page without events is an
    /// [`Update::Heartbeat`]: the server is there.
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

/// A client of a state, which is JSON of the type `S`. It remembers the tag of the one
/// that it has, and asks for another.
#[derive(Clone, Debug)]
pub struct StateClient<S> {
    endpoint: Endpoint,
    /// The tag of the state that was handed out last, as the server wrote it: to a
    /// client, a tag has no meaning.
    etag: Option<HeaderValue>,
    state: PhantomData<fn() -> S>,
}

impl<S: DeserializeOwned> StateClient<S> {
    /// A client of the server whose routes lie at `base`, which ends in `/`.
    pub fn new(base: Url) -> Self {
        Self {
            endpoint: Endpoint::new(base),
            etag: None,
            state: PhantomData,
        }
    }

    /// The state; `None` where it is the one that the last call returned.
    ///
    /// # Errors
    /// [`Failure`], sorted by what to do next. The client keeps what it has, so a later
    /// call goes on from there.
    pub async fn get(&mut self) -> Result<Option<S>, Failure> {
        let mut request = self.endpoint.get("state", None)?.timeout(PATIENCE);
        if let Some(etag) = &self.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        let etag = response.headers().get(ETAG).cloned();
        match response.status() {
            StatusCode::NOT_MODIFIED => Ok(None),
            StatusCode::OK => {
                let state = json(response, "state").await?;
                // Last, so that an answer that broke off is asked for again.
                self.etag = etag;
                Ok(Some(state))
            }
            _ => Err(failure(response).await),
        }
    }
}
