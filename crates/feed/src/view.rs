//! A state folded from the log.

use crate::{Batch, Event, Feed, BATCH_BYTES, BATCH_EVENTS};
use contract::{Cursor, Position, Status};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

// ANCHOR: view
/// A state that events lead to, such as the newest price of each share. Cloning it
/// gives another handle to the same state.
///
/// It is caught up when it is read, so whoever publishes and then reads sees what they
/// wrote. There is no task that follows the log: it would be late by an unknown time,
/// and work where nobody asks.
///
/// A view that nobody reads for long may fall off the end of what the log retains. It
/// then starts again from the oldest event that is there, and forgets what only older
/// ones had said.
pub struct View<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    feed: Feed,
    apply: Apply<S>,
    /// The state, as far as it was folded. A mutex, because who reads may have to fold
    /// first; held for the fold and one look, and never across an await.
    folded: Mutex<Folded<S>>,
}

/// What an event does to the state, and whether it changed anything.
type Apply<S> = Box<dyn Fn(&mut S, &Event) -> bool + Send + Sync>;

// ANCHOR: view_folded
struct Folded<S> {
    state: S,
    /// After the last event that was folded: the place to read on from.
    position: Cursor,
    /// After the last event that changed the state. It stays where it is while others
    /// pass.
    version: Cursor,
}
// ANCHOR_END: view_folded

impl<S: Default> View<S> {
    /// A view of `feed` that begins as `S::default()`. `apply` folds one event into it
    /// and says whether that changed it.
    pub fn new(
        feed: Feed,
        apply: impl Fn(&mut S, &Event) -> bool + Send + Sync + 'static,
    ) -> Self {
        let folded = Mutex::new(Folded::after(feed.state().earliest));
        let apply = Box::new(apply);
        Self {
            shared: Arc::new(Shared {
                feed,
                apply,
                folded,
            }),
        }
    }

    // ANCHOR: view_read
    /// Catches up with the log and shows the state to `look`, with its version: the
    /// cursor after the last event that changed it. Two states of one version are
    /// equal, and a reader who has seen this one follows the log from its version.
    ///
    /// Others who read wait meanwhile, so `look` should be quick. It never waits for an
    /// event.
    pub fn read<T>(&self, look: impl FnOnce(&S, Cursor) -> T) -> T {
        let mut folded = self.shared.lock();
        folded.catch_up(&self.shared.feed, &self.shared.apply);
        look(&folded.state, folded.version)
    }
    // ANCHOR_END: view_read
}

impl<S: Default> Folded<S> {
    /// The state before the first event after `place`.
    fn after(place: Cursor) -> Self {
        Self {
            state: S::default(),
            position: place,
            version: place,
        }
    }

    // ANCHOR: view_catch_up
    fn catch_up(&mut self, feed: &Feed, apply: &Apply<S>) {
        // Up to what is newest now, and no further: a log that grows faster than it is
        // folded must not hold this reader.
        let mut log = feed.state();
        while self.position.id < log.latest.id {
            let after = Position::After(self.position);
            match feed.read(after, BATCH_EVENTS, BATCH_BYTES) {
                Ok(batch) => self.fold(&batch, apply),
                // What comes next is gone. Half a history is no state: start again from
                // what is left.
                Err(_) => {
                    log = feed.state();
                    *self = Self::after(log.earliest);
                }
            }
        }
        self.renew(log);
    }
    // ANCHOR_END: view_catch_up

    // ANCHOR: view_fold
    fn fold(&mut self, batch: &Batch, apply: &Apply<S>) {
        for event in &batch.events {
            if apply(&mut self.state, event) {
                self.version = event.cursor();
            }
            self.position = event.cursor();
        }
    }
    // ANCHOR_END: view_fold

    /// A state can outlive the event that changed it last. Its version would then be a
    /// cursor from which nobody can follow the log any more, so it becomes a newer one;
    /// seldom, once in as many events as the log retains.
    fn renew(&mut self, log: Status) {
        if self.version.id < log.earliest.id {
            self.version = self.position;
        }
    }
}
// ANCHOR_END: view

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Folded<S>> {
        // Poisoned where `apply` or a reader's `look` panicked. The place moves only
        // past events that were folded, so the next reader meets the same event again,
        // and no event is skipped in silence.
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for View<S> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<S> fmt::Debug for View<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&self.shared.feed).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Retention;
    use contract::{Data, Kind};
    use std::thread;

    /// Every number of a `message`, in the order in which it was folded.
    type Numbers = Vec<u64>;

    fn feed(max_events: usize) -> Feed {
        Feed::builder()
            .epoch("k3f9x2".parse().unwrap())
            .retention(Retention {
                max_events,
                ..Retention::default()
            })
            .build()
    }

    fn numbers(feed: &Feed) -> View<Numbers> {
        View::new(feed.clone(), |numbers: &mut Numbers, event| {
            let message = event.kind().as_str() == "message";
            if message {
                numbers.push(event.data().parse().unwrap());
            }
            message
        })
    }

    async fn put(feed: &Feed, kind: &str, number: u64) {
        let kind: Kind = kind.parse().unwrap();
        feed.publish(kind, Data::new(&number).unwrap())
            .await
            .unwrap();
    }

    fn read(view: &View<Numbers>) -> (Numbers, String) {
        view.read(|numbers, version| (numbers.clone(), version.to_string()))
    }

    #[tokio::test]
    async fn a_reader_sees_what_it_wrote_and_each_event_is_folded_once() {
        let feed = feed(1_000);
        let view = numbers(&feed);
        assert_eq!(read(&view), (vec![], "k3f9x2.0".to_owned()));
        for number in 1..=3 {
            put(&feed, "message", number).await;
            assert_eq!(
                read(&view),
                ((1..=number).collect(), format!("k3f9x2.{number}"))
            );
        }
        // More than one batch at once, and through another handle.
        for number in 4..=600 {
            put(&feed, "message", number).await;
        }
        let other = view.clone();
        assert_eq!(read(&other), ((1..=600).collect(), "k3f9x2.600".to_owned()));
        assert_eq!(read(&view), read(&other));
    }

    #[tokio::test]
    async fn an_event_that_changes_nothing_leaves_the_version() {
        let feed = feed(1_000);
        let view = numbers(&feed);
        put(&feed, "message", 1).await;
        for _ in 0..300 {
            put(&feed, "tick", 9).await;
            assert_eq!(read(&view), (vec![1], "k3f9x2.1".to_owned()));
        }
        put(&feed, "message", 2).await;
        assert_eq!(read(&view), (vec![1, 2], "k3f9x2.302".to_owned()));
    }

    #[tokio::test]
    async fn after_a_gap_it_starts_again_from_what_is_retained() {
        let feed = feed(3);
        let view = numbers(&feed);
        put(&feed, "message", 1).await;
        assert_eq!(read(&view).0, [1]);
        for number in 2..=9 {
            put(&feed, "message", number).await;
        }
        assert_eq!(read(&view), (vec![7, 8, 9], "k3f9x2.9".to_owned()));
        // Nothing that is left says anything: the state is empty, and its version is
        // one from which a reader can follow.
        for _ in 0..4 {
            put(&feed, "tick", 0).await;
        }
        assert_eq!(read(&view), (vec![], "k3f9x2.10".to_owned()));
    }

    #[tokio::test]
    async fn a_version_is_always_one_from_which_the_log_can_be_followed() {
        let feed = feed(3);
        let view = numbers(&feed);
        put(&feed, "message", 1).await;
        let mut versions = Vec::new();
        for _ in 0..9 {
            put(&feed, "tick", 0).await;
            let (state, version) = read(&view);
            assert_eq!(state, [1], "read often enough, it forgets nothing");
            let after = Position::After(version.parse().unwrap());
            assert!(feed.read(after, 1, 1).is_ok(), "{version} can be followed");
            versions.push(version);
        }
        versions.dedup();
        assert!(
            versions.len() <= 3,
            "and it changes seldom for that: {versions:?}"
        );
    }

    #[tokio::test]
    async fn a_finished_log_has_a_state() {
        let feed = feed(10);
        let view = numbers(&feed);
        put(&feed, "message", 1).await;
        feed.finish();
        assert_eq!(read(&view), (vec![1], "k3f9x2.1".to_owned()));
    }

    #[test]
    fn many_who_read_while_one_publishes_fold_each_event_once() {
        const EVENTS: u64 = 2_000;
        let feed = feed(EVENTS as usize);
        let view = numbers(&feed);
        let publishing = thread::spawn({
            let feed = feed.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.unwrap().block_on(async {
                    for number in 1..=EVENTS {
                        put(&feed, "message", number).await;
                    }
                });
            }
        });
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| loop {
                    let (numbers, version) = read(&view);
                    assert_eq!(version, format!("k3f9x2.{}", numbers.len()));
                    if numbers.len() as u64 == EVENTS {
                        break;
                    }
                });
            }
        });
        publishing.join().unwrap();
        assert_eq!(read(&view).0, (1..=EVENTS).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_reader_that_panics_ends_the_view_for_nobody_else() {
        let feed = feed(10);
        let view = numbers(&feed);
        put(&feed, "message", 1).await;
        let panicking = thread::spawn({
            let view = view.clone();
            move || view.read(|_, _| panic!("on purpose"))
        });
        assert!(panicking.join().is_err());
        put(&feed, "message", 2).await;
        assert_eq!(read(&view).0, [1, 2]);
    }
}
