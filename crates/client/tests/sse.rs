//! What the client of SSE makes of what servers and networks do to it.

mod support;

use client::{Client, Pace, SseClient, Update};
use contract::Position;
use futures_util::StreamExt;
use std::time::Duration;
use support::BRISK;
use testbed::{in_time, update, Script};

/// A client of a server that answers with these texts.
async fn client_of(answers: &'static [&'static str]) -> (SseClient, Script) {
    let script = Script::of(answers.iter().copied()).await;
    (SseClient::with_pace(script.base.clone(), BRISK), script)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\nevent: hello\ndata: {\"cursor\":\"k3f9x2.1\",\"every\":15000}\n\n";

#[tokio::test]
async fn the_client_takes_a_long_silence_for_a_dead_connection() {
    const SILENT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\nevent: hello\ndata: {\"cursor\":\"k3f9x2.1\",\"every\":15000}\n\nid: k3f9x2.1\nevent: heartbeat\ndata: {\"every\":1}\n\n";
    let (client, _script) = client_of(&[SILENT, OK]).await;
    let mut updates = client.subscribe(Position::Latest).boxed();
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Heartbeat));
    assert!(matches!(
        update(&mut updates).await,
        Update::Reconnecting(_)
    ));
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
}

#[tokio::test]
async fn the_client_learns_its_patience_and_its_place_before_the_first_event() {
    // The greeting names a short interval, and the heartbeat a place past events that
    // were not sent.
    const SILENT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\nevent: hello\ndata: {\"cursor\":\"k3f9x2.1\",\"every\":1}\n\n";
    const BEAT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\nevent: hello\ndata: {\"cursor\":\"k3f9x2.1\",\"every\":1}\n\nid: k3f9x2.7\nevent: heartbeat\ndata: {\"every\":1}\n\n";
    let (client, mut script) = client_of(&[SILENT, BEAT, OK]).await;
    let mut updates = client.subscribe(Position::Latest).boxed();
    for heartbeats in [0, 1] {
        assert!(matches!(update(&mut updates).await, Update::Opened(_)));
        for _ in 0..heartbeats {
            assert!(matches!(update(&mut updates).await, Update::Heartbeat));
        }
        assert!(matches!(
            update(&mut updates).await,
            Update::Reconnecting(_)
        ));
    }
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    for resumed in [None, Some("k3f9x2.1"), Some("k3f9x2.7")] {
        let head = script.head().await;
        let header = resumed.map(|id| format!("last-event-id: {id}\r\n"));
        match header {
            None => assert!(!head.contains("last-event-id"), "{head}"),
            Some(header) => assert!(head.contains(&header), "{head}"),
        }
    }
}

#[tokio::test]
async fn the_client_goes_on_from_where_a_gap_left_it() {
    const GAP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\nevent: hello\ndata: {\"cursor\":\"k3f9x2.1\",\"every\":15000}\n\nid: k3f9x2.9\nevent: gap\ndata: {\"reason\":\"expired\",\"asked\":\"k3f9x2.1\",\"resume\":\"k3f9x2.9\"}\n\nevent: end\ndata: {\"reason\":\"shutdown\"}\n\n";
    let (client, mut script) = client_of(&[GAP, OK]).await;
    let mut updates = client.subscribe(Position::Earliest).boxed();
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Gap(_)));
    assert!(matches!(
        update(&mut updates).await,
        Update::Reconnecting(_)
    ));
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    let first = script.head().await;
    assert!(
        first.starts_with("GET /events?after=earliest ")
            && !first.contains("last-event-id")
    );
    let second = script.head().await;
    assert!(
        second.starts_with("GET /events ")
            && second.contains("last-event-id: k3f9x2.9\r\n"),
        "{second}"
    );
}

#[tokio::test]
async fn the_client_waits_as_long_as_a_busy_server_asks() {
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let (client, _script) = client_of(&[BUSY, OK]).await;
    let mut updates = client.subscribe(Position::Latest).boxed();
    let Update::Reconnecting(wait) = update(&mut updates).await else {
        panic!("it was refused")
    };
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
}

#[tokio::test]
async fn the_client_ends_where_the_server_refuses_and_asks_a_stranger_again() {
    const PAGE: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    const JUNK: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 17\n\n";
    const NO: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: 46\r\n\r\n{\"type\":\"tag:waiting.example,2026:bad-cursor\"}";
    let (client, _script) = client_of(&[PAGE, GONE, JUNK, NO]).await;
    let mut updates = client.subscribe(Position::Latest).boxed();
    for _ in 0..3 {
        let lost = update(&mut updates).await;
        assert!(matches!(lost, Update::Reconnecting(_)), "{lost:?}");
    }
    let error = in_time("an answer", updates.next())
        .await
        .expect("an error");
    assert_eq!(error.unwrap_err().problem(), Some("bad-cursor"));
    assert!(updates.next().await.is_none());
}

#[tokio::test]
async fn the_client_waits_longer_for_streams_that_open_and_die_at_once() {
    const DIES: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\nid: k3f9x2.1\n\nevent: heartbeat\nid: k3f9x2.1\ndata: {\"every\":15000}\n\nevent: end\ndata: {\"reason\":\"shutdown\"}\n\n";
    let script = Script::of(vec![DIES; 100]).await;
    let pace = Pace {
        first: Duration::from_millis(1),
        cap: Duration::from_secs(3600),
    };
    let client = SseClient::with_pace(script.base.clone(), pace);
    let mut updates = client.subscribe(Position::Latest).boxed();
    let mut longest = Duration::ZERO;
    while longest < Duration::from_millis(20) {
        if let Update::Reconnecting(wait) = update(&mut updates).await {
            longest = longest.max(wait);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_does_not_wait_for_the_rest_of_a_refusal() {
    const HALF: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: 100\r\n\r\n{";
    let (client, _script) = client_of(&[HALF, OK]).await;
    let mut updates = client.subscribe(Position::Latest).boxed();
    let lost = updates.next().await;
    assert!(
        matches!(lost, Some(Ok(Update::Reconnecting(_)))),
        "{lost:?}"
    );
}
