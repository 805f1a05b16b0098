//! What a follower of pages makes of what servers, caches and networks answer.

mod support;

use client::{Client, Error, LongPollingClient, Pace, PollingClient, Rhythm, Update};
use contract::Position;
use futures_util::{stream::BoxStream, StreamExt};
use reqwest::Url;
use std::time::Duration;
use support::BRISK;
use testbed::{update, Script};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

/// Polls as fast as it can.
const AT_ONCE: Method = Method::Polling(Rhythm {
    interval: Duration::ZERO,
    jitter: 0.0,
});

const LONG: Method = Method::LongPolling(Duration::from_secs(20));

type Updates = BoxStream<'static, Result<Update, Error>>;

/// The two methods that answer with pages, and how their clients ask.
#[derive(Clone, Copy)]
enum Method {
    Polling(Rhythm),
    /// With the wait to ask for.
    LongPolling(Duration),
}

impl Method {
    fn subscribe(self, base: Url, pace: Pace, position: Position) -> Updates {
        match self {
            Self::Polling(rhythm) => {
                let client = PollingClient::with_pace(base, pace).with_rhythm(rhythm);
                client.subscribe(position).boxed()
            }
            Self::LongPolling(wait) => {
                let client = LongPollingClient::with_pace(base, pace).with_wait(wait);
                client.subscribe(position).boxed()
            }
        }
    }
}

fn subscribe(script: &Script, method: Method, position: Position) -> Updates {
    method.subscribe(script.base.clone(), BRISK, position)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

const JSON: &str = "Content-Type: application/json\r\n";

const PROBLEM: &str = "Content-Type: application/problem+json\r\n";

fn page(body: &str) -> String {
    answer("200 OK", JSON, body)
}

/// What a server that waited answers when nothing came.
fn waited(body: &str) -> String {
    let headers = format!("{JSON}Preference-Applied: wait=20\r\n");
    answer("200 OK", &headers, body)
}

/// A page with the events after one number up to another.
fn events(after: u64, next: u64, rest: &str) -> String {
    let events: Vec<_> = (after + 1..=next)
        .map(|n| {
            format!(
                r#"{{"id":"k3f9x2.{n}","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":{n}}}"#
            )
        })
        .collect();
    let events = events.join(",");
    format!(
        r#"{{"after":"k3f9x2.{after}","events":[{events}],"next":"k3f9x2.{next}"{rest}}}"#
    )
}

fn gap(asked: &str, resume: &str) -> String {
    let body = format!(
        r#"{{"type":"tag:waiting.example,2026:expired","asked":"{asked}","resume":"{resume}"}}"#
    );
    answer("410 Gone", PROBLEM, &body)
}

fn after(text: &str) -> Position {
    Position::After(text.parse().unwrap())
}

/// The target of the next request.
async fn target(script: &mut Script) -> String {
    let head = script.head().await;
    head.split(' ').nth(1).unwrap().to_owned()
}

async fn error(updates: &mut Updates) -> Error {
    let error = testbed::in_time("an error", updates.next()).await;
    let error = error.unwrap().unwrap_err();
    assert!(updates.next().await.is_none(), "nothing follows an error");
    error
}

#[tokio::test]
async fn pages_become_updates_and_each_asks_after_the_one_before() {
    for method in [AT_ONCE, LONG] {
        let mut script = Script::of([
            page(&events(3, 3, "")),
            page(&events(3, 5, r#","more":true"#)),
            // Its cursor is ahead of its last event: some that are not for this client
            // may lie between.
            page(
                &events(5, 6, "")
                    .replace(r#""next":"k3f9x2.6""#, r#""next":"k3f9x2.8""#),
            ),
            waited(&events(8, 8, "")),
            page(&events(8, 9, r#","finished":true"#)),
        ])
        .await;
        let mut updates = subscribe(&script, method, Position::Latest);
        assert!(
            matches!(update(&mut updates).await, Update::Opened(cursor) if cursor.id.get() == 3)
        );
        assert!(matches!(update(&mut updates).await, Update::Heartbeat));
        assert!(
            matches!(update(&mut updates).await, Update::Events(two) if two.len() == 2)
        );
        assert!(
            matches!(update(&mut updates).await, Update::Events(one) if one.len() == 1)
        );
        assert!(matches!(update(&mut updates).await, Update::Heartbeat));
        assert!(
            matches!(update(&mut updates).await, Update::Events(one) if one[0].data.get() == "9")
        );
        assert!(matches!(update(&mut updates).await, Update::Finished));
        assert!(updates.next().await.is_none());
        for asked in ["latest", "k3f9x2.3", "k3f9x2.5", "k3f9x2.8", "k3f9x2.8"] {
            assert_eq!(target(&mut script).await, format!("/events?after={asked}"));
        }
    }
}

#[tokio::test]
async fn the_wish_to_wait_is_in_whole_seconds_and_neither_polling_nor_a_first_question_has_one(
) {
    let short = Method::LongPolling(Duration::from_millis(300));
    for (method, wish) in [(LONG, Some("20")), (short, Some("1")), (AT_ONCE, None)] {
        let mut script = Script::of([
            page(&events(0, 0, "")),
            page(&events(0, 0, r#","finished":true"#)),
        ])
        .await;
        let mut updates = subscribe(&script, method, after("k3f9x2.0"));
        while !matches!(update(&mut updates).await, Update::Finished) {}
        let first = script.head().await;
        assert!(!first.contains("prefer"), "{first}");
        let second = script.head().await;
        let found = second.split_once("prefer: wait=").map(|(_, rest)| rest);
        let found = found.and_then(|rest| rest.split_once("\r\n"));
        assert_eq!(found.map(|(seconds, _)| seconds), wish, "{second}");
    }
}

#[tokio::test]
async fn a_gap_is_told_and_gone_on_from() {
    let mut script = Script::of([
        gap("k3f9x2.1", "k3f9x2.9"),
        page(&events(9, 10, r#","finished":true"#)),
    ])
    .await;
    let mut updates = subscribe(&script, LONG, after("k3f9x2.1"));
    assert!(
        matches!(update(&mut updates).await, Update::Gap(gap) if gap.resume.id.get() == 9)
    );
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    assert_eq!(target(&mut script).await, "/events?after=k3f9x2.1");
    assert_eq!(target(&mut script).await, "/events?after=k3f9x2.9");
}

#[tokio::test]
async fn an_answer_of_a_stranger_is_no_answer_and_nothing_of_it_is_told() {
    for strange in [
        page(&events(7, 8, "")),
        gap("k3f9x2.7", "k3f9x2.9"),
        page(&events(1, 1, r#","more":true"#)),
        page(&events(0, 20_000, "")),
        answer("200 OK", "Content-Type: text/html\r\n", "<html>"),
        answer("204 No Content", "", ""),
        answer("404 Not Found", "", ""),
    ] {
        let mut script = Script::of([strange, page(&events(1, 2, ""))]).await;
        let mut updates = subscribe(&script, LONG, after("k3f9x2.1"));
        let lost = update(&mut updates).await;
        assert!(matches!(lost, Update::Reconnecting(_)), "{lost:?}");
        assert!(
            matches!(update(&mut updates).await, Update::Opened(at) if at.id.get() == 1)
        );
        for _ in 0..2 {
            assert_eq!(target(&mut script).await, "/events?after=k3f9x2.1");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leads_nowhere_is_asked_less_and_less_often() {
    let stuck = page(&events(5, 5, r#","more":true"#));
    let script = Script::of(vec![stuck; 20]).await;
    let mut updates =
        LONG.subscribe(script.base.clone(), Pace::default(), after("k3f9x2.5"));
    let start = Instant::now();
    for _ in 0..20 {
        assert!(matches!(
            timed(&mut updates).await.0,
            Update::Reconnecting(_)
        ));
    }
    // Twenty draws of waits up to 30 s. At once, it would be no time at all.
    assert!(
        start.elapsed() > Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_failure_that_passes_keeps_the_cursor() {
    let mut script = Script::of([
        page(&events(3, 4, "")),
        // It breaks off in the middle: this is no length of a chunk.
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"after\"\r\nXX\r\n".to_owned(),
        answer("503 Service Unavailable", "", "{}"),
        answer("502 Bad Gateway", "", "<html>"),
        page(&events(4, 5, r#","finished":true"#)),
    ])
    .await;
    let mut updates = subscribe(&script, LONG, Position::Latest);
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    for _ in 0..3 {
        let lost = update(&mut updates).await;
        assert!(matches!(lost, Update::Reconnecting(_)), "{lost:?}");
    }
    assert!(
        matches!(update(&mut updates).await, Update::Opened(at) if at.id.get() == 4)
    );
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    assert_eq!(target(&mut script).await, "/events?after=latest");
    for _ in 0..4 {
        assert_eq!(target(&mut script).await, "/events?after=k3f9x2.4");
    }
}

#[tokio::test]
async fn a_failure_that_stays_ends_the_client() {
    for (status, problem) in [
        ("400 Bad Request", "future-cursor"),
        ("404 Not Found", "not-found"),
    ] {
        let body = format!(r#"{{"type":"tag:waiting.example,2026:{problem}"}}"#);
        let script = Script::of([answer(status, PROBLEM, &body)]).await;
        let error = error(&mut subscribe(&script, AT_ONCE, after("k3f9x2.0"))).await;
        assert_eq!(error.problem(), Some(problem), "{error:?}");
    }
    let nowhere = "data:text".parse().unwrap();
    let mut updates = AT_ONCE.subscribe(nowhere, BRISK, Position::Latest);
    let error = error(&mut updates).await;
    assert!(matches!(error, Error::Base(_)), "{error:?}");
}

/// Waits for the next update, and says how long that took. For a paused clock, which
/// does not tick while bytes are on their way.
async fn timed(updates: &mut Updates) -> (Update, Duration) {
    let start = Instant::now();
    let update = updates.next().await.unwrap().unwrap();
    (update, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn polling_pauses_but_not_while_more_is_due() {
    let method = Method::Polling(Rhythm {
        interval: HOUR,
        jitter: 0.1,
    });
    let mut firsts = Vec::new();
    for _ in 0..10 {
        let script = Script::of([
            page(&events(0, 1, r#","more":true"#)),
            page(&events(1, 2, "")),
            page(&events(2, 3, "")),
            page(&events(3, 4, "")),
        ])
        .await;
        let mut updates = subscribe(&script, method, Position::Earliest);
        for _ in 0..3 {
            let (_, took) = timed(&mut updates).await;
            assert!(took < HOUR / 60, "no pause yet: {took:?}");
        }
        let (_, first) = timed(&mut updates).await;
        assert!(first < HOUR + HOUR / 60, "{first:?}");
        firsts.push(first);
        let (_, later) = timed(&mut updates).await;
        let expected = HOUR.mul_f64(0.9)..HOUR.mul_f64(1.1) + HOUR / 60;
        assert!(expected.contains(&later), "{later:?}");
    }
    let spread = *firsts.iter().max().unwrap() - *firsts.iter().min().unwrap();
    assert!(spread > HOUR / 4, "the whole interval is used: {firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn long_polling_asks_again_at_once_but_not_a_server_that_does_not_wait() {
    const SECOND: Duration = Duration::from_secs(1);
    // Each answer comes after a second, as of a server that waits.
    let script = Script::late(
        SECOND,
        [
            page(&events(0, 0, "")),
            waited(&events(0, 0, "")),
            page(&events(0, 1, "")),
            page(&events(1, 1, "")),
            page(&events(1, 1, "")),
        ],
    )
    .await;
    let mut updates = subscribe(&script, LONG, Position::Earliest);
    assert!(matches!(timed(&mut updates).await.0, Update::Opened(_)));
    assert!(matches!(timed(&mut updates).await.0, Update::Heartbeat));
    for _ in 0..3 {
        let (update, took) = timed(&mut updates).await;
        assert!(took < 2 * SECOND, "{update:?} after {took:?}");
    }
    let (update, took) = timed(&mut updates).await;
    assert!(
        took >= 2 * SECOND && took < 4 * SECOND,
        "an empty page that nobody waited with: {update:?} after {took:?}"
    );
    // Some cache has kept what a server once answered.
    let script =
        Script::of([page(&events(0, 0, "")), waited(&events(0, 0, "")), page("")])
            .await;
    let mut updates = subscribe(&script, LONG, Position::Earliest);
    for _ in 0..3 {
        timed(&mut updates).await;
    }
    let (update, took) = timed(&mut updates).await;
    assert!(took >= SECOND, "{update:?} after {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_answer_times_out_after_the_wait_it_asked_for() {
    for (method, answers, seconds) in [(AT_ONCE, 1, 10), (LONG, 0, 10), (LONG, 1, 30)] {
        let script = Script::of(vec![page(&events(0, 0, "")); answers]).await;
        let mut updates = subscribe(&script, method, Position::Latest);
        for _ in 0..2 * answers {
            timed(&mut updates).await;
        }
        let (update, took) = timed(&mut updates).await;
        assert!(matches!(update, Update::Reconnecting(_)), "{update:?}");
        let expected = Duration::from_secs(seconds);
        assert!(
            took >= expected && took < expected + Duration::from_secs(1),
            "{took:?}"
        );
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_to_add_to_is_an_hour() {
    let mut script = Script::of([page(&events(0, 0, "")), page("")]).await;
    let mut updates = subscribe(
        &script,
        Method::LongPolling(Duration::MAX),
        Position::Latest,
    );
    for _ in 0..3 {
        update(&mut updates).await;
    }
    script.head().await;
    assert!(script.head().await.contains("prefer: wait=3600\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let busy = answer("503 Service Unavailable", "Retry-After: 2592000\r\n", "{}");
    let script = Script::of([busy, page(&events(0, 0, ""))]).await;
    let mut updates =
        AT_ONCE.subscribe(script.base.clone(), Pace::default(), Position::Latest);
    let (update, _) = timed(&mut updates).await;
    let Update::Reconnecting(wait) = update else {
        panic!("{update:?}")
    };
    assert!(wait > HOUR, "the jitter is on top: {wait:?}");
    assert!(
        wait < HOUR + Duration::from_secs(2),
        "it is bounded: {wait:?}"
    );
    let (update, took) = timed(&mut updates).await;
    assert!(matches!(update, Update::Opened(_)), "{update:?}");
    assert!(took >= wait, "{took:?}");
}

#[tokio::test]
async fn long_polling_asks_for_its_wait() {
    const PAGE: &str = r#"{"after":"k3f9x2.0","events":[],"next":"k3f9x2.0"}"#;
    for (client, wish) in [
        (
            LongPollingClient::new as fn(_) -> LongPollingClient,
            "wait=25",
        ),
        (
            |base| LongPollingClient::new(base).with_wait(Duration::from_secs(7)),
            "wait=7",
        ),
    ] {
        let length = PAGE.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{PAGE}");
        let mut script = Script::of([answer]).await;
        let updates = client(script.base.clone()).subscribe(Position::Latest);
        let reading = tokio::spawn(updates.for_each(|_| async {}));
        assert!(!script.head().await.contains("prefer"));
        let second = script.head().await;
        assert!(second.contains(&format!("prefer: {wish}\r\n")), "{second}");
        reading.abort();
    }
}
