//! The log: publish, read, subscribe.

use crate::{
    event::Draft,
    ring::{Retention, Ring},
    source::{Filler, Source, Sourced, Unavailable},
    wake::WakeUps,
    Batch, Event, Subscription,
};
use contract::{
    Cursor, Data, Epoch, EventId, Gap, IdempotencyKey, Kind, Position, Status,
};
use jiff::Timestamp;
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};
use thiserror::Error;

/// 64 KiB of JSON for one event: far more than a notification needs, and a batch of the
/// default size still holds one.
const MAX_EVENT_BYTES: usize = 64 * 1024;

/// One append-only log of events. Cloning it gives another handle to the same log.
#[derive(Clone)]
pub struct Feed {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    /// The window. Many read at once, one appends. A guard lives for a few instructions
    /// and never across an await.
    pub(crate) ring: RwLock<Ring>,
    /// Wakes those who wait for the next entry.
    pub(crate) wake_ups: Arc<WakeUps>,
    /// The clock that stamps events; replaceable, so that tests can state whole events
    /// to the byte.
    clock: Clock,
    /// The largest event taken, in bytes of its data.
    max_event_bytes: usize,
    /// What this is a window of; `None` where the window is all there is.
    pub(crate) source: Option<Sourced>,
}

type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

impl Shared {
    // A lock is poisoned when a thread panicked while holding it. Nothing here panics
    // between two halves of a change, so what a poisoned lock guards is whole, and one
    // panic elsewhere must not end the log.
    pub(crate) fn read(&self) -> std::sync::RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> std::sync::RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Feed`] is made of.
pub struct Builder {
    retention: Retention,
    epoch: Option<Epoch>,
    clock: Clock,
    max_event_bytes: usize,
}

/// A name for a log that begins, from the system's randomness: a generator that starts
/// from a clock would give two servers that start together the same.
pub fn draw_epoch() -> Epoch {
    Epoch::from_number(getrandom::u64().expect("the system has a source of randomness"))
}

impl Builder {
    /// How much is kept. A bound of 0 is taken as 1.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Retention {
            max_events: retention.max_events.max(1),
            max_bytes: retention.max_bytes.max(1),
        };
        self
    }

    /// The log's name; random unless set. Set it in tests, or where a log outlives its
    /// process.
    #[must_use]
    pub fn epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The clock that stamps events; the system's unless set.
    #[must_use]
    pub fn clock(
        mut self,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The largest data taken, in bytes of JSON; 64 KiB unless set.
    #[must_use]
    pub fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.max_event_bytes = bytes;
        self
    }

    /// The log, empty.
    ///
    /// # Panics
    /// Where no epoch is set and the system has no source of randomness.
    pub fn build(self) -> Feed {
        self.build_over(None)
    }

    /// A window of the log that `source` has, empty until the [`Filler`] fills it. It
    /// has the epoch of the source and no clock of its own.
    ///
    /// # Panics
    /// Where the system has no source of randomness.
    pub fn build_window(self, source: Arc<dyn Source>) -> (Feed, Filler) {
        let feed = self.build_over(Some(Sourced::new(source)));
        let shared = Arc::downgrade(&feed.shared);
        (feed, Filler { shared })
    }

    fn build_over(self, source: Option<Sourced>) -> Feed {
        let epoch = self.epoch.unwrap_or_else(draw_epoch);
        Feed {
            shared: Arc::new(Shared {
                ring: RwLock::new(Ring::new(epoch, self.retention)),
                wake_ups: WakeUps::new(),
                clock: self.clock,
                max_event_bytes: self.max_event_bytes,
                source,
            }),
        }
    }
}

/// A cursor of this log that names an event which does not exist yet: whoever sends it
/// is mistaken, so it is an error and not a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the cursor {asked} is ahead of this log, which is at {latest}")]
pub struct FutureCursor {
    /// The cursor that was asked for.
    pub asked: Cursor,
    /// The place after the newest event.
    pub latest: Cursor,
}

/// Why [`Feed::read`] has no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Events were missed; reading goes on from [`Gap::resume`].
    #[error("{0}")]
    Gap(Gap),
    /// The cursor is ahead of the log.
    #[error("the cursor {asked} is ahead of this log, which is at {latest}")]
    Future {
        /// The cursor that was asked for.
        asked: Cursor,
        /// The place after the newest event.
        latest: Cursor,
    },
    /// It needs the [`Source`], which does not answer.
    #[error("{Unavailable}")]
    Unavailable,
}

impl From<Unavailable> for ReadError {
    fn from(Unavailable: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl From<FutureCursor> for ReadError {
    fn from(FutureCursor { asked, latest }: FutureCursor) -> Self {
        Self::Future { asked, latest }
    }
}

/// Why an event was not taken. But for `Unavailable`, none of these has an effect on
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The data is larger than the log takes.
    #[error("the data has {bytes} bytes; at most {limit} are taken")]
    TooLarge {
        /// Its size, in bytes of JSON.
        bytes: usize,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// The idempotency key was used before, for another event.
    #[error("this idempotency key was used for another event")]
    KeyReused,
    /// The log is finished.
    #[error("this log is finished and takes no more events")]
    Finished,
    /// The [`Source`] did not answer: the event may be in the log or not.
    #[error("{Unavailable}")]
    Unavailable,
}

impl From<Unavailable> for PublishError {
    fn from(Unavailable: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// What [`Feed::publish_once`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The event's id.
    pub cursor: Cursor,
    /// Whether it was there already, from an earlier attempt with the same key.
    pub repeated: bool,
}

impl Feed {
    /// An empty log with a random epoch.
    pub fn new(retention: Retention) -> Self {
        Self::builder().retention(retention).build()
    }

    /// A log with settings of its own.
    pub fn builder() -> Builder {
        Builder {
            retention: Retention::default(),
            epoch: None,
            clock: Box::new(Timestamp::now),
            max_event_bytes: MAX_EVENT_BYTES,
        }
    }

    /// Appends one event and wakes whoever waits.
    ///
    /// Of events that come in a burst, not each has a wake-up of its own. Where
    /// wake-ups have taken more than a quarter of the time for a while, because many
    /// wait, there is a rest of at most 20 ms. An event in it wakes nobody before its
    /// end, and whoever looks finds the event at once. This needs readers that wait in
    /// a tokio runtime with a timer; elsewhere each event wakes all.
    ///
    /// A log in memory answers at once; a window of a [`Source`] when the engine does.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`], [`PublishError::Finished`] and
    /// [`PublishError::Unavailable`].
    pub async fn publish(
        &self,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, PublishError> {
        let published = self.append(None, kind, data).await?;
        Ok(published.cursor)
    }

    /// Appends one event, unless an event with this key and the same content is there
    /// already: then that one's id is the answer. A key is remembered for as long as
    /// its event is retained.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`PublishError::KeyReused`] where the key's
    /// event says something else.
    pub async fn publish_once(
        &self,
        key: IdempotencyKey,
        kind: Kind,
        data: Data,
    ) -> Result<Published, PublishError> {
        self.append(Some(key), kind, data).await
    }

    async fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Published, PublishError> {
        let bytes = data.as_str().len();
        let limit = self.shared.max_event_bytes;
        if bytes > limit {
            return Err(PublishError::TooLarge { bytes, limit });
        }
        match &self.shared.source {
            // Boxed: the log in memory needs no room for it.
            Some(source) => Box::pin(source.append(key, kind, data)).await,
            None => self.append_here(key, kind, &data),
        }
    }

    fn append_here(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: &Data,
    ) -> Result<Published, PublishError> {
        // Before the lock, which all readers wait for.
        let draft = Draft::new(kind, data);
        let cursor = {
            // The look-up, the id, the clock and the append happen under one lock: ids
            // follow the order of entries, and of two attempts with one key exactly one
            // finds the other.
            let mut ring = self.shared.write();
            if let Some(event) = key.as_ref().and_then(|key| ring.published_as(key)) {
                return if event.kind() == draft.kind() && event.data() == data.as_str()
                {
                    Ok(Published {
                        cursor: event.cursor(),
                        repeated: true,
                    })
                } else {
                    Err(PublishError::KeyReused)
                };
            }
            if ring.finished {
                return Err(PublishError::Finished);
            }
            ring.append(draft, (self.shared.clock)(), key)
        };
        // After the lock is released, so that those who wake do not run into it.
        // Between the two lines a reader may already see the event; its wake-up then
        // finds nothing new, which costs one look and loses nothing.
        self.shared.wake_ups.wake();
        Ok(Published {
            cursor,
            repeated: false,
        })
    }

    /// The events that are due after `position`: at most `max_events`, and at most
    /// `max_bytes` of JSON, but at least one if any is due. It never waits.
    ///
    /// # Errors
    /// [`ReadError::Gap`] where events after the cursor are gone, [`ReadError::Future`]
    /// where it is ahead of the log.
    pub fn read(
        &self,
        position: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, ReadError> {
        let ring = self.shared.read();
        let cursor = ring.place(position);
        if ring.is_future(cursor) {
            return Err(ReadError::Future {
                asked: cursor,
                latest: ring.latest(),
            });
        }
        ring.after(cursor, max_events, max_bytes)
            .map_err(ReadError::Gap)
    }

    /// Waits until this window has come to `position`, where the log that it is of has.
    /// A cursor that another server gave may be ahead of this one, which is late, and
    /// is not of the future for that. At once where there is no [`Source`], or no need.
    ///
    /// # Errors
    /// [`ReadError::Future`] where the cursor is ahead of the log;
    /// [`ReadError::Unavailable`] where the source does not answer, or the window does
    /// not get there within 5 s.
    pub async fn reach(&self, position: Position) -> Result<(), ReadError> {
        match self.shared.source {
            Some(_) => Box::pin(self.shared.reach(position)).await,
            None => Ok(()),
        }
    }

    /// The place after the newest event of the log. That of a window may be earlier
    /// ([`state`](Self::state)), as long as the event is on its way.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] where the source does not answer.
    pub async fn end(&self) -> Result<Cursor, ReadError> {
        match &self.shared.source {
            Some(source) => Ok(Box::pin(source.latest()).await?),
            None => Ok(self.state().latest),
        }
    }

    /// As [`read`](Self::read), and where the window does not hold what is due, from
    /// the [`Source`].
    ///
    /// # Errors
    /// As [`read`](Self::read), with a gap only where the source has lost the events as
    /// well, and as [`reach`](Self::reach).
    pub async fn fetch(
        &self,
        position: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, ReadError> {
        self.reach(position).await?;
        match self.read(position, max_events, max_bytes) {
            Err(ReadError::Gap(gap)) if self.shared.source.is_some() => {
                let found = self.shared.read_through(gap, max_events, max_bytes);
                Box::pin(found).await?.map_err(ReadError::Gap)
            }
            read => read,
        }
    }

    /// First the history after `position`, then what comes, with nothing lost and
    /// nothing twice at the seam.
    ///
    /// # Errors
    /// [`FutureCursor`] where the cursor is ahead of the log. A gap is no error here:
    /// the subscription reports it and goes on.
    pub fn subscribe(&self, position: Position) -> Result<Subscription, FutureCursor> {
        Subscription::new(Arc::clone(&self.shared), position)
    }

    /// Says that no event will come any more. Subscribers get the rest and then the
    /// end.
    pub fn finish(&self) {
        self.shared.write().finished = true;
        self.shared.wake_ups.wake_now();
    }

    /// Whether [`finish`](Self::finish) was called.
    pub fn is_finished(&self) -> bool {
        self.shared.read().finished
    }

    /// What the log holds now.
    pub fn state(&self) -> Status {
        self.shared.read().state()
    }

    /// How many subscriptions wait on this log now.
    pub fn subscribers(&self) -> usize {
        self.shared.wake_ups.subscribers()
    }

    /// The retained event with this id, if it is there.
    pub fn event(&self, cursor: Cursor) -> Option<Arc<Event>> {
        let before = Cursor {
            id: EventId::new(cursor.id.get().checked_sub(1)?),
            ..cursor
        };
        let batch = self.read(Position::After(before), 1, 0).ok()?;
        batch
            .events
            .into_iter()
            .find(|event| event.cursor() == cursor)
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Feed").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind() -> Kind {
        "message".parse().unwrap()
    }

    fn number(n: u64) -> Data {
        Data::new(&n).unwrap()
    }

    #[test]
    fn no_two_logs_have_one_name() {
        assert_ne!(draw_epoch(), draw_epoch());
    }

    #[tokio::test]
    async fn a_retried_publish_is_one_event() {
        let feed = Feed::new(Retention {
            max_events: 2,
            ..Retention::default()
        });
        let key: IdempotencyKey = "a-key".parse().unwrap();
        let first = feed
            .publish_once(key.clone(), kind(), number(1))
            .await
            .unwrap();
        assert!(!first.repeated);
        let again = feed
            .publish_once(key.clone(), kind(), number(1))
            .await
            .unwrap();
        assert_eq!(
            again,
            Published {
                cursor: first.cursor,
                repeated: true
            }
        );
        assert_eq!(
            feed.publish_once(key.clone(), kind(), number(2)).await,
            Err(PublishError::KeyReused)
        );
        assert_eq!(feed.state().latest, first.cursor);

        // The key is forgotten with its event, and only then.
        feed.publish(kind(), number(2)).await.unwrap();
        assert!(
            feed.publish_once(key.clone(), kind(), number(1))
                .await
                .unwrap()
                .repeated
        );
        feed.publish(kind(), number(3)).await.unwrap();
        assert!(
            !feed
                .publish_once(key, kind(), number(1))
                .await
                .unwrap()
                .repeated
        );
    }

    #[tokio::test]
    async fn a_finished_log_takes_nothing_but_still_answers_a_retry() {
        let feed = Feed::new(Retention::default());
        let key: IdempotencyKey = "a-key".parse().unwrap();
        let first = feed
            .publish_once(key.clone(), kind(), number(1))
            .await
            .unwrap();
        feed.finish();
        assert_eq!(
            feed.publish(kind(), number(2)).await,
            Err(PublishError::Finished)
        );
        let again = feed.publish_once(key, kind(), number(1)).await.unwrap();
        assert_eq!(
            again,
            Published {
                cursor: first.cursor,
                repeated: true
            }
        );
    }

    #[tokio::test]
    async fn too_large_an_event_is_refused_and_leaves_no_trace() {
        let feed = Feed::builder().max_event_bytes(10).build();
        let data = Data::new("123456789").unwrap();
        assert_eq!(
            feed.publish(kind(), data).await,
            Err(PublishError::TooLarge {
                bytes: 11,
                limit: 10
            })
        );
        assert_eq!(feed.state().latest.id.get(), 0);
    }
}
