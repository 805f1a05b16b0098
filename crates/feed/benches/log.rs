//! What the log costs: publish, read, and publish with many subscribers waiting.
//!
//! `cargo bench -p feed`. Figures are for comparison on one machine; no test depends on
//! them.
#![allow(missing_docs)]

use contract::{Data, Kind, Position};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use feed::{Delivery, Feed, Retention};
use std::{
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::Notify};

fn kind() -> Kind {
    "tick".parse().expect("a kind")
}

/// The size of a stock tick, about 50 bytes of JSON.
fn data() -> Data {
    Data::from_json(r#"{"symbol":"ACME","price":101.25,"change":-0.25}"#).expect("JSON")
}

fn publish(bench: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let feed = Feed::new(Retention::default());
    bench.bench_function("publish", |bencher| {
        bencher
            .to_async(&runtime)
            .iter(|| feed.publish(kind(), data()));
    });
}

fn read(bench: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let feed = Feed::new(Retention::default());
    runtime.block_on(async {
        for _ in 0..10_000 {
            feed.publish(kind(), data()).await.expect("taken");
        }
    });
    let mut group = bench.benchmark_group("read");
    for events in [1usize, 16, 256] {
        group.throughput(Throughput::Elements(events as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(events),
            &events,
            |bencher, &events| {
                bencher.iter(|| feed.read(Position::Earliest, events, usize::MAX));
            },
        );
    }
    group.finish();
}

/// A read that meets a publisher of large events: how long the log's lock is held for
/// one.
fn read_beside_a_publisher(bench: &mut Criterion) {
    let feed = Feed::new(Retention::default());
    let done = Arc::new(AtomicBool::new(false));
    let publisher = {
        let (feed, done) = (feed.clone(), Arc::clone(&done));
        let runtime = Runtime::new().expect("a runtime");
        std::thread::spawn(move || {
            let data = Data::new(&"é".repeat(30 * 1024)).expect("JSON");
            while !done.load(Ordering::Relaxed) {
                let published = runtime.block_on(feed.publish(kind(), data.clone()));
                published.expect("published");
            }
        })
    };
    bench.bench_function("read beside a publisher of 60 KiB", |bencher| {
        bencher.iter(|| feed.read(Position::Latest, 1, 1));
    });
    done.store(true, Ordering::Relaxed);
    publisher.join().expect("the publisher ends");
}

/// One publish, until the last of the waiting subscribers has the event.
fn fan_out(bench: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = bench.benchmark_group("publish to waiting subscribers");
    for subscribers in [1u64, 10, 100, 1_000, 10_000] {
        let feed = Feed::new(Retention::default());
        let seen = Arc::new(AtomicU64::new(0));
        let all = Arc::new(Notify::new());
        for _ in 0..subscribers {
            let (seen, all) = (Arc::clone(&seen), Arc::clone(&all));
            let mut subscription = feed.subscribe(Position::Latest).expect("latest");
            runtime.spawn(async move {
                while let Some(Delivery::Batch(batch)) = subscription.next().await {
                    let events = batch.events.len() as u64;
                    let total = seen.fetch_add(events, Ordering::AcqRel) + events;
                    if total.is_multiple_of(subscribers) {
                        all.notify_one();
                    }
                }
            });
        }
        group.throughput(Throughput::Elements(subscribers));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            bencher.to_async(&runtime).iter_custom(|rounds| {
                let (feed, all) = (feed.clone(), Arc::clone(&all));
                async move {
                    let mut took = Duration::ZERO;
                    for _ in 0..rounds {
                        let start = Instant::now();
                        feed.publish(kind(), data()).await.expect("taken");
                        all.notified().await;
                        took += start.elapsed();
                    }
                    took
                }
            });
        });
        feed.finish();
    }
    group.finish();
}

criterion_group! {
    name = log;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = publish, read, read_beside_a_publisher, fan_out
}
criterion_main!(log);
