//! The bytes on the wire, read by a raw socket and kept in `golden/`, where the book
//! takes them from.
//!
//! After a change on purpose, `UPDATE_GOLDEN=1 cargo test -p long-polling --test
//! golden` writes them anew, and the difference is reviewed. What publishing and
//! `status` answer is the same for all methods and stands with SSE.

mod support;

use harness::{say, still_feed, Server};
use long_polling::Config;
use std::time::Duration;
use support::{get, park, start};
use testbed::{fix_draws, golden, transcript, Raw};
use tokio::time::sleep;

/// A server of a log in which something has happened already.
async fn chat(config: Config) -> Server {
    let server = start(still_feed(2), config).await;
    for text in ["one", "two", "three", "four"] {
        say(&server.feed, text).await;
    }
    server
}

/// What a patient client at the end of the log sends.
fn waiting() -> String {
    get("/events?after=k3f9x2.4", "\nPrefer: wait=25")
}

async fn exchange(server: &Server, head: &str) -> String {
    fix_draws();
    let mut raw = Raw::connect(server.address).await;
    transcript(head, "", &raw.ask(head, "").await.text())
}

#[tokio::test]
async fn a_request_without_a_cursor_gets_one_at_once() {
    let server = chat(Config::default()).await;
    let head = get("/events", "\nPrefer: wait=25");
    golden!("first.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn a_parked_request_is_answered_by_an_event() {
    let server = chat(Config::default()).await;
    fix_draws();
    let mut raw = park(&server, &waiting()).await;
    say(&server.feed, "hello").await;
    let answer = raw.answer().await.text();
    golden!("event.http", &transcript(&waiting(), "", &answer));
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_which_nothing_happens_ends_in_an_empty_page() {
    let server = chat(Config::default()).await;
    let head = get("/events?after=k3f9x2.4", "\nPrefer: wait=60");
    golden!("time-out.http", &exchange(&server, &head).await);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_answered_once() {
    let server = chat(Config::default()).await;
    // More than the two that are retained could not be read any more when the moment is
    // over.
    fix_draws();
    let mut raw = park(&server, &waiting()).await;
    for text in ["hello", "is anybody there?"] {
        say(&server.feed, text).await;
        sleep(Duration::from_millis(5)).await;
    }
    let answer = raw.answer().await.text();
    golden!("burst.http", &transcript(&waiting(), "", &answer));
}

#[tokio::test]
async fn a_cursor_that_is_no_place_any_more_is_a_problem() {
    let server = chat(Config::default()).await;
    let head = get("/events?after=k3f9x2.1", "\nPrefer: wait=25");
    golden!("gap.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn a_request_that_finds_no_place_is_told_when_to_come_back() {
    let config = Config {
        max_parked: 1,
        ..Config::default()
    };
    let server = chat(config).await;
    let _parked = park(&server, &waiting()).await;
    golden!("busy.http", &exchange(&server, &waiting()).await);
}

#[tokio::test]
async fn a_server_that_ends_answers_whoever_is_parked() {
    let server = chat(Config::default()).await;
    fix_draws();
    let mut raw = park(&server, &waiting()).await;
    server.ending.begin();
    let answer = raw.answer().await.text();
    golden!("ending.http", &transcript(&waiting(), "", &answer));
    server.serving.await.unwrap().unwrap();
}
