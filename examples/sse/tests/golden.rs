//! The bytes on the wire, read by a raw socket and kept in `golden/`, where the book
//! takes them from.
//!
//! A server and a client by the same hand can agree on a mistake; these files can be
//! read by anybody. After a change on purpose, `UPDATE_GOLDEN=1 cargo test -p sse
//! --test golden` writes them anew, and the difference is reviewed.

mod support;

use harness::{say, still_feed};
use support::{start, still_config};
use testbed::{exchange, golden, transcript, Raw};

const HOST: &str = "Host: 127.0.0.1:4100";
const STREAM: &str = "Accept: text/event-stream";

#[tokio::test]
async fn a_stream_begins_with_its_cursor() {
    let server = start(still_feed(100), still_config()).await;
    say(&server.feed, "before").await;
    let head = format!("GET /events HTTP/1.1\n{HOST}\n{STREAM}");
    let mut raw = Raw::send(&server, &head, "").await;
    raw.until("\n\n\r\n").await;
    say(&server.feed, "hello").await;
    raw.until("hello\"}\n\n\r\n").await;
    golden!("stream.http", &transcript(&head, "", &raw.seen));
}

#[tokio::test]
async fn last_event_id_wins_over_after() {
    let server = start(still_feed(100), still_config()).await;
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
    }
    let head =
        format!("GET /events?after=earliest HTTP/1.1\n{HOST}\n{STREAM}\nLast-Event-ID: k3f9x2.1");
    golden!(
        "resume.http",
        &exchange(&server, &head, "", "three\"}\n\n\r\n").await,
    );
}

#[tokio::test]
async fn a_gap_is_said_in_the_stream() {
    let server = start(still_feed(2), still_config()).await;
    for text in ["one", "two", "three", "four"] {
        say(&server.feed, text).await;
    }
    let head =
        format!("GET /events HTTP/1.1\n{HOST}\n{STREAM}\nLast-Event-ID: k3f9x2.1");
    golden!(
        "gap.http",
        &exchange(&server, &head, "", "four\"}\n\n\r\n").await,
    );
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_ends_the_body() {
    let server = start(still_feed(100), still_config()).await;
    let head = format!("GET /events HTTP/1.1\n{HOST}\n{STREAM}");
    let mut raw = Raw::send(&server, &head, "").await;
    raw.until("\n\n\r\n").await;
    server.ending.begin();
    assert!(raw.read_to_end().await);
    assert!(
        raw.seen.ends_with("\r\n0\r\n\r\n"),
        "the last chunk says that nothing was lost"
    );
    golden!("end.http", &transcript(&head, "", &raw.seen));
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_heartbeat_fills_the_silence() {
    let config = sse::Config {
        heartbeat: std::time::Duration::from_millis(20),
        ..still_config()
    };
    let server = start(still_feed(100), config).await;
    let head = format!("GET /events HTTP/1.1\n{HOST}\n{STREAM}");
    let mut raw = Raw::send(&server, &head, "").await;
    raw.until("\r\nid: k3f9x2.0\nevent: heartbeat\ndata: {\"every\":20}\n\n\r\n")
        .await;
    let (before, _) = raw.seen.split_once("event: heartbeat").unwrap();
    assert_eq!(
        before.matches("data:").count(),
        1,
        "the greeting, and nothing else was there to say: {before:?}"
    );
}

#[tokio::test]
async fn a_finished_log_answers_204_as_its_last_word() {
    let server = start(still_feed(100), still_config()).await;
    say(&server.feed, "the last").await;
    server.feed.finish();
    let head =
        format!("GET /events HTTP/1.1\n{HOST}\n{STREAM}\nLast-Event-ID: k3f9x2.1");
    golden!(
        "no-content.http",
        &exchange(&server, &head, "", "\r\n\r\n").await,
    );
    // Whoever has not seen all of it gets the rest, and then the end.
    let mut raw = Raw::get(&server, "/events?after=k3f9x2.0").await;
    raw.until("the last\"}\n\n\r\n").await;
    raw.until("event: end\ndata: {\"reason\":\"finished\"}\n\n\r\n0\r\n\r\n")
        .await;
}

#[tokio::test]
async fn a_cursor_from_the_future_is_a_problem() {
    let server = start(still_feed(100), still_config()).await;
    let head = format!("GET /events?after=k3f9x2.9 HTTP/1.1\n{HOST}\n{STREAM}");
    golden!("refused.http", &exchange(&server, &head, "", "}").await);
}

#[tokio::test]
async fn status_gives_the_verdict_that_a_stream_would_meet() {
    let server = start(still_feed(2), still_config()).await;
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
    }
    let head = |target: &str| format!("GET {target} HTTP/1.1\n{HOST}");
    golden!(
        "status.http",
        &exchange(&server, &head("/status"), "", "}").await,
    );
    let expired = exchange(&server, &head("/status?after=k3f9x2.0"), "", "}").await;
    golden!("status-expired.http", &expired);
    for (target, status) in [
        ("/status?after=k3f9x2.9", "400"),
        ("/status?after=nonsense", "400"),
        ("/status?after=aaaaaa.1", "410"),
        ("/status?after=earliest", "200"),
        ("/events?after=nonsense", "400"),
        ("/nowhere", "404"),
    ] {
        let answer = exchange(&server, &head(target), "", "}").await;
        assert!(answer.contains(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("cache-control: no-store"), "{answer}");
    }
}

#[tokio::test]
async fn publishing_answers_with_the_cursor() {
    let server = start(still_feed(100), still_config()).await;
    let body = r#"{"kind":"message","data":{"from":"Ada","text":"hello"}}"#;
    let head = format!(
        "POST /events HTTP/1.1\n{HOST}\nContent-Type: application/json\nIdempotency-Key: 3f1c0b9a\nContent-Length: {}",
        body.len()
    );
    golden!("publish.http", &exchange(&server, &head, body, "}").await);
    let again = exchange(&server, &head, body, "}").await;
    assert!(
        again.contains("HTTP/1.1 200 OK") && again.contains("k3f9x2.1"),
        "{again}"
    );
}

#[tokio::test]
async fn a_text_comes_token_by_token() {
    let server = start(still_feed(100), still_config()).await;
    let body = r#"{"prompt":"Why?"}"#;
    let head = format!(
        "POST /tokens HTTP/1.1\n{HOST}\nContent-Type: application/json\nContent-Length: {}",
        body.len()
    );
    let whole = exchange(&server, &head, body, "\r\n0\r\n\r\n").await;
    // The book shows the first tokens and the last words; what lies between is more of
    // the same.
    let (first, rest) =
        whole.split_at(whole.match_indices("\n\n\n").nth(3).unwrap().0 + 3);
    let last = &rest[rest.find("event: done").unwrap()..];
    let last_chunk = rest[..rest.find("event: done").unwrap()]
        .trim_end()
        .lines()
        .last()
        .unwrap();
    golden!("tokens.http", &format!("{first}…\n{last_chunk}\n{last}"));
}
