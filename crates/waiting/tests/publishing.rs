//! `POST events`, as a client sees it.

use axum::{body::Body, Router};
use contract::{IdempotencyKey, NewEvent, Position, Problem, ProblemKind};
use feed::{Feed, Retention};
use harness::Server;
use http::{Request, StatusCode};
use signal::Signal;
use tower::ServiceExt;
use waiting::{http::publish_route, Door, Places, Room};

const EVENT: &str = r#"{"kind":"message","data":{"from":"Ada","text":"Hello"}}"#;

fn room(feed: &Feed) -> Room {
    let door = Door::new(Signal::new(), Places::unlimited());
    Room::new("method", feed.clone(), door)
}

fn routed(feed: &Feed) -> Router {
    Router::new().route("/events", publish_route(&room(feed)))
}

fn post(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let request = Request::post("/events");
    headers
        .iter()
        .fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Body::from(body.to_owned()))
        .unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn ask(feed: &Feed, request: Request<Body>) -> (StatusCode, String) {
    let answer = routed(feed).oneshot(request).await.unwrap();
    let status = answer.status();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = axum::body::to_bytes(answer.into_body(), 10_000)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn assert_refused((status, body): (StatusCode, String), expected: u16, name: &str) {
    let problem: Problem = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status.as_u16(), problem.name()),
        (expected, Some(name)),
        "{body}"
    );
}

/// What the log holds, as JSON data.
fn published(feed: &Feed) -> Vec<String> {
    let batch = feed.read(Position::Earliest, 100, 1_000_000).unwrap();
    batch
        .events
        .iter()
        .map(|event| event.data().to_owned())
        .collect()
}

#[tokio::test]
async fn an_event_is_published() {
    let feed = Feed::new(Retention::default());
    let (status, body) = ask(&feed, post(&[JSON], EVENT)).await;
    let latest = feed.state().latest;
    assert_eq!(
        (status.as_u16(), body),
        (201, format!(r#"{{"id":"{latest}"}}"#))
    );
    assert_eq!(latest.id.get(), 1);
    assert_eq!(published(&feed), [r#"{"from":"Ada","text":"Hello"}"#]);
    let with_parameter = ("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(
        ask(&feed, post(&[with_parameter], EVENT)).await.0.as_u16(),
        201
    );
}

#[tokio::test]
async fn a_repeated_key_is_one_event() {
    let feed = Feed::new(Retention::default());
    let key = ("idempotency-key", "5b0f6f3e");
    let (first, body) = ask(&feed, post(&[JSON, key], EVENT)).await;
    let (again, same) = ask(&feed, post(&[JSON, key], EVENT)).await;
    assert_eq!((first.as_u16(), again.as_u16()), (201, 200));
    assert_eq!(body, same);
    assert_eq!(published(&feed).len(), 1);
    let other = r#"{"kind":"message","data":"other"}"#;
    assert_refused(
        ask(&feed, post(&[JSON, key], other)).await,
        422,
        "key-reused",
    );
    assert_eq!(published(&feed).len(), 1);
    // Without a key, the same again is a second event.
    ask(&feed, post(&[JSON], EVENT)).await;
    ask(&feed, post(&[JSON], EVENT)).await;
    assert_eq!(published(&feed).len(), 3);
}

#[tokio::test]
async fn a_key_is_the_same_with_and_without_quotation_marks() {
    let feed = Feed::new(Retention::default());
    for (bare, quoted) in [
        ("5b0f-6f3e", r#""5b0f-6f3e""#),
        (r#"a"b\c"#, r#""a\"b\\c""#),
    ] {
        let ask = |key| ask(&feed, post(&[JSON, ("idempotency-key", key)], EVENT));
        let (first, body) = ask(bare).await;
        let (again, same) = ask(quoted).await;
        assert_eq!((first.as_u16(), again.as_u16()), (201, 200), "{quoted}");
        assert_eq!(body, same);
    }
    for wrong in [
        r#"""#,
        r#""""#,
        r#""a"#,
        r#""a"b"#,
        r#""a\b""#,
        r#""a\""#,
        r#""a";b=1"#,
        r#""a b""#,
    ] {
        let request = post(&[JSON, ("idempotency-key", wrong)], EVENT);
        assert_refused(ask(&feed, request).await, 400, "bad-event");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let feed = Feed::new(Retention::default());
    // The three types that a form of another site can send unasked, and some that only
    // look right.
    for wrong in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/plain; application/json",
        "",
    ] {
        let request = post(&[("content-type", wrong)], EVENT);
        assert_refused(ask(&feed, request).await, 415, "not-json");
    }
    assert_refused(ask(&feed, post(&[], EVENT)).await, 415, "not-json");
    let coded = post(&[JSON, ("content-encoding", "gzip")], EVENT);
    assert_refused(ask(&feed, coded).await, 415, "not-json");
    assert!(published(&feed).is_empty());
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let feed = Feed::new(Retention::default());
    for wrong in [
        "",
        "{}",
        "[]",
        r#"{"kind":"message"}"#,
        r#"{"data":1}"#,
        r#"{"kind":"Message","data":1}"#,
        r#"{"kind":"a\nevent: end","data":1}"#,
        r#"{"kind":"message","data":1"#,
        r#"{"kind":"message","data":NaN}"#,
        r#"{"kind":"message","data":1,"id":"k3f9x2.1"}"#,
        // JSON, and yet nothing that every reader could read.
        r#"{"kind":"message","data":"\ud800"}"#,
        r#"{"kind":"message","data":[1e400]}"#,
        &format!(r#"{{"kind":"message","data":{}}}"#, "9".repeat(5_000)),
        &format!(
            r#"{{"kind":"message","data":{}{}}}"#,
            "[".repeat(30_000),
            "]".repeat(30_000)
        ),
    ] {
        assert_refused(ask(&feed, post(&[JSON], wrong)).await, 400, "bad-event");
    }
    for wrong in ["", "a b", &"x".repeat(65)] {
        let request = post(&[JSON, ("idempotency-key", wrong)], EVENT);
        assert_refused(ask(&feed, request).await, 400, "bad-event");
    }
    let key = ("idempotency-key", "a");
    assert_refused(
        ask(&feed, post(&[JSON, key, key], EVENT)).await,
        400,
        "bad-event",
    );
    assert!(published(&feed).is_empty());
}

#[tokio::test]
async fn the_logs_own_limits_are_told() {
    let small = Feed::builder().max_event_bytes(10).build();
    assert_refused(ask(&small, post(&[JSON], EVENT)).await, 413, "too-large");
    let complete = Feed::new(Retention::default());
    complete.finish();
    assert_refused(ask(&complete, post(&[JSON], EVENT)).await, 409, "finished");
}

#[tokio::test]
async fn the_largest_event_fits_the_body_limit_of_the_edge() {
    let feed = Feed::new(Retention::default());
    let server = Server::start(feed, |feed, _| routed(&feed)).await;
    let publish = |data: usize| {
        let body = format!(r#"{{"kind":"message","data":"{}"}}"#, "x".repeat(data - 2));
        let server = &server;
        async move {
            testbed::post(server.address, "/events", "application/json", &body).await
        }
    };
    let text = publish(64 * 1024).await;
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
    // Refused by the log, and by the edge.
    for bytes in [64 * 1024 + 1, 70 * 1024] {
        let text = publish(bytes).await;
        assert!(text.starts_with("HTTP/1.1 413 "), "{bytes}: {text}");
        assert!(text.contains("2026:too-large"), "{bytes}: {text}");
    }
}

/// `POST` and a WebSocket's `publish` are one function: what the one has published the
/// other finds.
#[tokio::test]
async fn a_key_is_the_same_whichever_way_an_event_comes_in() {
    let feed = Feed::new(Retention::default());
    let key: IdempotencyKey = "5b0f6f3e".parse().unwrap();
    let publish = |event: &str| {
        let event: NewEvent = serde_json::from_str(event).unwrap();
        let (room, key) = (room(&feed), key.clone());
        async move { room.publish(Some(key), event).await }
    };
    let published = publish(EVENT).await.unwrap();
    assert!(!published.repeated);
    let header = ("idempotency-key", key.as_str());
    let (again, body) = ask(&feed, post(&[JSON, header], EVENT)).await;
    let id = published.cursor;
    assert_eq!((again.as_u16(), body), (200, format!(r#"{{"id":"{id}"}}"#)));
    let other = publish(r#"{"kind":"message","data":1}"#).await.unwrap_err();
    assert_eq!(other.kind(), Some(ProblemKind::KeyReused));
}
