//! The cases: one promise each.

use super::{Client, Refused, Running, Settings, Transport, PATIENCE};
use contract::{
    Cursor, Data, Epoch, EventId, GapReason, IdempotencyKey, Kind, Position,
};
use feed::{Feed, Retention};
use futures_util::{future::BoxFuture, FutureExt};
use std::time::Duration;

type Outcome = Result<(), String>;

/// One promise, and how it is put to the test.
pub struct Case {
    /// The promise, as a test's name.
    pub name: &'static str,
    pub(super) run: for<'a> fn(Bench<'a>) -> BoxFuture<'a, Outcome>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// The whole suite.
        pub const CASES: &[Case] = &[$(Case { name: stringify!($name), run: |bench| $name(bench).boxed() }),*];
    };
}

cases![
    a_cursor_comes_before_the_wait,
    history_comes_first_and_then_what_is_new,
    a_client_starts_after_its_cursor,
    events_keep_their_order_under_load,
    nothing_is_lost_or_doubled_across_cuts,
    a_client_that_saw_nothing_yet_loses_nothing,
    an_expired_cursor_is_a_gap,
    a_cursor_of_another_log_is_a_gap,
    a_client_that_was_away_too_long_is_told,
    a_cursor_from_the_future_is_refused,
    silence_is_filled_with_heartbeats,
    a_shutdown_ends_open_connections,
    a_finished_log_ends_its_clients,
    a_finished_log_lets_late_clients_read_to_its_end,
    data_comes_out_as_it_went_in,
    every_client_sees_what_one_publishes,
    a_retried_publish_is_one_event,
    a_refused_publish_says_why_and_leaves_no_event,
];

/// What a case works with: a log, and the transport to serve it with.
pub(super) struct Bench<'a> {
    transport: &'a dyn Transport,
}

/// A server at work on a log.
struct Stand {
    feed: Feed,
    server: Box<dyn Running>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(transport: &'a dyn Transport) -> Self {
        Self { transport }
    }

    /// A server of a new log that keeps `max_events`; its heartbeats are too far apart
    /// to be met by accident.
    async fn stand(&self, max_events: usize) -> Stand {
        self.stand_with(max_events, Duration::from_secs(15)).await
    }

    async fn stand_with(&self, max_events: usize, heartbeat: Duration) -> Stand {
        let feed = Feed::builder()
            .epoch(epoch("aaaaaa"))
            .retention(Retention {
                max_events,
                ..Retention::default()
            })
            .build();
        let server = self
            .transport
            .start(feed.clone(), Settings { heartbeat })
            .await;
        Stand { feed, server }
    }
}

impl Stand {
    fn client(&self, position: Position) -> Client {
        Client::new(self.server.subscribe(position))
    }

    /// A client that is known to be connected, and the cursor it holds.
    async fn connected(&self, position: Position) -> Result<(Client, Cursor), String> {
        let mut client = self.client(position);
        let cursor = client.opened().await?;
        Ok((client, cursor))
    }

    /// Publishes numbers straight into the log.
    async fn put(&self, numbers: std::ops::RangeInclusive<u64>) -> Outcome {
        for n in numbers {
            let data = Data::new(&n).map_err(|error| error.to_string())?;
            self.feed
                .publish(kind(), data)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn epoch(name: &str) -> Epoch {
    name.parse().unwrap_or_else(|_| feed::random_epoch())
}

fn cursor(id: u64) -> Cursor {
    Cursor {
        epoch: epoch("aaaaaa"),
        id: EventId::new(id),
    }
}

fn kind() -> Kind {
    "message"
        .parse()
        .unwrap_or_else(|_| unreachable!("a constant"))
}

fn key(name: &str) -> Result<IdempotencyKey, String> {
    name.parse().map_err(|error| format!("{error}"))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}

/// The next events must be these: the number in each event is also its id.
async fn expect(
    client: &mut Client,
    numbers: std::ops::RangeInclusive<u64>,
) -> Outcome {
    for n in numbers {
        let event = client
            .event()
            .await
            .map_err(|error| format!("before event {n}: {error}"))?;
        equal("the next event's id", event.id, cursor(n))?;
        equal("its data", event.data.get(), n.to_string().as_str())?;
    }
    Ok(())
}

async fn a_cursor_comes_before_the_wait(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=3).await?;
    let (mut client, held) = stand.connected(Position::Latest).await?;
    equal(
        "the cursor of a client that starts at the latest",
        held,
        cursor(3),
    )?;
    stand.put(4..=4).await?;
    expect(&mut client, 4..=4).await
}

async fn history_comes_first_and_then_what_is_new(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=5).await?;
    let (mut client, held) = stand.connected(Position::Earliest).await?;
    equal(
        "the cursor of a client that starts at the earliest",
        held,
        cursor(0),
    )?;
    expect(&mut client, 1..=5).await?;
    stand.put(6..=10).await?;
    expect(&mut client, 6..=10).await
}

async fn a_client_starts_after_its_cursor(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=5).await?;
    let (mut client, held) = stand.connected(Position::After(cursor(3))).await?;
    equal("its cursor", held, cursor(3))?;
    expect(&mut client, 4..=5).await
}

async fn events_keep_their_order_under_load(bench: Bench<'_>) -> Outcome {
    // More than one batch, and more than a socket's buffers hold at once.
    const EVENTS: u64 = 3_000;
    let stand = bench.stand(10_000).await;
    stand.put(1..=EVENTS / 3).await?;
    let mut client = stand.client(Position::Earliest);
    let publishing = async {
        for n in EVENTS / 3 + 1..=EVENTS {
            stand.put(n..=n).await?;
            // In bursts, so that one batch carries one event and another carries many.
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    };
    let reading = expect(&mut client, 1..=EVENTS);
    let (published, read) = futures_util::future::join(publishing, reading).await;
    published.and(read)
}

async fn nothing_is_lost_or_doubled_across_cuts(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(1_000).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    for round in 0..4u64 {
        let first = round * 20 + 1;
        stand.put(first..=first + 9).await?;
        // The cut comes with events seen, events on their way, and events that come
        // while nobody is connected.
        expect(&mut client, first..=first + 4).await?;
        stand.server.cut().await;
        client.reconnecting().await?;
        stand.put(first + 10..=first + 19).await?;
        stand.server.restore().await;
        expect(&mut client, first + 5..=first + 19).await?;
    }
    // A duplicate would come before this one.
    stand.put(81..=81).await?;
    expect(&mut client, 81..=81).await
}

async fn a_client_that_saw_nothing_yet_loses_nothing(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=3).await?;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    stand.server.cut().await;
    client.reconnecting().await?;
    stand.put(4..=6).await?;
    stand.server.restore().await;
    expect(&mut client, 4..=6).await
}

async fn an_expired_cursor_is_a_gap(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(5).await;
    stand.put(1..=12).await?;
    let mut client = stand.client(Position::After(cursor(2)));
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::Expired)?;
    equal("where the client was", gap.asked, Some(cursor(2)))?;
    equal("where it goes on", gap.resume, cursor(7))?;
    expect(&mut client, 8..=12).await?;
    stand.put(13..=13).await?;
    expect(&mut client, 13..=13).await
}

async fn a_cursor_of_another_log_is_a_gap(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=3).await?;
    // Its number exists here as well: only the epoch tells that it means another event.
    let foreign = Cursor {
        epoch: epoch("zzzzzz"),
        id: EventId::new(2),
    };
    let mut client = stand.client(Position::After(foreign));
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::NewLog)?;
    equal("where the client was", gap.asked, Some(foreign))?;
    equal("where it goes on", gap.resume, cursor(0))?;
    expect(&mut client, 1..=3).await
}

async fn a_client_that_was_away_too_long_is_told(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(5).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    stand.put(1..=2).await?;
    expect(&mut client, 1..=2).await?;
    stand.server.cut().await;
    client.reconnecting().await?;
    stand.put(3..=20).await?;
    stand.server.restore().await;
    let gap = client.gap().await?;
    equal("its reason", gap.reason, GapReason::Expired)?;
    equal("where the client was", gap.asked, Some(cursor(2)))?;
    equal("where it goes on", gap.resume, cursor(15))?;
    expect(&mut client, 16..=20).await
}

async fn a_cursor_from_the_future_is_refused(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=3).await?;
    let problem = stand.client(Position::After(cursor(9))).refused().await?;
    equal("the problem", problem.as_str(), "future-cursor")
}

async fn silence_is_filled_with_heartbeats(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand_with(100, Duration::from_millis(40)).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    for _ in 0..3 {
        client.heartbeat().await?;
    }
    stand.put(1..=1).await?;
    expect(&mut client, 1..=1).await?;
    client.heartbeat().await
}

async fn a_shutdown_ends_open_connections(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut first, _) = stand.connected(Position::Latest).await?;
    let (mut second, _) = stand.connected(Position::Earliest).await?;
    tokio::time::timeout(PATIENCE, stand.server.shut_down())
        .await
        .map_err(|_| {
            "the server did not end while clients were connected".to_owned()
        })?;
    first.reconnecting().await?;
    second.reconnecting().await
}

async fn a_finished_log_ends_its_clients(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    stand.put(1..=3).await?;
    stand.feed.finish();
    expect(&mut client, 1..=3).await?;
    client.finished().await
}

async fn a_finished_log_lets_late_clients_read_to_its_end(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    stand.put(1..=3).await?;
    stand.feed.finish();
    let mut late = stand.client(Position::Earliest);
    expect(&mut late, 1..=3).await?;
    late.finished().await?;
    stand.client(Position::After(cursor(3))).finished().await
}

async fn data_comes_out_as_it_went_in(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    let texts = [
        "",
        " ",
        "a\nb",
        "a\rb",
        "a\r\nb",
        "\n\n",
        "\r",
        "data: x\n\nid: 1",
        "\u{0}",
        "\u{feff}x",
        "\"\\/\u{8}\u{c}\t",
        "\u{2028}\u{2029}",
        "žluťoučký kůň 🐎",
        ": comment",
        "event: end",
    ];
    let mut values: Vec<Data> = Vec::new();
    for text in texts {
        values.push(Data::new(text).map_err(|error| error.to_string())?);
    }
    for json in [
        "null",
        "[]",
        "{\"a\":[1,2.50,1e3,123456789012345678901234567890]}",
        "[1,\r\n2]",
    ] {
        values.push(Data::from_json(json).map_err(|error| error.to_string())?);
    }
    // Larger than one read of a socket, in characters of three bytes each, so that a
    // read ends inside one.
    values.push(Data::new(&"水".repeat(20_000)).map_err(|error| error.to_string())?);
    for value in values {
        stand
            .feed
            .publish(kind(), value.clone())
            .await
            .map_err(|error| error.to_string())?;
        let event = client.event().await?;
        equal("the data", event.data.get(), value.as_str())?;
    }
    Ok(())
}

async fn every_client_sees_what_one_publishes(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut first, _) = stand.connected(Position::Latest).await?;
    let (mut second, _) = stand.connected(Position::Latest).await?;
    let data = Data::new("hello").map_err(|error| error.to_string())?;
    let published = stand.server.publish(None, kind(), data.clone()).await;
    equal("the answer", published, Ok(cursor(1)))?;
    for client in [&mut first, &mut second] {
        let event = client.event().await?;
        equal("the event's id", event.id, cursor(1))?;
        equal("its data", event.data.get(), data.as_str())?;
    }
    Ok(())
}

async fn a_retried_publish_is_one_event(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    let data = Data::new(&1).map_err(|error| error.to_string())?;
    for attempt in ["the first attempt", "the retry"] {
        let answer = stand
            .server
            .publish(Some(key("one-attempt")?), kind(), data.clone())
            .await;
        equal(attempt, answer, Ok(cursor(1)))?;
    }
    stand.put(2..=2).await?;
    expect(&mut client, 1..=2).await
}

async fn a_refused_publish_says_why_and_leaves_no_event(bench: Bench<'_>) -> Outcome {
    let stand = bench.stand(100).await;
    let (mut client, _) = stand.connected(Position::Latest).await?;
    let refused = |name: &str| Err(Refused(name.to_owned()));
    let one = Data::new(&1).map_err(|error| error.to_string())?;
    let two = Data::new(&2).map_err(|error| error.to_string())?;
    let first = stand.server.publish(Some(key("a")?), kind(), one).await;
    equal("a publish", first, Ok(cursor(1)))?;
    let reused = stand.server.publish(Some(key("a")?), kind(), two).await;
    equal(
        "a key used for another event",
        reused,
        refused("key-reused"),
    )?;
    let large = Data::new(&"x".repeat(70_000)).map_err(|error| error.to_string())?;
    let large = stand.server.publish(None, kind(), large).await;
    equal(
        "more data than an event may have",
        large,
        refused("too-large"),
    )?;
    stand.put(2..=2).await?;
    expect(&mut client, 1..=2).await?;
    stand.feed.finish();
    let three = Data::new(&3).map_err(|error| error.to_string())?;
    let late = stand.server.publish(None, kind(), three).await;
    equal("a publish to a finished log", late, refused("finished"))?;
    client.finished().await
}
