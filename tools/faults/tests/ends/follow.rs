//! Clients of the book that keep count of what happens to them.

use crate::wire::Method;
use anyhow::{bail, Context as _};
use client::{
    Client, Endpoint, LongPollingClient, Pace, PollingClient, Rhythm, SseClient, Update,
    WebSocketClient,
};
use contract::{Gap, Position};
use futures_util::{stream::BoxStream, StreamExt};
use std::time::{Duration, Instant};
use url::Url;

/// The updates of a client.
pub type Updates = BoxStream<'static, Result<Update, client::Error>>;

/// A client of `method` whose routes lie at the endpoint.
pub fn subscribe(method: Method, endpoint: Endpoint, pace: Pace, poll: Duration) -> Updates {
    let nowhere: Url = "http://127.0.0.1/".parse().expect("a URL");
    let rhythm = Rhythm {
        interval: poll,
        ..Rhythm::default()
    };
    let latest = Position::Latest;
    match method {
        Method::Polling => PollingClient::with_pace(nowhere, pace)
            .with_rhythm(rhythm)
            .with_endpoint(endpoint)
            .subscribe(latest)
            .boxed(),
        Method::LongPolling => LongPollingClient::with_pace(nowhere, pace)
            .with_endpoint(endpoint)
            .subscribe(latest)
            .boxed(),
        Method::Sse => SseClient::with_pace(nowhere, pace)
            .with_endpoint(endpoint)
            .subscribe(latest)
            .boxed(),
        Method::WebSocket => WebSocketClient::with_pace(nowhere, pace)
            .with_endpoint(endpoint)
            .subscribe(latest)
            .boxed(),
    }
}

/// What one client has met.
#[derive(Debug)]
pub struct Tally {
    pub method: Method,
    /// Events that it should have had, and had not.
    pub lost: u64,
    /// Events that it had before.
    pub doubled: u64,
    pub gaps: Vec<Gap>,
    /// When a connection of its own stood again after one was lost.
    pub returns: Vec<Instant>,
    /// For how long it had none.
    pub away: Vec<Duration>,
    /// How often it was told that something has failed, or had to come back.
    pub failures: u64,
}

/// Follows until an event of this kind; `opened` is called once the client has its cursor.
pub async fn follow(
    method: Method,
    mut updates: Updates,
    last: &str,
    opened: impl FnOnce(),
) -> anyhow::Result<Tally> {
    let mut tally = Tally {
        method,
        lost: 0,
        doubled: 0,
        gaps: Vec::new(),
        returns: Vec::new(),
        away: Vec::new(),
        failures: 0,
    };
    let mut opened = Some(opened);
    // The id of the event that it had last, or where it began.
    let mut at = None;
    let mut lost = None::<Instant>;
    while let Some(update) = updates.next().await {
        match update.with_context(|| format!("{method:?}"))? {
            Update::Opened(cursor) => {
                at.get_or_insert(cursor.id.get());
                if let Some(since) = lost.take() {
                    tally.away.push(since.elapsed());
                    tally.returns.push(Instant::now());
                }
                if let Some(opened) = opened.take() {
                    opened();
                }
            }
            Update::Events(events) => {
                for event in events {
                    let (id, had) = (event.id.id.get(), at.context("a cursor first")?);
                    match id {
                        id if id <= had => tally.doubled += 1,
                        id => tally.lost += id - had - 1,
                    }
                    at = Some(id.max(had));
                    if event.kind.as_str() == last {
                        return Ok(tally);
                    }
                }
            }
            Update::Gap(gap) => tally.gaps.push(gap),
            Update::Reconnecting(_) => {
                tally.failures += 1;
                lost.get_or_insert_with(Instant::now);
            }
            Update::Heartbeat => {}
            Update::Finished => bail!("{method:?}: the log is not finished"),
        }
    }
    bail!("{method:?}: it has ended")
}
