//! What a follower of pages makes of what servers, caches and networks answer.

use client::{
    pages::{Pages, Rhythm},
    ClientError, Follow, Pace,
};
use feed::{contract::Update, Position};
use futures_util::{stream::BoxStream, StreamExt};
use std::time::Duration;
use testbed::{update, Script, BRISK};
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

/// Polls as fast as it can.
const AT_ONCE: Rhythm = Rhythm::Interval {
    interval: Duration::ZERO,
    jitter: 0.0,
};

const LONG: Rhythm = Rhythm::Wait(Duration::from_secs(20));

type Updates = BoxStream<'static, Result<Update, ClientError>>;

fn follow(script: &Script, rhythm: Rhythm, position: Position) -> Updates {
    Pages::new(script.base.clone(), BRISK, rhythm)
        .subscribe(position)
        .boxed()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn page(body: &str) -> String {
    answer("200 OK", "", body)
}

/// What a server that waited answers when nothing came.
fn waited(body: &str) -> String {
    answer("200 OK", "Preference-Applied: wait=20\r\n", body)
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
    format!(r#"{{"after":"k3f9x2.{after}","events":[{events}],"next":"k3f9x2.{next}"{rest}}}"#)
}

fn gap(asked: &str, resume: &str) -> String {
    let body = format!(
        r#"{{"type":"tag:waiting.example,2026:expired","asked":"{asked}","resume":"{resume}"}}"#
    );
    answer("410 Gone", "", &body)
}

fn after(text: &str) -> Position {
    Position::After(text.parse().unwrap())
}

/// The target of the next request.
async fn target(script: &mut Script) -> String {
    let head = script.head().await;
    head.split(' ').nth(1).unwrap().to_owned()
}

async fn error(updates: &mut Updates) -> ClientError {
    let error = testbed::in_time("an error", updates.next()).await;
    let error = error.unwrap().unwrap_err();
    assert!(updates.next().await.is_none(), "nothing follows an error");
    error
}

#[tokio::test]
async fn pages_become_updates_and_each_asks_after_the_one_before() {
    for rhythm in [AT_ONCE, LONG] {
        let mut script = Script::of([
            page(&events(3, 3, "")),
            page(&events(3, 5, r#","more":true"#)),
            // Its cursor is ahead of its last event: some that are not for this client may lie between.
            page(&events(5, 6, "").replace(r#""next":"k3f9x2.6""#, r#""next":"k3f9x2.8""#)),
            waited(&events(8, 8, "")),
            page(&events(8, 9, r#","finished":true"#)),
        ])
        .await;
        let mut updates = follow(&script, rhythm, Position::Latest);
        assert!(
            matches!(update(&mut updates).await, Update::Opened(cursor) if cursor.id.get() == 3)
        );
        assert!(matches!(update(&mut updates).await, Update::Heartbeat));
        assert!(matches!(update(&mut updates).await, Update::Events(two) if two.len() == 2));
        assert!(matches!(update(&mut updates).await, Update::Events(one) if one.len() == 1));
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
async fn the_wish_to_wait_is_in_whole_seconds_and_neither_polling_nor_a_first_question_has_one() {
    let short = Rhythm::Wait(Duration::from_millis(300));
    for (rhythm, wish) in [(LONG, Some("20")), (short, Some("1")), (AT_ONCE, None)] {
        let mut script = Script::of([
            page(&events(0, 0, "")),
            page(&events(0, 0, r#","finished":true"#)),
        ])
        .await;
        let mut updates = follow(&script, rhythm, after("k3f9x2.0"));
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
    let mut updates = follow(&script, LONG, after("k3f9x2.1"));
    assert!(matches!(update(&mut updates).await, Update::Gap(gap) if gap.resume.id.get() == 9));
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    assert_eq!(target(&mut script).await, "/events?after=k3f9x2.1");
    assert_eq!(target(&mut script).await, "/events?after=k3f9x2.9");
}

#[tokio::test]
async fn an_answer_to_another_question_is_no_answer() {
    for foreign in [page(&events(7, 8, "")), gap("k3f9x2.7", "k3f9x2.9")] {
        let script = Script::of([foreign]).await;
        let mut updates = follow(&script, LONG, after("k3f9x2.1"));
        let error = error(&mut updates).await;
        assert!(matches!(&error, ClientError::Protocol(_)), "{error:?}");
        assert!(error.to_string().contains("k3f9x2.7"), "{error}");
    }
}

#[tokio::test]
async fn a_failure_that_passes_keeps_the_cursor() {
    let mut script = Script::of([
        page(&events(3, 4, "")),
        // It breaks off in the middle: this is no length of a chunk.
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"after\"\r\nXX\r\n".to_owned(),
        answer("503 Service Unavailable", "", "{}"),
        answer("502 Bad Gateway", "", "<html>"),
        page(&events(4, 5, r#","finished":true"#)),
    ])
    .await;
    let mut updates = follow(&script, LONG, Position::Latest);
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    for _ in 0..3 {
        let lost = update(&mut updates).await;
        assert!(matches!(lost, Update::Reconnecting(_)), "{lost:?}");
    }
    assert!(matches!(update(&mut updates).await, Update::Opened(at) if at.id.get() == 4));
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    assert_eq!(target(&mut script).await, "/events?after=latest");
    for _ in 0..4 {
        assert_eq!(target(&mut script).await, "/events?after=k3f9x2.4");
    }
}

#[tokio::test]
async fn a_failure_that_stays_ends_the_client() {
    let too_large = events(0, 20_000, "");
    let refused = answer(
        "400 Bad Request",
        "",
        r#"{"type":"tag:waiting.example,2026:future-cursor"}"#,
    );
    for (text, problem) in [
        (page("<html>"), None),
        (page(&too_large), None),
        (answer("404 Not Found", "", ""), None),
        (answer("204 No Content", "", ""), None),
        (refused, Some("future-cursor")),
    ] {
        let script = Script::of([text]).await;
        let error = error(&mut follow(&script, AT_ONCE, after("k3f9x2.0"))).await;
        assert_eq!(error.problem(), problem, "{error:?}");
    }
}

/// Waits for the next update, and says how long that took. For a paused clock, which does not tick while bytes are on
/// their way.
async fn timed(updates: &mut Updates) -> (Update, Duration) {
    let start = Instant::now();
    let update = updates.next().await.unwrap().unwrap();
    (update, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn polling_pauses_but_not_while_more_is_due() {
    let rhythm = Rhythm::Interval {
        interval: HOUR,
        jitter: 0.1,
    };
    let mut firsts = Vec::new();
    for _ in 0..10 {
        let script = Script::of([
            page(&events(0, 1, r#","more":true"#)),
            page(&events(1, 2, "")),
            page(&events(2, 3, "")),
            page(&events(3, 4, "")),
        ])
        .await;
        let mut updates = follow(&script, rhythm, Position::Earliest);
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
    let script = Script::of([
        page(&events(0, 0, "")),
        waited(&events(0, 0, "")),
        page(&events(0, 1, "")),
        page(&events(1, 1, "")),
        page(&events(1, 1, "")),
    ])
    .await;
    let mut updates = follow(&script, LONG, Position::Earliest);
    for _ in 0..5 {
        let (update, took) = timed(&mut updates).await;
        assert!(took < Duration::from_secs(1), "{update:?} after {took:?}");
    }
    let (update, took) = timed(&mut updates).await;
    assert!(
        took >= Duration::from_secs(4),
        "an empty page that nobody waited with: {update:?} after {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_without_answer_times_out_after_the_wait_it_asked_for() {
    for (rhythm, answers, seconds) in [(AT_ONCE, 1, 10), (LONG, 0, 10), (LONG, 1, 30)] {
        let script = Script::of(vec![page(&events(0, 0, "")); answers]).await;
        let mut updates = follow(&script, rhythm, Position::Latest);
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

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let busy = answer("503 Service Unavailable", "Retry-After: 3600\r\n", "{}");
    let script = Script::of([busy, page(&events(0, 0, ""))]).await;
    let pages = Pages::new(script.base.clone(), Pace::default(), AT_ONCE);
    let mut updates = pages.subscribe(Position::Latest).boxed();
    let (update, _) = timed(&mut updates).await;
    let Update::Reconnecting(wait) = update else {
        panic!("{update:?}")
    };
    assert!(wait > HOUR, "the jitter is on top: {wait:?}");
    let (update, took) = timed(&mut updates).await;
    assert!(matches!(update, Update::Opened(_)), "{update:?}");
    assert!(took >= wait, "{took:?}");
}
