//! Many publishers and many subscribers at once: a lost wake-up would hang here, a torn
//! seam would miscount.

use crate::{Delivery, Feed, Retention};
use contract::{Data, Kind, Position};
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
