//! Waiting for the next entry.

use crate::{log::Shared, source::Unavailable, Batch, FutureCursor};
use contract::{Cursor, Gap, GapReason, Position};
use futures_util::stream::{self, Stream};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Events in one batch at most: one write then carries many, and one slow reader holds
/// references to few.
pub const BATCH_EVENTS: usize = 256;

/// Bytes of JSON in one batch at most: about what a socket's send buffer takes at once.
pub const BATCH_BYTES: usize = 64 * 1024;

/// A source that did not answer is asked again after this, or when anything comes.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a subscription yields.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Every event that was due, at least one.
    Batch(Batch),
    /// Events were missed; what follows comes after [`Gap::resume`].
    Gap(Gap),
}

/// A reader's place in the log, and a way to wait at it.
///
/// That is all a subscriber is: a cursor, not a queue. However slow it reads, it costs
/// these few words. If it falls off the retained window, it gets a [`Gap`] like anybody
/// else.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    /// Tells whether anything was published since this subscription last looked.
    woken: watch::Receiver<()>,
    cursor: Cursor,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// What one look at the log found.
enum Look {
    Due(Delivery),
    Nothing,
    Finished,
    /// The window has lost it, and the source may have it.
    Behind(Gap),
}

impl Subscription {
    pub(crate) fn new(
        shared: Arc<Shared>,
        position: Position,
    ) -> Result<Self, FutureCursor> {
        let woken = shared.wake_ups.subscribe();
        let ring = shared.read();
        let cursor = ring.place(position);
        if ring.is_future(cursor) {
            return Err(FutureCursor {
                asked: cursor,
                latest: ring.latest(),
            });
        }
        drop(ring);
        Ok(Self {
            shared,
            woken,
            cursor,
        })
    }

    /// Where this reader stands: after everything that was handed out.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether the log is finished and this reader has all of it.
    pub fn is_finished(&self) -> bool {
        let ring = self.shared.read();
        ring.finished && ring.latest() == self.cursor
    }

    // ANCHOR: next
    /// Waits until something is due and hands out all of it, up to [`BATCH_EVENTS`] and
    /// [`BATCH_BYTES`]. `None` means that the log is finished and this reader has seen
    /// all of it.
    ///
    /// Cancel-safe: the cursor moves only when a value is returned, so a caller may
    /// drop the future and call again.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            // Register, then check. From this line on, a publish makes `changed` below
            // return at once. In the other order, an event published between the check
            // and the registration would wake nobody.
            self.woken.mark_unchanged();
            match self.look() {
                Look::Due(delivery) => return Some(delivery),
                Look::Finished => return None,
                Look::Nothing => {}
                // Boxed: those who are not behind need no room for it.
                Look::Behind(gap) => match Box::pin(self.read_through(gap)).await {
                    Some(delivery) => return Some(delivery),
                    None => continue,
                },
            }
            // The sender lives in `shared`, which this subscription holds: an error
            // cannot happen, and would mean that nothing can be published any more.
            self.woken.changed().await.ok()?;
            // The log measures how long a wake-up takes, and rests before the next.
            self.shared.wake_ups.reader_looks();
        }
    }
    // ANCHOR_END: next

    /// What is due now, without waiting; `None` where nothing is, or where the log has
    /// ended.
    pub fn try_next(&mut self) -> Option<Delivery> {
        match self.look() {
            Look::Due(delivery) => Some(delivery),
            Look::Nothing | Look::Finished | Look::Behind(_) => None,
        }
    }

    /// From the source, or a gap where it has lost it too. `None` where it did not
    /// answer, and may do so now.
    async fn read_through(&mut self, gap: Gap) -> Option<Delivery> {
        let found = self.shared.read_through(gap, BATCH_EVENTS, BATCH_BYTES);
        match found.await {
            Ok(Ok(batch)) => {
                self.cursor = batch.next;
                Some(Delivery::Batch(batch))
            }
            Ok(Err(gap)) => {
                self.cursor = gap.resume;
                Some(Delivery::Gap(gap))
            }
            Err(Unavailable) => {
                timeout(ASK_AGAIN, self.woken.changed()).await.ok();
                None
            }
        }
    }

    /// The wake-up that this reader had is not over: for a reader that writes to many,
    /// and so takes as long as many readers do.
    pub fn is_at_work(&self) {
        self.shared.wake_ups.reader_looks();
    }

    /// Moves after `cursor`: for a reader who was handed the events up to there by
    /// another subscription to the same log.
    pub fn move_after(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    /// The same as a [`Stream`].
    pub fn into_stream(self) -> impl Stream<Item = Delivery> + Send {
        stream::unfold(self, |mut subscription| async move {
            subscription
                .next()
                .await
                .map(|delivery| (delivery, subscription))
        })
    }

    fn look(&mut self) -> Look {
        // One guard for both questions: were the log finished between them, its last
        // events would be lost.
        let ring = self.shared.read();
        match ring.after(self.cursor, BATCH_EVENTS, BATCH_BYTES) {
            Ok(batch) if batch.events.is_empty() && ring.finished => Look::Finished,
            Ok(batch) if batch.events.is_empty() => {
                drop(ring);
                // Gives the tests a chance to publish between a look and the sleep
                // after it.
                #[cfg(test)]
                std::thread::yield_now();
                Look::Nothing
            }
            Ok(batch) => {
                self.cursor = batch.next;
                Look::Due(Delivery::Batch(batch))
            }
            Err(gap)
                if gap.reason == GapReason::Expired && self.shared.source.is_some() =>
            {
                Look::Behind(gap)
            }
            Err(gap) => {
                self.cursor = gap.resume;
                Look::Due(Delivery::Gap(gap))
            }
        }
    }
}

#[cfg(test)]
mod tests;
