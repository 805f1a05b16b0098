//! Many publishers and many subscribers at once: a lost wake-up would hang here, a torn seam would miscount.

use feed::{Data, Delivery, Feed, Kind, Position, Retention};
use std::{collections::HashMap, time::Duration};
use tokio::{task::JoinSet, time::timeout};

const PUBLISHERS: u64 = 8;
const SUBSCRIBERS: usize = 64;
const EVENTS_EACH: u64 = 500;

/// Not a deadline that is measured: only what turns a hang into a failure that says so.
const HANG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sleeps_through_an_event() {
    let feed = Feed::new(Retention {
        max_events: 100_000,
        ..Retention::default()
    });
    let kind: Kind = "message".parse().unwrap();

    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS {
        let mut subscription = feed.subscribe(Position::Earliest).unwrap();
        subscribers.spawn(async move {
            let mut next_of: HashMap<u64, u64> = HashMap::new();
            let mut last_id = 0;
            let mut seen = 0;
            while let Some(delivery) = subscription.next().await {
                let Delivery::Batch(batch) = delivery else {
                    panic!("a gap, with room for all")
                };
                for event in batch.events {
                    let id = event.cursor().id.get();
                    assert_eq!(id, last_id + 1, "ids come in order, each once");
                    last_id = id;
                    let (publisher, n): (u64, u64) = serde_json::from_str(event.data()).unwrap();
                    let expected = next_of.entry(publisher).or_default();
                    assert_eq!(n, *expected, "one publisher's events keep their order");
                    *expected += 1;
                    seen += 1;
                }
            }
            seen
        });
    }

    // Each event is published only after somebody has seen the one before it, so that subscribers fall asleep between
    // events all the time, which is when a wake-up can be lost.
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let (feed, kind) = (feed.clone(), kind.clone());
        publishers.spawn(async move {
            for n in 0..EVENTS_EACH {
                let mut own = feed.subscribe(Position::Latest).unwrap();
                let data = Data::new(&(publisher, n)).unwrap();
                let cursor = feed.publish(kind.clone(), data).await.unwrap();
                while own.cursor().id < cursor.id {
                    own.next().await.expect("the log is not finished");
                }
                if n % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }

    timeout(HANG, async {
        while let Some(done) = publishers.join_next().await {
            done.unwrap();
        }
        feed.finish();
        while let Some(seen) = subscribers.join_next().await {
            assert_eq!(seen.unwrap(), PUBLISHERS * EVENTS_EACH);
        }
    })
    .await
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
    assert_eq!((gap.asked.id.get(), gap.resume.id.get()), (0, 15));
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
        // Polled once, so that it is registered; then dropped, as a `select!` arm that loses is.
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
