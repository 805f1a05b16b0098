//! A log that is a window of one that lies elsewhere.

use contract::{
    Cursor, Data, Epoch, EventId, GapReason, IdempotencyKey, Kind, Position,
};
use feed::{
    Delivery, Entries, Entry, Feed, Filler, PublishError, Published, ReadError,
    Retention, Source, Unavailable,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// An engine that does what the test says.
#[derive(Debug, Default)]
struct Engine(Mutex<State>);

#[derive(Debug)]
struct State {
    epoch: Epoch,
    entries: Vec<Entry>,
    keys: Vec<(IdempotencyKey, EventId)>,
    /// Up to here it keeps nothing any more.
    dropped: u64,
    away: bool,
    /// Times that it was asked for events.
    reads: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            epoch: "k3f9x2".parse().unwrap(),
            entries: Vec::new(),
            keys: Vec::new(),
            dropped: 0,
            away: false,
            reads: 0,
        }
    }
}

impl State {
    fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.id.get())
    }

    fn push(&mut self, kind: Kind, data: Data) -> EventId {
        let id = EventId::new(self.last() + 1);
        let at = Timestamp::UNIX_EPOCH;
        self.entries.push(Entry { id, at, kind, data });
        id
    }

    fn after(&self, id: u64) -> Entries {
        let kept = self
            .entries
            .iter()
            .filter(|entry| entry.id.get() > id.max(self.dropped));
        Entries {
            epoch: self.epoch,
            entries: kept.cloned().collect(),
        }
    }
}

impl Engine {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Events that somebody publishes elsewhere.
    fn publish(&self, count: u64) {
        let mut state = self.lock();
        for _ in 0..count {
            let number = state.last() + 1;
            state.push(kind(), data(number));
        }
    }
}

impl Source for Engine {
    fn append(
        &self,
        key: Option<IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> BoxFuture<'_, Result<Published, PublishError>> {
        Box::pin(async move {
            let mut state = self.lock();
            if state.away {
                return Err(PublishError::Unavailable);
            }
            let known = key.as_ref().and_then(|key| {
                let mut keys = state.keys.iter();
                keys.find(|(known, _)| known == key).map(|(_, id)| *id)
            });
            let id = known.unwrap_or_else(|| state.push(kind, data));
            state.keys.extend(key.map(|key| (key, id)));
            let epoch = state.epoch;
            Ok(Published {
                cursor: Cursor { epoch, id },
                repeated: known.is_some(),
            })
        })
    }

    fn latest(&self) -> BoxFuture<'_, Result<Cursor, Unavailable>> {
        Box::pin(async {
            let state = self.lock();
            let id = EventId::new(state.last());
            let epoch = state.epoch;
            (!state.away)
                .then_some(Cursor { epoch, id })
                .ok_or(Unavailable)
        })
    }

    fn read(
        &self,
        id: EventId,
        max_events: usize,
        _max_bytes: usize,
    ) -> BoxFuture<'_, Result<Entries, Unavailable>> {
        Box::pin(async move {
            let mut state = self.lock();
            state.reads += 1;
            let mut found = state.after(id.get());
            found.entries.truncate(max_events);
            (!state.away).then_some(found).ok_or(Unavailable)
        })
    }
}

fn kind() -> Kind {
    "message".parse().unwrap()
}

fn data(number: u64) -> Data {
    Data::new(&number).unwrap()
}

fn cursor(id: u64) -> Cursor {
    Cursor {
        epoch: "k3f9x2".parse().unwrap(),
        id: EventId::new(id),
    }
}

fn after(id: u64) -> Position {
    Position::After(cursor(id))
}

/// A window of ten events, at the beginning of the log.
fn window() -> (Arc<Engine>, Feed, Filler) {
    let engine = Arc::new(Engine::default());
    let retention = Retention {
        max_events: 10,
        ..Retention::default()
    };
    let builder = Feed::builder().retention(retention);
    let (feed, filler) = builder.build_window(engine.clone());
    filler.begin(cursor(0));
    (engine, feed, filler)
}

/// What a server's task does when its engine has news.
fn fill(engine: &Engine, filler: &Filler) {
    let latest = filler.latest().unwrap();
    let entries = engine.lock().after(latest.id.get());
    filler.append(entries);
}

fn numbers(events: &[Arc<feed::Event>]) -> Vec<u64> {
    let numbers = events.iter().map(|event| event.data().parse().unwrap());
    numbers.collect()
}

#[tokio::test]
async fn a_publish_goes_to_the_engine_and_comes_back_in_its_order() {
    let (engine, feed, filler) = window();
    engine.publish(1);
    let published = feed.publish(kind(), data(2)).await.unwrap();
    assert_eq!(published, cursor(2));
    // It is there when it comes back, with what was before it.
    assert_eq!(feed.state().latest, cursor(0));
    assert_eq!(feed.end().await, Ok(cursor(2)));
    fill(&engine, &filler);
    let batch = feed.read(after(0), 10, 1_000).unwrap();
    assert_eq!(numbers(&batch.events), [1, 2]);
    // What is in the window asks nobody.
    assert_eq!(
        numbers(&feed.fetch(after(1), 10, 1_000).await.unwrap().events),
        [2]
    );
    assert_eq!(engine.lock().reads, 0);
}

#[tokio::test]
async fn what_comes_twice_is_there_once_and_a_hole_ends_the_window() {
    let (engine, feed, filler) = window();
    engine.publish(3);
    fill(&engine, &filler);
    filler.append(engine.lock().after(1));
    let batch = feed.read(after(0), 10, 1_000).unwrap();
    assert_eq!(numbers(&batch.events), [1, 2, 3]);

    engine.publish(4);
    filler.append(engine.lock().after(5));
    assert_eq!(feed.state().earliest, cursor(5));
    // Who stands in the hole misses nothing.
    let batch = feed.fetch(after(3), 10, 1_000).await.unwrap();
    assert_eq!(numbers(&batch.events), [4, 5, 6, 7]);
    let mut subscription = feed.subscribe(after(3)).unwrap();
    let Some(Delivery::Batch(batch)) = subscription.next().await else {
        panic!("no batch")
    };
    assert_eq!(numbers(&batch.events), [4, 5, 6, 7]);
}

#[tokio::test]
async fn a_cursor_before_the_window_is_read_through_until_the_engine_has_lost_it_too() {
    let (engine, feed, filler) = window();
    engine.publish(30);
    fill(&engine, &filler);
    assert_eq!(feed.state().earliest, cursor(20));
    let batch = feed.fetch(after(4), 5, 1_000).await.unwrap();
    assert_eq!(numbers(&batch.events), [5, 6, 7, 8, 9]);
    assert_eq!((batch.after, batch.next), (cursor(4), cursor(9)));
    let mut subscription = feed.subscribe(after(4)).unwrap();
    // Without a question there is nothing to hand out.
    assert!(subscription.try_next().is_none());
    let Some(Delivery::Batch(batch)) = subscription.next().await else {
        panic!("no batch")
    };
    assert_eq!(numbers(&batch.events), (5..=30).collect::<Vec<_>>());

    engine.lock().dropped = 7;
    let Err(ReadError::Gap(gap)) = feed.fetch(after(4), 5, 1_000).await else {
        panic!("no gap")
    };
    assert_eq!((gap.reason, gap.resume), (GapReason::Expired, cursor(7)));
    let mut subscription = feed.subscribe(after(4)).unwrap();
    let Some(Delivery::Gap(gap)) = subscription.next().await else {
        panic!("no gap")
    };
    assert_eq!(gap.resume, cursor(7));
    let Some(Delivery::Batch(batch)) = subscription.next().await else {
        panic!("no batch")
    };
    assert_eq!(numbers(&batch.events), (8..=30).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_cursor_ahead_of_this_window_is_waited_for_and_one_ahead_of_the_log_is_not() {
    let (engine, feed, filler) = window();
    engine.publish(3);
    // Another server gave it, and this one is late.
    let reached = tokio::spawn({
        let feed = feed.clone();
        async move { feed.reach(after(3)).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!reached.is_finished());
    fill(&engine, &filler);
    assert_eq!(reached.await.unwrap(), Ok(()));

    let future = ReadError::Future {
        asked: cursor(4),
        latest: cursor(3),
    };
    assert_eq!(feed.reach(after(4)).await, Err(future));
    // The engine has it, and this server never gets it.
    engine.publish(1);
    assert_eq!(feed.reach(after(4)).await, Err(ReadError::Unavailable));
}

#[tokio::test]
async fn another_log_is_told_as_one_also_where_the_window_learns_of_it_late() {
    let (engine, feed, filler) = window();
    engine.publish(3);
    fill(&engine, &filler);
    let mut subscription = feed.subscribe(after(3)).unwrap();
    let next = Cursor {
        epoch: "newlog".parse().unwrap(),
        id: EventId::new(2),
    };
    {
        let mut state = engine.lock();
        state.epoch = next.epoch;
        state.entries.truncate(2);
    }
    // A cursor of the new log, before this server has heard of it.
    let reached = tokio::spawn({
        let feed = feed.clone();
        async move { feed.reach(Position::After(next)).await }
    });
    filler.begin(next);
    assert_eq!(reached.await.unwrap(), Ok(()));
    let Some(Delivery::Gap(gap)) = subscription.next().await else {
        panic!("no gap")
    };
    assert_eq!((gap.reason, gap.resume), (GapReason::NewLog, next));
}

#[tokio::test(start_paused = true)]
async fn while_the_engine_is_away_readers_wait_and_publishers_are_told() {
    let (engine, feed, filler) = window();
    engine.publish(30);
    fill(&engine, &filler);
    engine.lock().away = true;
    assert_eq!(
        feed.publish(kind(), data(1)).await,
        Err(PublishError::Unavailable)
    );
    let unavailable = feed.fetch(after(4), 5, 1_000).await.map(|_| ());
    assert_eq!(unavailable, Err(ReadError::Unavailable));
    let mut subscription = feed.subscribe(after(4)).unwrap();
    let next = tokio::spawn(async move { subscription.next().await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!next.is_finished());
    engine.lock().away = false;
    filler.is_back();
    let Some(Delivery::Batch(batch)) = next.await.unwrap() else {
        panic!("no batch")
    };
    assert_eq!(batch.after, cursor(4));
}

#[tokio::test]
async fn a_key_is_the_engines_and_what_was_said_with_it_is_compared() {
    let (engine, feed, _filler) = window();
    let key: IdempotencyKey = "a-key".parse().unwrap();
    let publish = |number| feed.publish_once(key.clone(), kind(), data(number));
    let first = publish(1).await.unwrap();
    assert!(!first.repeated);
    let again = publish(1).await.unwrap();
    assert_eq!((again.cursor, again.repeated), (first.cursor, true));
    assert_eq!(publish(2).await, Err(PublishError::KeyReused));
    assert_eq!(engine.lock().last(), 1);
}

#[tokio::test]
async fn nobody_fills_a_log_that_nobody_holds() {
    let (_engine, feed, filler) = window();
    drop(feed);
    assert_eq!(filler.latest(), None);
}
