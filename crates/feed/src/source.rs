//! What a log is filled from, where it does not live in this process alone.

use crate::{
    event::Draft, log::Shared, Batch, Event, PublishError, Published, ReadError,
};
use contract::{
    Cursor, Data, Epoch, EventId, Gap, GapReason, IdempotencyKey, Kind, Position,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// An engine that has not answered for so long is away. Longer than a new leader takes
/// to be elected among its nodes, and shorter than a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Readers who are behind the window ask the engine; so many at once. More would only
/// wait there.
const QUESTIONS: usize = 16;

/// A cursor past the end is refused for good, so the end is asked for more than once: a
/// node that was just elected, or is cut off from the others, may not know it yet.
const LOOKS: u32 = 3;
const LOOK: Duration = Duration::from_millis(200);

// ANCHOR: source
/// A log that outlives this process, or that several servers share: an engine.
///
/// A [`Feed`](crate::Feed) over one is a window of it. What is in the window is read
/// here; a publish goes to the engine, and comes back by the [`Filler`] in the
/// engine's order. Epoch and ids are the engine's, so a cursor means the same at every
/// server, and after a restart.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Appends one event, and answers when the engine has it as safely as it promises.
    /// With a key that the engine remembers, the answer is the earlier event's id.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] where the engine did not answer: the event may be
    /// there or not, and a retry with the same key finds out.
    fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Published, PublishError>>;

    /// The place after the newest event, as the engine has it at some moment between
    /// the question and the answer.
    ///
    /// # Errors
    /// Where the engine does not answer.
    fn latest(&self) -> BoxFuture<'_, Result<Cursor, Unavailable>>;

    /// What the engine still holds after `id`, oldest first: at most `max_events`, and
    /// at most `max_bytes` of data, but at least one if there is any.
    ///
    /// # Errors
    /// Where the engine does not answer.
    fn read(
        &self,
        id: EventId,
        max_events: usize,
        max_bytes: usize,
    ) -> BoxFuture<'_, Result<Entries, Unavailable>>;
}
// ANCHOR_END: source

/// The engine did not answer. What it said, if anything, is in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log cannot be reached")]
pub struct Unavailable;

/// An event as an engine has it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place among all: one more than the id of the event before it.
    pub id: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// Its data.
    pub data: Data,
}

/// Events of one log, oldest first.
#[derive(Clone, Debug)]
pub struct Entries {
    /// The log's name.
    pub epoch: Epoch,
    /// Its events.
    pub entries: Vec<Entry>,
}

impl Entry {
    pub(crate) fn into_event(self, epoch: Epoch) -> Event {
        let Self { id, at, kind, data } = self;
        Draft::new(kind, &data).into_event(Cursor { epoch, id }, at)
    }
}

/// Fills the window of a log from its [`Source`]. There is one for each window. It does
/// not keep the log alive: with the last [`Feed`](crate::Feed) its work is over.
#[derive(Debug)]
pub struct Filler {
    pub(crate) shared: Weak<Shared>,
}

impl Filler {
    /// After the newest event of the window: the place to go on from. `None` where
    /// nobody holds the log any more.
    pub fn latest(&self) -> Option<Cursor> {
        Some(self.shared.upgrade()?.read().latest())
    }

    /// Begins anew after `place`, with nothing. Where that is of another log than the
    /// window held, its readers are told so.
    pub fn begin(&self, place: Cursor) {
        if let Some(shared) = self.shared.upgrade() {
            shared.write().begin(place);
            shared.wake_ups.wake_now();
        }
    }

    /// Appends what follows, oldest first. What the window has already is passed over:
    /// an engine may deliver it again. Where events are missing in between, the window
    /// holds only what comes after them; who is behind reads from the source.
    pub fn append(&self, entries: Entries) {
        let Entries { epoch, entries } = entries;
        // Before the lock, which all readers wait for.
        let events: Vec<_> = entries
            .into_iter()
            .map(|entry| entry.into_event(epoch))
            .collect();
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        {
            let mut ring = shared.write();
            for event in events {
                ring.fill(event);
            }
        }
        shared.wake_ups.wake();
    }

    /// The engine answers again: who waits for it is to ask once more.
    pub fn is_back(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.wake_ups.wake_now();
        }
    }
}

/// The source of a window, and who may ask it.
#[derive(Debug)]
pub(crate) struct Sourced {
    source: Arc<dyn Source>,
    questions: Semaphore,
}

impl Sourced {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        Self {
            source,
            questions: Semaphore::new(QUESTIONS),
        }
    }

    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let answer = async {
            let _turn = self.questions.acquire().await.map_err(|_| Unavailable)?;
            question.await
        };
        timeout(PATIENCE, answer).await.map_err(|_| Unavailable)?
    }

    pub(crate) async fn latest(&self) -> Result<Cursor, Unavailable> {
        self.ask(self.source.latest()).await
    }

    pub(crate) async fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Published, PublishError> {
        let said = key.is_some().then(|| (kind.clone(), data.clone()));
        let appended = timeout(PATIENCE, self.source.append(key, kind, data));
        let published = appended.await.map_err(|_| PublishError::Unavailable)??;
        let Some((kind, data)) = said.filter(|_| published.repeated) else {
            return Ok(published);
        };
        // The engine knows the key, and not what was said with it.
        let before = EventId::new(published.cursor.id.get().saturating_sub(1));
        let there = self.ask(self.source.read(before, 1, 0)).await?;
        let there = there.entries.into_iter().next();
        match there.filter(|entry| entry.id == published.cursor.id) {
            Some(entry)
                if entry.kind != kind || entry.data.as_str() != data.as_str() =>
            {
                Err(PublishError::KeyReused)
            }
            // Or it is gone, and nobody can tell.
            _ => Ok(published),
        }
    }
}

impl Shared {
    // ANCHOR: reach
    /// See [`Feed::reach`](crate::Feed::reach).
    pub(crate) async fn reach(&self, position: Position) -> Result<(), ReadError> {
        let (Some(sourced), Position::After(asked)) = (&self.source, position) else {
            return Ok(());
        };
        if self.read().has_come_to(asked) {
            return Ok(());
        }
        let is_ahead = |of: Cursor| asked.epoch == of.epoch && asked.id > of.id;
        let mut latest = sourced.latest().await?;
        for _ in 1..LOOKS {
            if !is_ahead(latest) {
                break;
            }
            sleep(LOOK).await;
            latest = sourced.latest().await?;
        }
        let place = match asked.epoch == latest.epoch {
            true if is_ahead(latest) => {
                return Err(ReadError::Future { asked, latest })
            }
            true => asked,
            // It is of another log. Which one is the newer, this window may have to
            // learn as well.
            false => latest,
        };
        let mut woken = self.wake_ups.subscribe();
        let comes = async {
            loop {
                woken.mark_unchanged();
                if self.read().has_come_to(place) {
                    return;
                }
                // The sender lives in this struct.
                woken.changed().await.ok();
            }
        };
        timeout(PATIENCE, comes)
            .await
            .map_err(|_| ReadError::Unavailable)
    }
    // ANCHOR_END: reach

    /// What the engine holds of what this gap says is gone, or what is really gone.
    pub(crate) async fn read_through(
        &self,
        gap: Gap,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Result<Batch, Gap>, Unavailable> {
        let (Some(sourced), GapReason::Expired, Some(asked)) =
            (&self.source, gap.reason, gap.asked)
        else {
            return Ok(Err(gap));
        };
        let question = sourced.source.read(asked.id, max_events, max_bytes);
        let Entries { epoch, entries } = sourced.ask(question).await?;
        let first = entries.first().filter(|_| epoch == asked.epoch);
        let Some(first) = first else {
            return Ok(Err(gap));
        };
        if first.id.get() > asked.id.get() + 1 {
            let id = EventId::new(first.id.get() - 1);
            let resume = Cursor { epoch, id };
            return Ok(Err(Gap { resume, ..gap }));
        }
        let events: Vec<_> = entries
            .into_iter()
            .map(|entry| Arc::new(entry.into_event(epoch)))
            .collect();
        let next = events.last().map_or(asked, |event| event.cursor());
        Ok(Ok(Batch {
            after: asked,
            events,
            next,
            log: self.read().state(),
        }))
    }
}
