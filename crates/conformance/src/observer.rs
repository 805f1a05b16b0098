//! A client under observation: what it has reported so far decides what may come next.

use crate::{Refused, PATIENCE};
use client::Update;
use contract::{Cursor, Event, Gap, Kind};
use futures_util::stream::{BoxStream, StreamExt};
use std::{collections::VecDeque, fmt::Debug, future::Future};

pub(crate) struct Observer {
    updates: BoxStream<'static, Result<Update, Refused>>,
    /// The kinds of the events that the case publishes. Those of others are left out: a
    /// server that runs already may have other publishers.
    kinds: Vec<Kind>,
    /// Events that came in one update but were not looked at yet.
    pending: VecDeque<Event>,
    /// How often it has lost its connection.
    losses: u32,
}

impl Observer {
    pub(crate) fn new(
        updates: BoxStream<'static, Result<Update, Refused>>,
        kind: Kind,
    ) -> Self {
        Self {
            updates,
            kinds: vec![kind],
            pending: VecDeque::new(),
            losses: 0,
        }
    }

    /// The same, which looks at events of this kind as well.
    pub(crate) fn also_of(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Whether nothing has happened to its connection so far.
    pub(crate) fn undisturbed(&self) -> Result<(), String> {
        match self.losses {
            0 => Ok(()),
            losses => Err(format!("a connection was lost {losses} times")),
        }
    }

    async fn update(&mut self) -> Result<Update, String> {
        match self.updates.next().await {
            Some(Ok(Update::Events(mut events))) => {
                events.retain(|event| self.kinds.contains(&event.kind));
                Ok(Update::Events(events))
            }
            Some(Ok(update)) => {
                self.losses += u32::from(matches!(update, Update::Reconnecting(_)));
                Ok(update)
            }
            Some(Err(Refused(problem))) => Err(format!("refused: {problem}")),
            None => Err("the client ended".to_owned()),
        }
    }

    /// The next thing that is neither a heartbeat nor news of the connection.
    async fn event_gap_or_end(&mut self) -> Result<Update, String> {
        loop {
            match self.update().await? {
                Update::Heartbeat | Update::Opened(_) | Update::Reconnecting(_) => {}
                Update::Events(events) if events.is_empty() => {}
                update => return Ok(update),
            }
        }
    }

    /// The next event of the case; anything else but heartbeats and reconnects is an
    /// error.
    pub(crate) async fn event(&mut self) -> Result<Event, String> {
        in_time("an event", async {
            loop {
                if let Some(event) = self.pending.pop_front() {
                    return Ok(event);
                }
                match self.event_gap_or_end().await? {
                    Update::Events(events) => self.pending.extend(events),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// The next thing, which must be a gap.
    pub(crate) async fn gap(&mut self) -> Result<Gap, String> {
        in_time("a gap", async {
            if let Some(event) = self.pending.pop_front() {
                return unexpected(&event);
            }
            match self.event_gap_or_end().await? {
                Update::Gap(gap) => Ok(gap),
                other => unexpected(&other),
            }
        })
        .await
    }

    /// The very next update, which must be the first cursor of the connection.
    pub(crate) async fn opened(&mut self) -> Result<Cursor, String> {
        in_time("a cursor before anything else", async {
            match self.update().await? {
                Update::Opened(cursor) => Ok(cursor),
                other => unexpected(&other),
            }
        })
        .await
    }

    /// The next update that is not news of the connection, which must be a heartbeat.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), String> {
        in_time("a heartbeat", async {
            loop {
                match self.update().await? {
                    Update::Opened(_) => {}
                    Update::Heartbeat => return Ok(()),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// News that the connection was lost. Heartbeats may come before it, and events
    /// that were on their way, which are kept.
    pub(crate) async fn reconnecting(&mut self) -> Result<(), String> {
        in_time("news that the connection is lost", async {
            loop {
                match self.update().await? {
                    Update::Opened(_) | Update::Heartbeat => {}
                    Update::Events(events) => self.pending.extend(events),
                    Update::Reconnecting(_) => return Ok(()),
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    /// News that the log is finished, and then the end of the client.
    pub(crate) async fn finished(&mut self) -> Result<(), String> {
        in_time("the end of the log, and of the client", async {
            match self.event_gap_or_end().await? {
                Update::Finished => self.ended().await,
                other => unexpected(&other),
            }
        })
        .await
    }

    /// A refusal, by name, and then the end of the client.
    pub(crate) async fn refused(&mut self) -> Result<String, String> {
        in_time("a refusal, and the end of the client", async {
            loop {
                match self.updates.next().await {
                    Some(Err(Refused(problem))) => {
                        return self.ended().await.map(|()| problem)
                    }
                    Some(Ok(Update::Reconnecting(_) | Update::Heartbeat)) => {}
                    other => return unexpected(&other),
                }
            }
        })
        .await
    }

    async fn ended(&mut self) -> Result<(), String> {
        match self.updates.next().await {
            None => Ok(()),
            Some(more) => unexpected(&more),
        }
    }
}

fn unexpected<T>(found: &dyn Debug) -> Result<T, String> {
    Err(format!("got {found:?}"))
}

/// Waits no longer than [`PATIENCE`], all in all: heartbeats on the way do not prolong
/// it.
pub(crate) async fn in_time<T>(
    what: &str,
    coming: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(outcome) => outcome.map_err(|error| format!("awaited {what}; {error}")),
        Err(_) => Err(format!("awaited {what}; it did not come")),
    }
}
