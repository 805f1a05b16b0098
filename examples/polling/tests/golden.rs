//! The bytes on the wire, read by a raw socket and kept in `golden/`, where the book
//! takes them from.
//!
//! After a change on purpose, `UPDATE_GOLDEN=1 cargo test -p polling --test golden`
//! writes them anew, and the difference is reviewed. What publishing and `status`
//! answer is the same for all methods and stands with SSE.

mod support;

use harness::{say, still_feed, Server};
use polling::Config;
use std::num::NonZeroU32;
use support::{get, start, tick};
use testbed::{fix_draws, golden, in_time, transcript, wire, Answer, Raw};

/// Asks and keeps question and answer as one text.
async fn exchange(server: &Server, head: &str) -> String {
    let mut raw = Raw::connect(server.address).await;
    transcript(head, "", &raw.ask(head, "").await.text())
}

async fn chat(events: usize, retained: usize) -> Server {
    let server = start(still_feed(retained), Config::default()).await;
    for number in 1..=events {
        say(&server.feed, &format!("message {number}")).await;
    }
    server
}

/// The five companies of the ticker, each with a price.
async fn market() -> Server {
    let server = start(still_feed(100), Config::default()).await;
    for (symbol, price, change) in [
        ("ACME", 101.0, 0.5),
        ("GLOBEX", 212.4, -0.12),
        ("HOOLI", 87.05, 0.0),
        ("INITECH", 33.6, 0.31),
        ("UMBRELLA", 154.99, -0.4),
        ("ACME", 101.25, 0.25),
    ] {
        tick(&server.feed, symbol, price, change).await;
    }
    server
}

#[tokio::test]
async fn a_page_has_what_is_due() {
    let server = chat(2, 100).await;
    let head = get("/events?after=k3f9x2.1", "");
    golden!("page.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn a_page_without_events_is_an_answer_too() {
    let server = chat(2, 100).await;
    let head = get("/events?after=k3f9x2.2", "");
    golden!("empty.http", &exchange(&server, &head).await);
    // Without a cursor: the place from which nothing that follows is missed.
    golden!("first.http", &exchange(&server, &get("/events", "")).await);
}

#[tokio::test]
async fn the_earliest_page_begins_with_the_oldest_event_that_is_retained() {
    let server = chat(4, 2).await;
    let head = get("/events?after=earliest", "");
    golden!("earliest.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn a_page_that_cannot_hold_everything_says_so() {
    let server = chat(300, 1_000).await;
    let head = get("/events?after=k3f9x2.0", "");
    let whole = exchange(&server, &head).await;
    // The book shows the first event and the last; what lies between is more of the
    // same.
    let (first, rest) = whole.split_once(",{\"id\":\"k3f9x2.2\"").unwrap();
    let last = &rest[rest.find("{\"id\":\"k3f9x2.256\"").unwrap()..];
    golden!("more.http", &format!("{first},…,{last}"));
}

#[tokio::test]
async fn a_finished_log_says_that_nothing_follows() {
    let server = chat(2, 100).await;
    server.feed.finish();
    let head = get("/events?after=k3f9x2.1", "");
    golden!("finished.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn a_cursor_that_is_no_place_any_more_is_a_problem() {
    let server = chat(4, 2).await;
    let head = get("/events?after=k3f9x2.1", "");
    golden!("gap.http", &exchange(&server, &head).await);
    let head = get("/events?after=k3f9x2.9", "");
    golden!("future.http", &exchange(&server, &head).await);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let config = Config {
        max_rate: NonZeroU32::MIN,
        retry_after: 7..=7,
        ..Config::default()
    };
    let server = start(still_feed(100), config).await;
    let head = get("/events?after=k3f9x2.0", "");
    let mut raw = Raw::connect(server.address).await;
    // One a second is answered. Faster than that, one is refused sooner or later.
    let refused = in_time("a refusal", async {
        loop {
            let answer = raw.ask(&head, "").await;
            if answer.status() != 200 {
                return answer;
            }
        }
    });
    let refused = transcript(&head, "", &refused.await.text());
    golden!("busy.http", &refused);
}

/// The answer to a request that was under way when the server's end began; none where
/// the server had not begun to read it.
async fn asked_while_ending(head: &str) -> Option<Answer> {
    let server = chat(0, 100).await;
    let mut raw = Raw::connect(server.address).await;
    let request = wire(head);
    let (begun, rest) = request.split_at(10);
    raw.write(begun).await;
    in_time("the connection", async {
        while server.ending.open() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // As many turns as it takes to read; nobody can see from outside that it has.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    fix_draws();
    server.ending.begin();
    raw.write(rest).await;
    raw.read_to_end().await;
    Answer::parse(&raw.seen)
}

#[tokio::test]
async fn a_server_that_ends_says_so() {
    let head = get("/events?after=k3f9x2.0", "");
    let answer = in_time("an answer", async {
        loop {
            if let Some(answer) = asked_while_ending(&head).await {
                return answer;
            }
        }
    });
    golden!("ending.http", &transcript(&head, "", &answer.await.text()));
}

#[tokio::test]
async fn the_state_has_a_tag_and_is_not_sent_twice() {
    let server = market().await;
    let first = get("/state", "");
    golden!("state.http", &exchange(&server, &first).await);
    let again = get("/state", "\nIf-None-Match: \"k3f9x2.6\"");
    golden!("not-modified.http", &exchange(&server, &again).await);
}

/// What Chromium 156 sends with a `fetch` of its own origin, to which no cookie
/// belongs; the user agent of a desktop.
fn browser(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1
Host: localhost:4101
Connection: keep-alive
sec-ch-ua-platform: \"Linux\"
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36
sec-ch-ua: \"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\"
sec-ch-ua-mobile: ?0
Accept: */*
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Referer: http://localhost:4101/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9{more}"
    )
}

/// A row of the table of bytes: what one poll costs.
async fn row(name: &str, server: &Server, head: &str) -> String {
    let answer = Raw::connect(server.address).await.ask(head, "").await;
    let name = name.replace("STATUS", &answer.status().to_string());
    let parts = [wire(head).len(), answer.head.len(), answer.body.len()];
    let all: usize = parts.iter().sum();
    let cells = parts
        .iter()
        .chain([&all])
        .map(|bytes| format!(" {bytes} |"));
    format!("| {name} |{}\n", cells.collect::<String>())
}

#[tokio::test]
async fn what_a_304_saves_and_what_it_does_not() {
    let state = |tag: &str| browser("/state", &format!("\nIf-None-Match: \"{tag}\""));
    let small = market().await;
    let large = start(still_feed(1_000), Config::default()).await;
    for number in 100..200 {
        tick(&large.feed, &format!("SYM{number}"), 101.5, -0.25).await;
    }
    tick(&large.feed, "SYM100", 101.25, -0.25).await;
    let mut table =
        "| Answer | Request | Head | Body | All |\n| --- | --: | --: | --: | --: |\n"
            .to_owned();
    for (name, server, head) in [
        ("State of 5 symbols, STATUS", &small, state("k3f9x2.5")),
        ("The same, STATUS", &small, state("k3f9x2.6")),
        ("State of 100 symbols, STATUS", &large, state("k3f9x2.100")),
        ("The same, STATUS", &large, state("k3f9x2.101")),
        (
            "Empty page of the log, STATUS",
            &small,
            browser("/events?after=k3f9x2.6", ""),
        ),
    ] {
        table += &row(name, server, &head).await;
    }
    golden!("bytes.md", &table);
}
