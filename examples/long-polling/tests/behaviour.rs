//! What goes wrong in the field, and what this server does about it.
//!
//! Where a test pauses the clock, time passes only while nothing else can happen, and
//! then at once.

mod support;

use axum::{
    body::{to_bytes, Body, Bytes},
    http::{Request, StatusCode},
};
use client::{Client, LongPollingClient, Update};
use contract::{LogPage, Position};
use futures_util::StreamExt;
use harness::{say, still_feed, Server};
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use long_polling::Config;
use serving::{guard, Allowed, Ending};
use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    time::Duration,
};
use support::{ask, get, park, start, FOR_EVER, PATIENT};
use testbed::{eventually, in_time, post, update, Answer, Pipes};
use tokio::{
    task::yield_now,
    time::{sleep, Instant},
};
use tower::ServiceExt;

/// The place that a client holds who knows a still log from its beginning.
const BEGINNING: &str = "/events?after=k3f9x2.0";

/// A server that parks a request for as long as it likes and answers without lingering.
fn patient() -> Config {
    Config {
        max_wait: FOR_EVER,
        linger: Duration::ZERO,
        ..Config::default()
    }
}

/// A server that stays for a burst longer than any test.
fn lingering() -> Config {
    Config {
        linger: FOR_EVER,
        ..patient()
    }
}

fn page(answer: &Answer) -> LogPage {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_str(&answer.body).expect("a page")
}

fn texts(answer: &Answer) -> Vec<String> {
    let events = page(answer).events;
    let texts = events.iter().map(|event| event.data.get());
    texts
        .map(|text| text.trim_matches('"').to_owned())
        .collect()
}

// How long a request waits.

#[tokio::test(start_paused = true)]
async fn a_wait_is_what_was_asked_for_but_no_longer_than_the_server_allows() {
    let server = start(still_feed(10), Config::default()).await;
    for (wish, least, most) in [
        (1, 1, 1),
        (4, 4, 4),
        (5, 4, 5),
        (7, 6, 7),
        (25, 20, 25),
        (26, 20, 25),
        (86_400, 20, 25),
    ] {
        let mut drawn = BTreeSet::new();
        for _ in 0..60 {
            let start = Instant::now();
            let answer =
                ask(&server, BEGINNING, &format!("\nPrefer: wait={wish}")).await;
            let took = start.elapsed();
            let applied = answer.header("preference-applied").expect("a grant");
            let granted = applied.strip_prefix("wait=").expect("a wait");
            let granted = granted.parse().expect("whole seconds");
            let time = Duration::from_secs(granted);
            assert!(
                took >= time && took < time + Duration::from_millis(10),
                "{granted} s: {took:?}"
            );
            assert!(page(&answer).events.is_empty());
            drawn.insert(granted);
        }
        assert!(drawn.first() >= Some(&least), "{wish} s: {drawn:?}");
        assert!(drawn.last() <= Some(&most), "{wish} s: {drawn:?}");
        // They do not time out together. Of six, sixty draws find more than two.
        let some = (most - least + 1).min(3) as usize;
        assert!(drawn.len() >= some, "{wish} s: {drawn:?}");
    }
    assert_eq!(server.feed.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bound_below_a_second_is_said_as_the_second_that_it_stays_within() {
    let config = Config {
        max_wait: Duration::from_millis(40),
        ..Config::default()
    };
    let server = start(still_feed(10), config).await;
    let answer = ask(&server, BEGINNING, "\nPrefer: wait=20").await;
    assert_eq!(answer.header("preference-applied"), Some("wait=1"));
    let config = Config {
        max_wait: Duration::ZERO,
        ..Config::default()
    };
    let server = start(still_feed(10), config).await;
    let answer = ask(&server, BEGINNING, "\nPrefer: wait=20").await;
    assert_eq!(
        answer.header("preference-applied"),
        None,
        "nothing was granted"
    );
}

#[tokio::test]
async fn without_a_wish_or_without_a_cursor_the_answer_comes_at_once() {
    let config = Config {
        max_parked: 0,
        ..patient()
    };
    let server = start(still_feed(10), config).await;
    for (target, headers) in [
        (BEGINNING, ""),
        (BEGINNING, "\nPrefer: wait=0"),
        (BEGINNING, "\nPrefer: wait=soon"),
        (BEGINNING, "\nPrefer: respond-async"),
        ("/events", PATIENT),
        ("/events?after=latest", PATIENT),
        ("/events?after=earliest", PATIENT),
    ] {
        let answer = ask(&server, target, headers).await;
        assert!(page(&answer).events.is_empty(), "{target}{headers}");
        assert_eq!(answer.header("preference-applied"), None);
        assert_eq!(answer.header("vary"), Some("prefer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn what_is_due_is_answered_at_once() {
    let config = Config {
        max_parked: 0,
        ..lingering()
    };
    let server = start(still_feed(2), config).await;
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
    }
    let answer = ask(&server, "/events?after=k3f9x2.2", PATIENT).await;
    assert_eq!(texts(&answer), ["three"]);
    let gap = ask(&server, "/events?after=k3f9x2.0", PATIENT).await;
    assert_eq!(gap.status(), 410);
    let future = ask(&server, "/events?after=k3f9x2.9", PATIENT).await;
    assert_eq!(future.status(), 400);
    server.feed.finish();
    let end = ask(&server, "/events?after=k3f9x2.3", PATIENT).await;
    assert!(page(&end).finished, "{}", end.text());
}

#[tokio::test]
async fn the_place_is_free_when_its_client_leaves_whatever_it_sent_after_its_request() {
    let server = start(still_feed(10), patient()).await;
    let again = get(BEGINNING, PATIENT) + "\n\n";
    for after in ["\r\n", "G", &again.replace('\n', "\r\n")] {
        for resets in [false, true] {
            let mut parked = park(&server, &get(BEGINNING, PATIENT)).await;
            assert!(parked.write(after).await);
            if resets {
                parked.reset();
            } else {
                drop(parked);
            }
            eventually("the subscription is dropped", || {
                server.feed.subscribers() == 0
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_log_that_ends_or_outruns_a_parked_request_answers_it() {
    let server = start(still_feed(2), patient()).await;
    let mut outrun = park(&server, &get(BEGINNING, PATIENT)).await;
    // Without a turn for the server in between.
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
    }
    let gap = outrun.answer().await;
    assert_eq!(gap.status(), 410, "{}", gap.text());
    assert!(gap.body.contains("\"resume\":\"k3f9x2.1\""), "{}", gap.body);
    let mut parked = park(&server, &get("/events?after=k3f9x2.3", PATIENT)).await;
    server.feed.finish();
    let end = page(&parked.answer().await);
    assert!(end.finished && end.events.is_empty());
}

// The wake-up.

/// A look that finds nothing, an event, and only then the wait: in that order a reader
/// sleeps over the event. The publisher here runs on a thread of its own, and hits
/// every moment between the two, one round or another.
#[tokio::test]
async fn no_event_falls_between_the_look_and_the_wait() {
    const ROUNDS: u64 = 3_000;
    let feed = still_feed(10);
    let router = long_polling::router(feed.clone(), patient(), Ending::new());
    let start = Arc::new(Barrier::new(2));
    let publisher = std::thread::spawn({
        let (feed, start) = (feed.clone(), start.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime");
            for round in 0..ROUNDS {
                start.wait();
                // A look takes some microseconds. Each round comes a little later than
                // the one before.
                for _ in 0..(round % 100) * 20 {
                    std::hint::spin_loop();
                }
                runtime.block_on(say(&feed, "now"));
            }
        }
    });
    for round in 0..ROUNDS {
        let request = Request::get(format!("/events?after=k3f9x2.{round}"))
            .header("prefer", "wait=86400")
            .body(Body::empty())
            .expect("a request");
        start.wait();
        let answered = in_time("an answer", router.clone().oneshot(request)).await;
        let response = answered.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), 1024).await.expect("a body");
        let page: LogPage = serde_json::from_slice(&body).expect("a page");
        assert_eq!(page.next.id.get(), round + 1, "the event of this round");
    }
    publisher.join().expect("the publisher ends");
}

// The linger.

#[tokio::test(start_paused = true)]
async fn an_answer_lingers_for_the_rest_of_a_burst() {
    let server = start(still_feed(10), Config::default()).await;
    let mut raw = park(&server, &get(BEGINNING, "\nPrefer: wait=20")).await;
    let start = Instant::now();
    for text in ["one", "two", "three"] {
        say(&server.feed, text).await;
        sleep(Duration::from_millis(8)).await;
    }
    // 24 ms after the first: too late.
    say(&server.feed, "four").await;
    let answer = raw.answer().await;
    assert_eq!(texts(&answer), ["one", "two", "three"]);
    assert!(start.elapsed() < Duration::from_millis(30));
    let rest = ask(&server, "/events?after=k3f9x2.3", PATIENT).await;
    assert_eq!(texts(&rest), ["four"], "and nothing is lost by it");
}

#[tokio::test(start_paused = true)]
async fn one_event_alone_waits_no_longer_than_the_linger() {
    let server = start(still_feed(10), Config::default()).await;
    let mut raw = park(&server, &get(BEGINNING, "\nPrefer: wait=20")).await;
    let start = Instant::now();
    say(&server.feed, "one").await;
    raw.answer().await;
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(20) && took < Duration::from_millis(25),
        "{took:?}"
    );
}

/// Says something and lets the server notice it.
async fn say_and_yield(server: &Server, text: &str) {
    say(&server.feed, text).await;
    for _ in 0..10 {
        yield_now().await;
    }
}

#[tokio::test]
async fn a_full_page_is_not_held_back() {
    let many = vec!["x".to_owned(); feed::BATCH_EVENTS];
    // Two fit on a page, and a third would make it too large.
    let large = vec!["x".repeat(feed::BATCH_BYTES / 3); 3];
    for (texts, held) in [(many, feed::BATCH_EVENTS), (large, 2)] {
        let server = start(still_feed(1_000), lingering()).await;
        let mut raw = park(&server, &get(BEGINNING, PATIENT)).await;
        for text in &texts {
            say_and_yield(&server, text).await;
        }
        let page = page(&raw.answer().await);
        assert_eq!(page.events.len(), held);
        assert_eq!(page.more, texts.len() > held);
    }
}

#[tokio::test]
async fn a_finished_log_and_the_end_of_the_server_cut_the_linger_short() {
    let server = start(still_feed(10), lingering()).await;
    let mut raw = park(&server, &get(BEGINNING, PATIENT)).await;
    say_and_yield(&server, "the last").await;
    server.feed.finish();
    let answer = raw.answer().await;
    assert_eq!(texts(&answer), ["the last"]);
    assert!(page(&answer).finished);

    let server = start(still_feed(10), lingering()).await;
    let mut raw = park(&server, &get(BEGINNING, PATIENT)).await;
    say_and_yield(&server, "just in time").await;
    server.ending.begin();
    // What has come is handed over; there is no reason to refuse it.
    assert_eq!(texts(&raw.answer().await), ["just in time"]);
    in_time("the end of the server", server.serving)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_burst_too_long_for_the_log_is_a_gap() {
    let server = start(still_feed(2), lingering()).await;
    let mut raw = park(&server, &get(BEGINNING, PATIENT)).await;
    say_and_yield(&server, "one").await;
    for text in ["two", "three", "four"] {
        say(&server.feed, text).await;
    }
    assert_eq!(raw.answer().await.status(), 410);
}

// The places.

#[tokio::test]
async fn where_every_place_is_taken_a_wait_is_refused_and_nothing_else() {
    let config = Config {
        max_parked: 1,
        ..patient()
    };
    let server = start(still_feed(10), config).await;
    let mut parked = park(&server, &get(BEGINNING, PATIENT)).await;
    for (target, headers) in [(BEGINNING, PATIENT), ("/status", "")] {
        let refused = ask(&server, target, headers).await;
        assert_eq!(refused.status(), 503, "{target}");
        assert!(refused.body.contains("2026:busy"), "{}", refused.body);
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(server.feed.subscribers(), 1, "the refused left nothing");
    for target in [BEGINNING, "/events", "/"] {
        assert_eq!(ask(&server, target, "").await.status(), 200, "{target}");
    }
    let body = r#"{"kind":"message","data":"hello"}"#;
    let published = post(&server, "/events", "application/json", body).await;
    assert!(published.contains("201 Created"), "{published}");
    assert_eq!(texts(&parked.answer().await), ["hello"]);
    let free = park(&server, &get("/events?after=k3f9x2.1", PATIENT)).await;
    drop(free);
}

#[tokio::test]
async fn the_place_of_a_client_that_vanishes_is_free_at_once() {
    let config = Config {
        max_parked: 1,
        ..patient()
    };
    let server = start(still_feed(10), config).await;
    for _ in 0..3 {
        let vanishing = park(&server, &get(BEGINNING, PATIENT)).await;
        drop(vanishing);
        eventually("the request of a client that left is dropped", || {
            server.feed.subscribers() == 0
        })
        .await;
        assert_eq!(ask(&server, "/status", "").await.status(), 200);
    }
}

#[tokio::test]
async fn dropping_the_rust_clients_stream_frees_its_place() {
    let server = start(still_feed(10), patient()).await;
    let client = LongPollingClient::new(server.base()).with_wait(FOR_EVER);
    let mut updates = client.subscribe(Position::Latest).boxed();
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    assert!(matches!(update(&mut updates).await, Update::Heartbeat));
    let waiting = tokio::spawn(async move { updates.next().await.is_some() });
    eventually("the second request is parked", || {
        server.feed.subscribers() == 1
    })
    .await;
    waiting.abort();
    eventually("the place is free", || server.feed.subscribers() == 0).await;
}

/// A page that is left, or a script that gives up, resets its stream. The connection
/// stays, and carries others.
#[tokio::test]
async fn over_http2_the_place_of_a_stream_that_is_reset_is_free_at_once() {
    let feed = still_feed(10);
    let (dialer, pipes) = Pipes::new();
    let router = long_polling::router(feed.clone(), patient(), Ending::new());
    let router = guard(router, Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(pipes, router, edge, Ending::new()));
    let io = TokioIo::new(dialer.connect(64 * 1024));
    let handshake = http2::handshake(TokioExecutor::new(), io).await;
    let (client, connection) = handshake.expect("the server speaks HTTP/2");
    tokio::spawn(connection);
    let ask = || {
        let request = Request::get(format!("http://localhost{BEGINNING}"))
            .header("prefer", "wait=86400")
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let mut client = client.clone();
        tokio::spawn(async move { client.send_request(request).await })
    };
    let (staying, leaving) = (ask(), ask());
    eventually("both are parked", || feed.subscribers() == 2).await;
    leaving.abort();
    eventually("one has left", || feed.subscribers() == 1).await;
    say(&feed, "hello").await;
    let answer = in_time("an answer", staying).await.expect("no panic");
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

// The end.

#[tokio::test]
async fn parked_requests_end_at_once_when_the_server_does() {
    let server = start(still_feed(10), patient()).await;
    let mut parked = Vec::new();
    for _ in 0..20 {
        parked.push(park(&server, &get(BEGINNING, PATIENT)).await);
    }
    server.ending.begin();
    for raw in &mut parked {
        let answer = raw.answer().await;
        assert!(page(&answer).events.is_empty());
        assert_eq!(answer.header("connection"), Some("close"));
    }
    assert_eq!(server.feed.subscribers(), 0);
    in_time("the end of the server", server.serving)
        .await
        .unwrap()
        .unwrap();
}

// The cut, for the book's page.

#[tokio::test]
async fn a_cut_breaks_an_answer_off_after_it_has_begun() {
    let config = Config {
        demo_cut: true,
        ..patient()
    };
    for config in [
        config.clone(),
        Config {
            linger: FOR_EVER,
            ..config
        },
    ] {
        let server = start(still_feed(10), config.clone()).await;
        let target = format!("{BEGINNING}&connection=a-tab");
        let mut raw = park(&server, &get(&target, PATIENT)).await;
        let mut other = park(&server, &get(BEGINNING, PATIENT)).await;
        if !config.linger.is_zero() {
            say_and_yield(&server, "one").await;
        }
        let cut = post(&server, "/cut?connection=a-tab", "application/json", "").await;
        assert!(cut.contains("204 No Content"), "{cut}");
        raw.read_to_end().await;
        let (head, body) = raw.seen.split_once("\r\n\r\n").expect("it begins");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-length: 64"), "{head}");
        assert_eq!(body, "{", "it is not whole");
        eventually("the cut request is gone", || server.feed.subscribers() == 1).await;
        for target in ["/cut?connection=a-tab", "/cut"] {
            let unknown = post(&server, target, "application/json", "").await;
            assert!(unknown.contains("404 Not Found"), "{unknown}");
        }
        server.feed.finish();
        assert_eq!(other.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn nothing_is_cut_unless_that_is_allowed() {
    let server = start(still_feed(10), patient()).await;
    let target = format!("{BEGINNING}&connection=a-tab");
    let _parked = park(&server, &get(&target, PATIENT)).await;
    let refused = post(&server, "/cut?connection=a-tab", "application/json", "").await;
    assert!(refused.contains("404 Not Found"), "{refused}");
}
