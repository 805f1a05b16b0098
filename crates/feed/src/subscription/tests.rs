//! Many publishers and many subscribers at once: a lost wake-up would hang here, a torn
//! seam would miscount.

use crate::{Delivery, Feed, Retention};
use contract::{Data, Kind, Position};
use futures_util::FutureExt;
use std::{collections::HashMap, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::timeout};

const PUBLISHERS: u64 = 8;
const SUBSCRIBERS: usize = 64;
const ROUNDS: u64 = 300;

/// Not a deadline that is measured: only what turns a hang into a failure that says so.
const HANG: Duration = Duration::from_secs(30);

/// In each round every publisher publishes one event, all at once, and the next round
/// starts only when every subscriber has seen all of them. So no later event comes to
/// the rescue of a subscriber that slept through the last one: it would sleep for ever.
/// In this build a look that finds nothing yields to another thread before the
/// subscriber falls asleep, which widens the moment in which a wake-up can be lost from
/// nanoseconds to a whole publish.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sleeps_through_an_event() {
    let feed = Feed::new(Retention {
        max_events: 100_000,
        ..Retention::default()
    });
    let kind: Kind = "message".parse().unwrap();

    let mut subscribers = JoinSet::new();
    let mut progress = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let mut subscription = feed.subscribe(Position::Earliest).unwrap();
        let (report, seen) = watch::channel(0u64);
        progress.push(seen);
        subscribers.spawn(async move {
            let mut next_of: HashMap<u64, u64> = HashMap::new();
            let mut last_id = 0;
            while let Some(delivery) = subscription.next().await {
                let Delivery::Batch(batch) = delivery else {
                    panic!("a gap, with room for all")
                };
                for event in batch.events {
                    let id = event.cursor().id.get();
                    assert_eq!(id, last_id + 1, "ids come in order, each once");
                    last_id = id;
                    let (publisher, n): (u64, u64) =
                        serde_json::from_str(event.data()).unwrap();
                    let expected = next_of.entry(publisher).or_default();
                    assert_eq!(n, *expected, "one publisher's events keep their order");
                    *expected += 1;
                }
                report.send_replace(last_id);
            }
            last_id
        });
    }

    let all = timeout(HANG, async {
        for round in 0..ROUNDS {
            for publisher in 0..PUBLISHERS {
                let (feed, kind) = (feed.clone(), kind.clone());
                tokio::spawn(async move {
                    feed.publish(kind, Data::new(&(publisher, round)).unwrap())
                        .await
                        .unwrap();
                });
            }
            for seen in &mut progress {
                seen.wait_for(|seen| *seen == (round + 1) * PUBLISHERS)
                    .await
                    .unwrap();
            }
        }
        feed.finish();
        while let Some(seen) = subscribers.join_next().await {
            assert_eq!(seen.unwrap(), PUBLISHERS * ROUNDS);
        }
    });
    all.await
        .expect("somebody still waits for an event that was published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscriber_that_falls_off_is_told_and_goes_on() {
    let feed = Feed::new(Retention {
        max_events: 10,
        ..Retention::default()
    });
    let kind: Kind = "message".parse().unwrap();
    let mut slow = feed.subscribe(Position::Latest).unwrap();
    for n in 0..25 {
        feed.publish(kind.clone(), Data::new(&n).unwrap())
            .await
            .unwrap();
    }
    let Some(Delivery::Gap(gap)) = slow.next().await else {
        panic!("a gap was due")
    };
    assert_eq!((gap.asked.unwrap().id.get(), gap.resume.id.get()), (0, 15));
    let Some(Delivery::Batch(batch)) = slow.next().await else {
        panic!("a batch was due")
    };
    let data: Vec<_> = batch
        .events
        .iter()
        .map(|event| event.data().to_owned())
        .collect();
    assert_eq!(data, (15..25).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Publishes an event in each millisecond, 1,000 in all, for 16 readers, each of which
/// has `work` to do for what it gets. How many events one got at once, on average.
async fn events_in_a_batch(work: fn()) -> u64 {
    const READERS: u64 = 16;
    const EVENTS: u64 = 1_000;
    let feed = Feed::new(Retention::default());
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut subscription = feed.subscribe(Position::Earliest).unwrap();
        readers.spawn(async move {
            let (mut last_id, mut batches) = (0, 0);
            while let Some(delivery) = subscription.next().await {
                let Delivery::Batch(batch) = delivery else {
                    panic!("a gap, with room for all")
                };
                for event in batch.events {
                    let id = event.cursor().id.get();
                    assert_eq!(id, last_id + 1, "ids come in order, each once");
                    last_id = id;
                }
                batches += 1;
                work();
            }
            assert_eq!(last_id, EVENTS);
            batches
        });
    }
    let mut clock = tokio::time::interval(Duration::from_millis(1));
    for n in 0..EVENTS {
        clock.tick().await;
        let kind = "message".parse().unwrap();
        feed.publish(kind, Data::new(&n).unwrap()).await.unwrap();
    }
    feed.finish();
    let batches = timeout(HANG, readers.join_all()).await;
    let batches: u64 = batches.expect("all of it comes").into_iter().sum();
    READERS * EVENTS / batches
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_out_in_few_wake_ups() {
    // Advances the clock when it is polled first. It does not yield, as a write does
    // not.
    let work = || {
        let advanced = tokio::time::advance(Duration::from_micros(300));
        assert!(advanced.now_or_never().is_none());
    };
    let events = events_in_a_batch(work).await;
    // A wake-up takes 4.8 ms, and the rest after it 14.4 ms.
    assert!((12..=20).contains(&events), "{events}");
    // Where it takes no time there is no rest.
    assert_eq!(events_in_a_batch(|| {}).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_work_of_one_reader_for_many_is_followed_by_a_rest() {
    let feed = Feed::new(Retention::default());
    let mut reader = feed.subscribe(Position::Latest).unwrap();
    let publish = async || {
        let kind = "message".parse().unwrap();
        feed.publish(kind, Data::new(&1).unwrap()).await.unwrap();
    };
    // The first spends all that may be spent in advance.
    for (work, rest) in [(100, 19), (4, 0)] {
        tokio::join!(reader.next(), publish());
        tokio::time::advance(Duration::from_millis(work)).await;
        reader.is_at_work();
        tokio::time::advance(Duration::from_millis(rest)).await;
    }
    let finished = tokio::time::Instant::now();
    // It waits when the next event comes.
    tokio::join!(reader.next(), publish());
    // The timer counts milliseconds.
    let rest = finished.elapsed().as_millis();
    assert!((12..=13).contains(&rest), "{rest} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_goes_out_in_few_wake_ups_on_many_threads() {
    let work = || {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_micros(300) {
            std::hint::spin_loop();
        }
    };
    // With four processors a wake-up takes 1.2 ms.
    let events = events_in_a_batch(work).await;
    assert!(events >= 2, "{events}");
}

#[tokio::test]
async fn a_dropped_wait_loses_nothing() {
    let feed = Feed::new(Retention::default());
    let kind: Kind = "message".parse().unwrap();
    let mut subscription = feed.subscribe(Position::Latest).unwrap();
    for n in 0..100 {
        // Polled once, so that it is registered; then dropped, as a `select!` arm that
        // loses is.
        tokio::select! {
            biased;
            _ = subscription.next() => panic!("nothing was published"),
            () = std::future::ready(()) => {}
        }
        feed.publish(kind.clone(), Data::new(&n).unwrap())
            .await
            .unwrap();
        let Some(Delivery::Batch(batch)) = subscription.next().await else {
            panic!("a batch")
        };
        assert_eq!(batch.events.len(), 1);
        assert_eq!(batch.events[0].data(), n.to_string());
    }
    assert_eq!(feed.subscribers(), 1);
    drop(subscription);
    assert_eq!(feed.subscribers(), 0);
}
