//! The retained window: the newest events, bounded by count and by bytes.

use crate::{event::Draft, Batch, Event};
use contract::{
    Cursor, Epoch, EventId, Gap, GapReason, IdempotencyKey, Position, Status,
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How much of the log is kept. The older of the two bounds wins: an event leaves when
/// either is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events kept at most. 10,000 by default: at two a second, a client may be away
    /// for 83 minutes.
    pub max_events: usize,
    /// Bytes of JSON kept at most. 16 MiB by default: 10,000 events of 1.6 KiB.
    pub max_bytes: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_events: 10_000,
            max_bytes: 16 * 1024 * 1024,
        }
    }
}

/// An event, and the key under which it was published if it had one.
struct Entry {
    event: Arc<Event>,
    /// Kept with the event so that both are forgotten together: remembered keys are
    /// bounded because events are.
    key: Option<IdempotencyKey>,
}

/// The window itself. It has no lock and wakes nobody; [`Feed`](crate::Feed) adds both.
pub(crate) struct Ring {
    epoch: Epoch,
    retention: Retention,
    /// Oldest first, ids strictly growing.
    entries: VecDeque<Entry>,
    /// The sum of the entries' JSON, in bytes: kept, since adding it up would cost a
    /// walk for every publish.
    bytes: usize,
    /// Where each remembered key's event is.
    keys: HashMap<IdempotencyKey, EventId>,
    /// The newest id ever given; stays when its event is evicted.
    latest: EventId,
    /// The newest id ever evicted. A cursor before it has missed something; one at it
    /// has not.
    evicted: EventId,
    /// No event will come any more.
    pub(crate) finished: bool,
}

impl Ring {
    pub(crate) fn new(epoch: Epoch, retention: Retention) -> Self {
        Self {
            epoch,
            retention,
            entries: VecDeque::new(),
            bytes: 0,
            keys: HashMap::new(),
            latest: EventId::ZERO,
            evicted: EventId::ZERO,
            finished: false,
        }
    }

    fn cursor(&self, id: EventId) -> Cursor {
        Cursor {
            epoch: self.epoch,
            id,
        }
    }

    /// Before the oldest retained event.
    pub(crate) fn earliest(&self) -> Cursor {
        self.cursor(self.evicted)
    }

    /// After the newest event.
    pub(crate) fn latest(&self) -> Cursor {
        self.cursor(self.latest)
    }

    /// What the log holds.
    pub(crate) fn state(&self) -> Status {
        Status {
            earliest: self.earliest(),
            latest: self.latest(),
            finished: self.finished,
        }
    }

    /// The retained event that was published under `key`.
    pub(crate) fn published_as(&self, key: &IdempotencyKey) -> Option<&Arc<Event>> {
        let id = *self.keys.get(key)?;
        let index = self
            .entries
            .binary_search_by_key(&id, |entry| entry.event.cursor().id)
            .ok()?;
        self.entries.get(index).map(|entry| &entry.event)
    }

    /// Gives the event the next id and appends it; old ones leave.
    pub(crate) fn append(
        &mut self,
        draft: Draft,
        at: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> Cursor {
        let id = EventId::new(self.latest.get() + 1);
        self.push(draft.into_event(self.cursor(id), at), key)
    }

    /// Appends an event that has its id from the log that is shared.
    pub(crate) fn fill(&mut self, event: Event) {
        let Cursor { epoch, id } = event.cursor();
        if epoch != self.epoch || id <= self.latest {
            return;
        }
        if id.get() > self.latest.get() + 1 {
            // A window has no holes.
            self.begin(self.cursor(EventId::new(id.get() - 1)));
        }
        self.push(event, None);
    }

    /// Forgets all, and goes on after `place`.
    pub(crate) fn begin(&mut self, place: Cursor) {
        *self = Self {
            latest: place.id,
            evicted: place.id,
            finished: self.finished,
            ..Self::new(place.epoch, self.retention)
        };
    }

    /// Whether this window has come to `cursor`.
    pub(crate) fn has_come_to(&self, cursor: Cursor) -> bool {
        cursor.epoch == self.epoch && cursor.id <= self.latest
    }

    fn push(&mut self, event: Event, key: Option<IdempotencyKey>) -> Cursor {
        let cursor = event.cursor();
        self.latest = cursor.id;
        self.bytes += event.json().len();
        if let Some(key) = &key {
            self.keys.insert(key.clone(), cursor.id);
        }
        self.entries.push_back(Entry {
            event: Arc::new(event),
            key,
        });
        while self.entries.len() > self.retention.max_events
            || self.bytes > self.retention.max_bytes
        {
            let Some(old) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= old.event.json().len();
            self.evicted = old.event.cursor().id;
            if let Some(key) = old.key {
                self.keys.remove(&key);
            }
        }
        cursor
    }

    /// The place where a reader who asks for `position` stands.
    pub(crate) fn place(&self, position: Position) -> Cursor {
        match position {
            Position::Earliest => self.earliest(),
            Position::Latest => self.latest(),
            Position::After(cursor) => cursor,
        }
    }

    /// Whether `cursor` is of this log but names an event that does not exist yet.
    pub(crate) fn is_future(&self, cursor: Cursor) -> bool {
        cursor.epoch == self.epoch && cursor.id > self.latest
    }

    /// The events after `cursor`, which must not be of the future; at least one if any
    /// is due, however large it is, since a reader whose next event is larger than
    /// `max_bytes` would otherwise never get past it.
    pub(crate) fn after(
        &self,
        cursor: Cursor,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, Gap> {
        let gap = |reason| Gap {
            reason,
            asked: Some(cursor),
            resume: self.earliest(),
        };
        if cursor.epoch != self.epoch {
            return Err(gap(GapReason::NewLog));
        }
        if cursor.id < self.evicted {
            return Err(gap(GapReason::Expired));
        }
        let first = self
            .entries
            .partition_point(|entry| entry.event.cursor().id <= cursor.id);
        let mut bytes = 0usize;
        let events: Vec<Arc<Event>> = self
            .entries
            .range(first..)
            .enumerate()
            .take(max_events.max(1))
            .take_while(|(index, entry)| {
                bytes = bytes.saturating_add(entry.event.json().len());
                *index == 0 || bytes <= max_bytes
            })
            .map(|(_, entry)| Arc::clone(&entry.event))
            .collect();
        let next = events.last().map_or(cursor, |event| event.cursor());
        Ok(Batch {
            after: cursor,
            events,
            next,
            log: self.state(),
        })
    }
}
