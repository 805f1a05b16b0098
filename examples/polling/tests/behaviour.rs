//! What goes wrong in the field, and what this server and this client do about it.
//!
//! What the client makes of answers that this server would not give is tested with the
//! crate `client`.

mod support;

use client::{Client, PollingClient, Rhythm, StateClient, Update};
use contract::Position;
use feed::{Feed, Retention};
use futures_util::StreamExt;
use harness::{say, still_feed, Server, BRISK};
use polling::{Config, Prices};
use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};
use support::{get, start, tick};
use testbed::{in_time, post, update, Answer, Raw};

async fn ask(server: &Server, target: &str, headers: &str) -> Answer {
    let mut raw = Raw::connect(server.address).await;
    raw.ask(&get(target, headers), "").await
}

fn etag(answer: &Answer) -> String {
    let etag = answer.header("etag").expect("an ETag");
    etag.to_owned()
}

#[tokio::test]
async fn the_tag_of_a_state_changes_with_a_price_and_with_nothing_else() {
    let server = start(still_feed(100), Config::default()).await;
    let empty = ask(&server, "/state", "").await;
    assert_eq!(empty.body, r#"{"cursor":"k3f9x2.0","prices":{}}"#);
    let mut tags = vec![etag(&empty)];
    tick(&server.feed, "ACME", 101.25, 0.25).await;
    tags.push(etag(&ask(&server, "/state", "").await));
    say(&server.feed, "a chat message").await;
    tags.push(etag(&ask(&server, "/state", "").await));
    tick(&server.feed, "ACME", 101.25, 0.25).await;
    tags.push(etag(&ask(&server, "/state", "").await));
    tick(&server.feed, "ACME", 101.5, 0.25).await;
    tags.push(etag(&ask(&server, "/state", "").await));
    let expected = ["0", "1", "1", "1", "4"].map(|id| format!("\"k3f9x2.{id}\""));
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn a_state_that_nobody_reads_forgets_what_the_log_no_longer_keeps() {
    let server = start(still_feed(3), Config::default()).await;
    tick(&server.feed, "ACME", 101.25, 0.25).await;
    for _ in 0..9 {
        say(&server.feed, "a chat message").await;
        // Read at least once in so many events as are kept, it forgets nothing.
        let state = ask(&server, "/state", "").await;
        assert!(state.body.contains("101.25"), "{}", state.body);
    }
    for _ in 0..4 {
        say(&server.feed, "a chat message").await;
    }
    // No error and no gap: that is what the book warns of.
    let state = ask(&server, "/state", "").await;
    assert_eq!(state.status(), 200);
    assert!(state.body.ends_with(r#""prices":{}}"#), "{}", state.body);
}

#[tokio::test]
async fn if_none_match_may_be_a_list_of_tags_weak_ones_and_a_star() {
    let server = start(still_feed(100), Config::default()).await;
    tick(&server.feed, "ACME", 101.25, 0.25).await;
    for (known, status) in [
        ("If-None-Match: \"k3f9x2.1\"", 304),
        // What a proxy that compresses makes of a strong tag.
        ("If-None-Match: W/\"k3f9x2.1\"", 304),
        ("If-None-Match: \"k3f9x2.0\", W/\"k3f9x2.1\"", 304),
        ("If-None-Match: \"a,b\",\"k3f9x2.1\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"a\"\nIf-None-Match: \"k3f9x2.1\"", 304),
        ("If-None-Match: \"k3f9x2.0\"", 200),
        ("If-None-Match: \"k3f9x2.1-gzip\"", 200),
        ("If-None-Match: \"k3f9x2.1", 200),
        ("If-None-Match: k3f9x2.1", 200),
        ("If-None-Match:", 200),
    ] {
        let answer = ask(&server, "/state", &format!("\n{known}")).await;
        assert_eq!(answer.status(), status, "{known}");
        assert_eq!(etag(&answer), "\"k3f9x2.1\"", "{known}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{known}");
        assert_eq!(answer.body.is_empty(), status == 304, "{known}");
    }
}

#[tokio::test]
async fn whoever_publishes_sees_it_in_the_next_answer() {
    let server = start(still_feed(100), Config::default()).await;
    for number in 1..=20 {
        let price = 100 + number;
        let body = format!(
            r#"{{"kind":"tick","data":{{"symbol":"ACME","price":{price}.5,"change":1.0}}}}"#
        );
        let accepted = post(&server, "/events", "application/json", &body).await;
        let id = format!("\"k3f9x2.{number}\"");
        assert!(
            accepted.ends_with(&format!("{{\"id\":{id}}}")),
            "{accepted}"
        );
        let state = ask(&server, "/state", "").await;
        assert_eq!(etag(&state), id);
        assert!(state.body.contains(&format!("{price}.5")), "{}", state.body);
        let page =
            ask(&server, &format!("/events?after=k3f9x2.{}", number - 1), "").await;
        assert!(page.body.contains(&format!("{price}.5")), "{}", page.body);
    }
}

#[tokio::test]
async fn anybody_may_publish_ticks_and_the_state_stays_small_and_whole() {
    let config = Config {
        max_symbols: 2,
        ..Config::default()
    };
    let server = start(still_feed(100), config).await;
    for data in [
        "null",
        "\"ACME\"",
        r#"{"symbol":"ACME"}"#,
        r#"{"symbol":"ACME","price":"1","change":0}"#,
        r#"{"symbol":"A-SYMBOL-OF-17-CH","price":1.0,"change":0.0}"#,
    ] {
        let body = format!(r#"{{"kind":"tick","data":{data}}}"#);
        let accepted = post(&server, "/events", "application/json", &body).await;
        assert!(accepted.contains("201 Created"), "{accepted}");
        assert_eq!(
            etag(&ask(&server, "/state", "").await),
            "\"k3f9x2.0\"",
            "{data}"
        );
    }
    for symbol in ["ONE", "TWO", "THREE"] {
        tick(&server.feed, symbol, 1.0, 0.0).await;
    }
    // No place for a third, and the two that are there still move.
    tick(&server.feed, "TWO", 2.0, 1.0).await;
    let state = ask(&server, "/state", "").await;
    let prices =
        r#"{"ONE":{"price":1.0,"change":0.0},"TWO":{"price":2.0,"change":1.0}}"#;
    assert_eq!(
        state.body,
        format!(r#"{{"cursor":"k3f9x2.9","prices":{prices}}}"#)
    );
}

/// A server that answers one request a second.
async fn slow(feed: Feed) -> Server {
    let config = Config {
        max_rate: NonZeroU32::MIN,
        retry_after: 2..=60,
        ..Config::default()
    };
    start(feed, config).await
}

#[tokio::test]
async fn who_asks_too_often_is_refused_and_each_is_told_a_time_of_its_own() {
    let server = slow(still_feed(100)).await;
    let mut raw = Raw::connect(server.address).await;
    let (mut told, mut refused) = (BTreeSet::new(), BTreeSet::new());
    // Whatever is asked for: the state and the events count together.
    for target in ["/state", "/events"].iter().cycle().take(60) {
        let answer = raw.ask(&get(target, ""), "").await;
        if answer.status() == 503 {
            assert!(answer.body.contains("2026:busy"), "{}", answer.body);
            let seconds = answer.header("retry-after").expect("a time to come back");
            told.insert(seconds.parse::<u16>().unwrap());
            refused.insert(*target);
        }
    }
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(told.len() > 10, "drawn anew for each: {told:?}");
    assert!(told.iter().all(|seconds| (2..=60).contains(seconds)));
    // What tells a client why, and what others write, is not held up by those who ask.
    assert_eq!(raw.ask(&get("/status", ""), "").await.status(), 200);
    let body = r#"{"kind":"message","data":"hello"}"#;
    let accepted = post(&server, "/events", "application/json", body).await;
    assert!(accepted.contains("201 Created"), "{accepted}");
    in_time("the end of the rush", async {
        while raw.ask(&get("/state", ""), "").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_refused_keeps_its_cursor_and_comes_back() {
    let config = Config {
        max_rate: NonZeroU32::MIN,
        retry_after: 0..=0,
        ..Config::default()
    };
    let server = start(still_feed(100), config).await;
    let rhythm = Rhythm {
        interval: Duration::ZERO,
        jitter: 0.0,
    };
    let client = PollingClient::with_pace(server.base(), BRISK).with_rhythm(rhythm);
    let mut updates = client.subscribe(Position::Latest).boxed();
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    say(&server.feed, "meanwhile").await;
    let mut refusals = 0;
    let event = in_time("the event", async {
        loop {
            match update(&mut updates).await {
                Update::Reconnecting(_) => refusals += 1,
                Update::Events(events) => return events[0].id,
                Update::Opened(_) | Update::Heartbeat => {}
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(event.await.to_string(), "k3f9x2.1");
    assert!(refusals > 0, "it asked faster than it is answered");
}

#[tokio::test]
async fn a_client_far_behind_catches_up_without_a_pause() {
    let feed = Feed::new(Retention::default());
    for number in 0..1_000 {
        say(&feed, &number.to_string()).await;
    }
    let server = start(feed, Config::default()).await;
    // One pause, and the guard against a hang ends this test.
    let rhythm = Rhythm {
        interval: Duration::from_secs(100_000),
        jitter: 0.0,
    };
    let client = PollingClient::new(server.base()).with_rhythm(rhythm);
    let mut updates = client.subscribe(Position::Earliest).boxed();
    assert!(matches!(update(&mut updates).await, Update::Opened(_)));
    let mut pages = Vec::new();
    while pages.iter().sum::<usize>() < 1_000 {
        match update(&mut updates).await {
            Update::Events(events) => pages.push(events.len()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pages, [256, 256, 256, 232]);
}

#[tokio::test]
async fn a_client_of_the_state_is_told_each_state_once() {
    let server = start(still_feed(100), Config::default()).await;
    let mut client = StateClient::<Prices>::new(server.base());
    let empty = client.get().await.unwrap().expect("the first answer");
    assert!(empty.prices.is_empty());
    assert_eq!(client.get().await.unwrap(), None);
    tick(&server.feed, "ACME", 101.25, 0.25).await;
    let state = client.get().await.unwrap().expect("a price");
    assert_eq!(state.prices["ACME"].price, 101.25);
    assert_eq!(state.cursor.to_string(), "k3f9x2.1");
    say(&server.feed, "a chat message").await;
    assert_eq!(client.get().await.unwrap(), None);
}
