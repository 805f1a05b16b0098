//! What goes wrong in the field, and what this server does about it.

mod support;

use client::{Client, SseClient};
use contract::{Data, Kind, Position};
use feed::{Feed, Retention};
use futures_util::StreamExt;
use harness::{say, still_feed, Server, BRISK};
use std::{collections::BTreeSet, time::Duration};
use support::{start, still_config};
use testbed::{answer_to, eventually, in_time, post, Raw};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_too_slow_for_the_window_gets_a_gap_and_goes_on() {
    let feed = Feed::new(Retention {
        max_events: 50,
        ..Retention::default()
    });
    let server = start(feed.clone(), sse::Config::default()).await;
    let mut slow = Raw::get(&server, "/events").await;
    slow.until("event: hello").await;
    // Sixty megabytes: more than any socket's buffers, and far more than the window.
    let kind: Kind = "message".parse().unwrap();
    let data = Data::new(&"x".repeat(30_000)).unwrap();
    for _ in 0..2_000 {
        feed.publish(kind.clone(), data.clone()).await.unwrap();
        tokio::task::yield_now().await;
    }
    say(&feed, "the last").await;
    slow.until("event: gap").await;
    slow.until("\"reason\":\"expired\"").await;
    slow.until("the last").await;
}

#[tokio::test]
async fn a_full_server_says_so_and_the_place_is_free_when_its_client_leaves() {
    let config = sse::Config {
        max_streams: 1,
        ..still_config()
    };
    let server = start(still_feed(10), config).await;
    let mut first = Raw::get(&server, "/events").await;
    first.until("id: k3f9x2.0\nevent: hello\n").await;
    for target in ["/events", "/status"] {
        let refused = answer_to(&server, &format!("GET {target} HTTP/1.1"), "").await;
        assert!(refused.contains("503 Service Unavailable"), "{refused}");
        assert!(
            refused.contains("retry-after: ") && refused.contains("2026:busy"),
            "{refused}"
        );
    }
    drop(first);
    eventually("the subscription of a client that left is dropped", || {
        server.feed.subscribers() == 0
    })
    .await;
    let status = answer_to(&server, "GET /status HTTP/1.1", "").await;
    assert!(status.contains("200 OK"), "{status}");
}

#[tokio::test]
async fn the_place_is_free_when_its_client_leaves_whatever_it_sent_after_its_request() {
    let server = start(still_feed(10), still_config()).await;
    for after in ["\r\n", "G", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"] {
        for resets in [false, true] {
            let mut stream = Raw::get(&server, "/events").await;
            stream.until("retry: ").await;
            assert!(stream.write(after).await);
            assert_eq!(server.feed.subscribers(), 1);
            if resets {
                stream.reset();
            } else {
                drop(stream);
            }
            eventually("the subscription is dropped", || {
                server.feed.subscribers() == 0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn hundreds_of_clients_that_vanish_leave_nothing_behind() {
    // Each is a descriptor here and one in the server: within the 1,024 that many
    // systems allow a process.
    const CLIENTS: usize = 400;
    let server = start(still_feed(10), still_config()).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Raw::get(&server, "/events").await;
        client.until("retry: ").await;
        clients.push(client);
    }
    assert_eq!(server.feed.subscribers(), CLIENTS);
    drop(clients);
    eventually("every subscription is dropped", || {
        server.feed.subscribers() == 0
    })
    .await;
}

#[tokio::test]
async fn a_cut_breaks_the_connection_without_its_last_chunk() {
    let server = start(still_feed(10), still_config()).await;
    let mut raw = Raw::get(&server, "/events?connection=a-tab").await;
    raw.until("retry: ").await;
    let done = post(&server, "/cut?connection=a-tab", "application/json", "").await;
    assert!(done.contains("204 No Content"), "{done}");
    raw.read_to_end().await;
    assert!(
        !raw.seen.ends_with("0\r\n\r\n"),
        "an orderly end would not look like a lost network"
    );
    for target in ["/cut?connection=a-tab", "/cut"] {
        let unknown = post(&server, target, "application/json", "").await;
        assert!(unknown.contains("404 Not Found"), "{unknown}");
    }
    let plain = start(
        still_feed(10),
        sse::Config {
            demo_cut: false,
            ..still_config()
        },
    )
    .await;
    let mut stream = Raw::get(&plain, "/events?connection=a-tab").await;
    stream.until("retry: ").await;
    let unknown = post(&plain, "/cut?connection=a-tab", "application/json", "").await;
    assert!(
        unknown.contains("404 Not Found"),
        "off unless it is asked for: {unknown}"
    );
}

#[tokio::test]
async fn each_connection_is_told_its_own_time_to_come_back() {
    let config = sse::Config {
        retry_ms: 1_000..2_000,
        ..still_config()
    };
    let server = start(still_feed(10), config).await;
    let mut told = BTreeSet::new();
    for _ in 0..20 {
        let mut raw = Raw::get(&server, "/events").await;
        raw.until("retry: ").await;
        raw.until("\n\n\r\n").await;
        let (_, rest) = raw.seen.split_once("retry: ").unwrap();
        told.insert(rest.lines().next().unwrap().parse::<u64>().unwrap());
    }
    assert!(
        told.iter().all(|retry| (1_000..2_000).contains(retry)),
        "{told:?}"
    );
    assert!(told.len() > 10, "drawn anew for each: {told:?}");
}

#[tokio::test]
async fn a_last_event_id_that_names_no_place_here_opens_with_a_gap() {
    let server = start(still_feed(10), still_config()).await;
    for text in ["one", "two"] {
        say(&server.feed, text).await;
    }
    // No cursor, no UTF-8, another spelling, and an event that does not exist yet.
    for id in ["17", "latest", "\u{fffd}", "k3f9x2.01", "k3f9x2.3"] {
        let mut raw = Raw::send(
            &server,
            &format!("GET /events?after=latest HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: {id}"),
            "",
        )
        .await;
        raw.until(
            "id: k3f9x2.0\nevent: gap\ndata: {\"reason\":\"unknown\",\"resume\":\"k3f9x2.0\"}\n\n",
        )
        .await;
        raw.until("two\"}\n\n").await;
        assert!(raw.seen.contains("id: k3f9x2.0\nevent: hello\n"), "{id}");
    }
    for target in ["17", "k3f9x2.3", "%ff"] {
        let mut raw = Raw::get(&server, &format!("/events?lastEventId={target}")).await;
        raw.until("\"reason\":\"unknown\"").await;
    }
}

#[tokio::test]
async fn the_header_wins_over_the_query_and_the_last_id_over_after() {
    let server = start(still_feed(10), still_config()).await;
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
    }
    const NONE: &str = "";
    const TWO: &str = "k3f9x2.2";
    for (header, query, after, starts) in [
        (Some("k3f9x2.1"), TWO, "earliest", 1),
        (Some("k3f9x2.1"), "nonsense", "earliest", 1),
        (None, TWO, "earliest", 2),
        (None, NONE, TWO, 2),
        // An empty id is none.
        (Some(""), NONE, TWO, 2),
        (Some(""), TWO, "earliest", 2),
        (None, NONE, "latest", 3),
    ] {
        let header =
            header.map_or(String::new(), |id| format!("\nLast-Event-ID: {id}"));
        let target = format!("/events?after={after}&lastEventId={query}");
        let head = format!("GET {target} HTTP/1.1\nHost: 127.0.0.1{header}");
        let mut raw = Raw::send(&server, &head, "").await;
        raw.until("event: hello").await;
        let opening = format!("\nid: k3f9x2.{starts}\nevent: hello");
        assert!(raw.seen.contains(&opening), "{head}: {}", raw.seen);
    }
}

#[tokio::test]
async fn a_server_that_ends_takes_no_new_streams() {
    let server = start(still_feed(10), still_config()).await;
    let mut open = Raw::get(&server, "/events").await;
    open.until("retry: ").await;
    // On a connection that stands already: a new one would not be accepted.
    let mut second =
        Raw::send(&server, "GET /status HTTP/1.1\nHost: 127.0.0.1", "").await;
    second.until("}").await;
    server.ending.begin();
    open.read_to_end().await;
    assert!(open.seen.contains("\"reason\":\"shutdown\""));
    assert!(server.serving.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_aged_stream_ends_as_at_a_shutdown_and_its_place_is_free() {
    let config = sse::Config {
        max_streams: 1,
        max_age: Some(Duration::from_millis(300)),
        ..still_config()
    };
    let server = start(still_feed(10), config).await;
    for _ in 0..3 {
        // It gets the one place each time.
        let mut aged = Raw::get(&server, "/events").await;
        aged.until("event: hello").await;
        // With its connection, or a balancer that distributes connections would see the
        // client come back to where it was.
        assert!(aged.read_to_end().await);
        let seen = aged.seen.to_ascii_lowercase();
        assert!(seen.contains("\r\nconnection: close\r\n"), "{seen}");
        assert!(
            seen.contains("event: end\ndata: {\"reason\":\"shutdown\"}"),
            "{seen}"
        );
        assert!(seen.ends_with("0\r\n\r\n"), "{seen}");
    }
}

/// A reader in the middle of a text that is being generated.
async fn reader_of_a_text(server: &Server) -> Raw {
    let body = r#"{"prompt":"Why?"}"#;
    let head = format!(
        "POST /tokens HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nContent-Length: {}",
        body.len()
    );
    let mut reader = Raw::send(server, &head, body).await;
    reader.until("asked: ").await;
    reader
}

#[tokio::test]
async fn a_text_that_its_reader_stops_is_generated_no_further() {
    let config = sse::Config {
        max_streams: 1,
        token_pause: Duration::from_millis(5),
        ..still_config()
    };
    let server = start(still_feed(10), config).await;
    let reader = reader_of_a_text(&server).await;
    assert!(!reader.seen.contains("event: done"));
    drop(reader);
    // The one place is free again only when the generator is gone.
    in_time("the end of a generator whose reader left", async {
        while !answer_to(&server, "GET /status HTTP/1.1", "")
            .await
            .contains("200 OK")
        {}
    })
    .await;
}

#[tokio::test]
async fn a_text_cut_short_by_the_servers_end_has_no_done() {
    let config = sse::Config {
        token_pause: Duration::from_millis(5),
        ..still_config()
    };
    let server = start(still_feed(10), config).await;
    let mut reader = reader_of_a_text(&server).await;
    server.ending.begin();
    reader.read_to_end().await;
    assert!(!reader.seen.contains("event: done"), "{}", reader.seen);
}

#[tokio::test]
async fn a_prompt_is_json_and_bounded() {
    let server = start(still_feed(10), still_config()).await;
    let long = format!("{{\"prompt\":\"{}\"}}", "x".repeat(2_001));
    for (content_type, body, status) in [
        ("text/plain", "{\"prompt\":\"x\"}", "415"),
        ("application/json", "{\"prompt\":1}", "400"),
        ("application/json", "{}", "400"),
        ("application/json", &*long, "413"),
    ] {
        let refused = post(&server, "/tokens", content_type, body).await;
        assert!(
            refused.contains(&format!("HTTP/1.1 {status} ")),
            "{refused}"
        );
        assert!(refused.contains("application/problem+json"), "{refused}");
    }
}

#[tokio::test]
async fn a_position_of_the_users_own_is_refused_where_it_is_wrong() {
    let server = start(still_feed(10), still_config()).await;
    let client = SseClient::with_pace(server.base(), BRISK);
    let wrong = Position::After("k3f9x2.9".parse().unwrap());
    let mut updates = client.subscribe(wrong).boxed();
    let refused = in_time("an answer", updates.next()).await.unwrap();
    assert_eq!(refused.unwrap_err().problem(), Some("future-cursor"));
}
