//! The walk: what the other tests ask of the server, and what it alone has to do.
#![allow(
    clippy::duplicate_mod,
    reason = "they are programs of their own as well"
)]

#[path = "behaviour.rs"]
mod behaviour;
#[path = "closing.rs"]
mod closing;
#[path = "golden.rs"]
mod golden;
#[path = "gone.rs"]
mod gone;
#[path = "http2.rs"]
mod http2;

mod support;

use contract::{Data, Kind};
use futures_util::future::join_all;
use harness::{say, still_feed};
use support::{fan_out, Socket, Stand, Wire, FOR_EVER};
use testbed::eventually;
use websocket::{Config, FanOut};

fn quiet() -> Config {
    assert_eq!(fan_out(), FanOut::Walk);
    Config {
        heartbeat: FOR_EVER,
        ..Config::default()
    }
}

async fn greeted(stand: &Stand) -> Socket {
    let mut socket = stand.open("/events").await;
    let hello = socket.text().await;
    assert!(hello.starts_with(r#"{"hello":"#), "{hello}");
    socket
}

/// Waits until the walker runs. Sockets and walker are subscriptions, and the walker
/// runs only while there is a socket in the walk.
async fn walked(stand: &Stand, sockets: usize) {
    let subscribers = || stand.feed.subscribers();
    eventually("the walker runs", || subscribers() == sockets + 1).await;
}

/// The number of an event, or of the place after which a gap goes on.
fn number(text: &str) -> u64 {
    let (_, rest) = text.split_once("k3f9x2.").expect("a cursor");
    let digits = rest.split(|it: char| !it.is_ascii_digit()).next();
    digits.and_then(|it| it.parse().ok()).expect("a number")
}

async fn event(wire: &mut Wire) -> String {
    let frame = wire.frame().await.expect("an event or a gap");
    frame.text().to_owned()
}

#[tokio::test]
async fn a_reader_that_stops_leaves_the_walk_and_its_neighbours_go_on() {
    let stand = Stand::of(still_feed(20), quiet());
    let mut before = greeted(&stand).await;
    let mut stopped = stand.wire("/events", 1024).await;
    stopped.frame().await.expect("hello");
    let mut after = greeted(&stand).await;
    walked(&stand, 3).await;
    let long = "x".repeat(500);
    for n in 1..=100 {
        say(&stand.feed, &long).await;
        for neighbour in [&mut before, &mut after] {
            assert_eq!(number(&neighbour.text().await), n);
        }
    }
    // It reads again: what was on its way, a gap, what the log has kept, each once.
    let (mut last, mut gaps, mut events) = (0, 0, 0);
    while last < 100 {
        let text = event(&mut stopped).await;
        if let Some(gap) = text.strip_prefix(r#"{"gap":"#) {
            let (_, resume) = gap.split_once(r#""resume":"#).expect("a gap");
            last = number(resume);
            gaps += 1;
        } else {
            assert_eq!(number(&text), last + 1, "{text}");
            last += 1;
            events += 1;
        }
    }
    assert!(gaps == 1 && events >= 20, "{gaps} gaps, {events} events");
    // And it is back in the walk, alone.
    drop((before, after));
    walked(&stand, 1).await;
    say(&stand.feed, "again").await;
    assert_eq!(number(&event(&mut stopped).await), 101);
    drop(stopped);
    eventually("nothing is left", || stand.feed.subscribers() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stays_away_is_dropped_and_holds_no_queue() {
    let config = Config::default();
    let edge = serving::Config {
        write_progress: FOR_EVER,
        ..serving::Config::default()
    };
    let heartbeat = config.heartbeat;
    let stand = Stand::with(still_feed(10), config, edge, support::guarded);
    let mut reads = greeted(&stand).await;
    let mut stopped = stand.wire("/events", 1024).await;
    stopped.frame().await.expect("hello");
    walked(&stand, 2).await;
    let kind: Kind = "message".parse().unwrap();
    let data = Data::new(&"x".repeat(30_000)).unwrap();
    let mut kept = Vec::new();
    for _ in 0..100 {
        let published = stand.feed.publish(kind.clone(), data.clone()).await;
        let event = stand.feed.event(published.unwrap()).unwrap();
        kept.push(std::sync::Arc::downgrade(&event));
        drop(event);
        reads.text().await;
    }
    let alive = kept.iter().filter(|event| event.strong_count() > 0).count();
    assert!(alive <= 10 + 3, "{alive} events are kept for one reader");
    // The other answers pings, as long as it reads.
    let end = tokio::time::Instant::now() + 3 * heartbeat;
    while let Ok(text) = tokio::time::timeout_at(end, reads.text()).await {
        assert!(text.starts_with(r#"{"heartbeat":"#), "{text}");
    }
    walked(&stand, 1).await;
}

/// Its tasks are stopped one after the other, the walker among them, while others run.
#[test]
fn a_runtime_that_stops_stops_the_walk() {
    for _ in 0..50 {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let (stand, sockets) = runtime.block_on(async {
            let stand = Stand::start(quiet());
            let mut sockets = Vec::new();
            for _ in 0..10 {
                sockets.push(greeted(&stand).await);
            }
            walked(&stand, sockets.len()).await;
            (stand, sockets)
        });
        runtime.shutdown_timeout(testbed::HANG);
        assert_eq!(stand.feed.subscribers(), 0, "a task still runs");
        drop(sockets);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_gets_every_event_once_while_all_of_them_publish() {
    const SOCKETS: u64 = 150;
    const EACH: u64 = 3;
    let config = Config {
        max_sockets: SOCKETS as usize,
        ..quiet()
    };
    let stand = Stand::of(still_feed(10_000), config);
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(greeted(&stand).await);
    }
    walked(&stand, SOCKETS as usize).await;
    let talk = |(n, mut socket): (usize, Socket)| async move {
        for m in 0..EACH {
            socket
                .say(&format!(
                    r#"{{"publish":{{"ref":"{n}-{m}","kind":"message","data":1}}}}"#
                ))
                .await;
        }
        let (mut events, mut acks) = (0, 0);
        while events < SOCKETS * EACH || acks < EACH {
            let text = socket.text().await;
            if text.starts_with(r#"{"ack":"#) {
                acks += 1;
            } else {
                events += 1;
                assert_eq!(number(&text), events, "socket {n}: {text}");
            }
        }
        socket
    };
    let talks = sockets.into_iter().enumerate().map(talk);
    let sockets = join_all(talks.map(tokio::spawn)).await;
    walked(&stand, SOCKETS as usize).await;
    drop(sockets);
    eventually("nothing is left", || stand.feed.subscribers() == 0).await;
}
