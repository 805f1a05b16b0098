//! A text that outlives its reader's connection: what becomes of it when a page is
//! reloaded, when a second device joins, when its model fails, and when nobody reads.

mod support;

use futures_util::StreamExt;
use harness::{still_feed, Server};
use serde_json::Value;
use sse::{Config, Limits, Model, Tokens};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{start, still_config};
use testbed::{answer_to, faults::came_to, golden, in_time, post, transcript, Raw};
use tokio::sync::mpsc::{unbounded_channel, UnboundedSender};
use tokio_stream::wrappers::UnboundedReceiverStream;

const JSON: &str = "application/json";
const WHY: &str = r#"{"prompt":"Why?"}"#;

/// Says the tokens of one text. It is closed when nobody wants them any more.
type Mouth = UnboundedSender<Result<String, String>>;

/// A model that says what the test says, with a mouth for each of its texts in turn.
fn spoken<const TEXTS: usize>() -> (Model, [Mouth; TEXTS]) {
    let mut texts: VecDeque<Tokens> = VecDeque::new();
    let mouths = std::array::from_fn(|_| {
        let (mouth, text) = unbounded_channel();
        texts.push_back(UnboundedReceiverStream::new(text).boxed());
        mouth
    });
    let texts = Arc::new(Mutex::new(texts));
    let next = move |_: &str| texts.lock().unwrap().pop_front().expect("another text");
    (Model::new(next), mouths)
}

fn say(mouth: &Mouth, token: &str) {
    mouth.send(Ok(token.to_owned())).unwrap();
}

fn config(model: Model) -> Config {
    Config {
        model,
        ..still_config()
    }
}

/// Starts a text, and says under which name.
async fn generate(server: &Server) -> String {
    let answer = post(server, "/generations", JSON, WHY).await;
    assert!(answer.contains("HTTP/1.1 201 "), "{answer}");
    let id = answer.split("\"id\":\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    let place = format!("location: generations/{id}\r\n");
    assert!(answer.contains(&place), "{answer}");
    id
}

async fn read(server: &Server, id: &str, after: &str) -> Raw {
    Raw::get(server, &format!("/generations/{id}/events{after}")).await
}

/// The events that have come, in order: kind and data.
fn events(seen: &str) -> Vec<(String, Value)> {
    let lines = seen
        .lines()
        .filter_map(|line| line.strip_prefix("data: {\"id\":"));
    let whole = lines.map(|rest| format!("{{\"id\":{rest}"));
    let parsed = whole.map(|json| serde_json::from_str::<Value>(&json).unwrap());
    parsed
        .map(|mut event| {
            let kind = event["kind"].as_str().unwrap().to_owned();
            (kind, event["data"].take())
        })
        .collect()
}

/// What a reader has of the text.
fn text(seen: &str) -> String {
    let events = events(seen).into_iter();
    let tokens = events.filter(|(kind, _)| kind == "token");
    let texts = tokens.map(|(_, data)| data["text"].as_str().unwrap().to_owned());
    texts.collect()
}

fn last(seen: &str) -> (String, Value) {
    events(seen).pop().expect("an event")
}

/// The last id that a reader has seen.
fn cursor(seen: &str) -> &str {
    let mut ids = seen.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.next_back().expect("an id")
}

const END: &str = "event: end\ndata: {\"reason\":\"finished\"}\n\n\r\n0\r\n\r\n";

#[tokio::test]
async fn a_page_that_is_reloaded_in_mid_answer_reads_on() {
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut before = read(&server, &id, "").await;
    say(&mouth, "To ");
    say(&mouth, "learn ");
    before.until("learn \"}}\n\n\r\n").await;
    let seen = before.seen.clone();
    drop(before);

    // It goes on meanwhile.
    say(&mouth, "what ");
    say(&mouth, "happened.");
    drop(mouth);
    let head = format!(
        "GET /generations/{id}/events HTTP/1.1\nHost: 127.0.0.1\nLast-Event-ID: {}",
        cursor(&seen)
    );
    let mut after = Raw::send(&server, &head, "").await;
    after.until(END).await;
    assert_eq!(text(&seen), "To learn ");
    assert_eq!(text(&after.seen), "what happened.");
    let (kind, data) = last(&after.seen);
    assert_eq!((&*kind, &data["tokens"]), ("done", &4.into()));
    came_to(
        "reload-mid-answer",
        "sse",
        "reads on after its cursor, from the log of the generation; nothing is lost or doubled",
        "sse::generations::a_page_that_is_reloaded_in_mid_answer_reads_on",
    );

    // A browser that takes the end for a break is told to stop.
    let at = cursor(&after.seen);
    let again = format!("GET /generations/{id}/events?after={at} HTTP/1.1");
    let again = answer_to(&server, &again, "").await;
    assert!(again.contains("HTTP/1.1 204 "));
}

/// Asks for a text with this key, in these words.
async fn ask(server: &Server, key: &str, body: &str) -> String {
    let head = format!(
        "POST /generations HTTP/1.1\nContent-Type: {JSON}\n\
         Content-Length: {}\nIdempotency-Key: {key}",
        body.len()
    );
    answer_to(server, &head, body).await
}

fn id_in(answer: &str) -> &str {
    let id = answer.split("\"id\":\"").nth(1).expect(answer);
    id.split('"').next().expect(answer)
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_is_repeated_and_makes_one_text() {
    // The model has one text for each of these; a third would panic.
    let (model, [mouth, _other]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let head = format!(
        "POST /generations HTTP/1.1\nHost: 127.0.0.1\nContent-Type: {JSON}\n\
         Content-Length: {}\nIdempotency-Key: a-key",
        WHY.len()
    );
    let mut lost = Raw::send(&server, &head, WHY).await;
    // It is under way, and nobody takes the answer.
    lost.until("HTTP/1.1 201 ").await;
    drop(lost);

    let again = ask(&server, "a-key", WHY).await;
    assert!(again.contains("HTTP/1.1 200 "), "{again}");
    let id = id_in(&again).to_owned();
    assert!(again.contains(&format!("location: generations/{id}\r\n")));
    say(&mouth, "To learn.");
    drop(mouth);
    let mut reader = read(&server, &id, "").await;
    reader.until(END).await;
    assert_eq!(text(&reader.seen), "To learn.");
    // Also when it is done, for as long as it is kept.
    let late = ask(&server, "a-key", WHY).await;
    assert!(late.contains(" 200 ") && id_in(&late) == id, "{late}");

    // The same key for something else is a mistake, and another key another text.
    let other = ask(&server, "a-key", r#"{"prompt":"How?"}"#).await;
    assert!(other.contains(" 422 ") && other.contains(":key-reused"));
    let other = ask(&server, "b-key", WHY).await;
    assert!(other.contains(" 201 ") && id_in(&other) != id, "{other}");
    let none = ask(&server, &"x".repeat(65), WHY).await;
    assert!(none.contains(" 400 "), "{none}");
    came_to(
        "start-lost",
        "sse",
        "asks again with the same `Idempotency-Key` and gets the address of the text that was begun; \
         no second one is made",
        "sse::generations::a_start_whose_answer_was_lost_is_repeated_and_makes_one_text",
    );
}

#[tokio::test]
async fn the_same_key_twice_at_once_makes_one_text() {
    let (model, [_mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let asked = (0..20).map(|_| ask(&server, "a-key", WHY));
    let answers = futures_util::future::join_all(asked).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| id_in(answer)).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    let new = answers.iter().filter(|answer| answer.contains(" 201 "));
    assert_eq!(new.count(), 1);
}

#[tokio::test]
async fn one_address_has_a_few_texts_made_at_once() {
    let (model, [mouth, _another]) = spoken();
    let mut edge = serving::Config::default();
    edge.per_address.tasks = 1;
    edge.per_address.loopback = true;
    let config = config(model);
    let server = Server::start_with(still_feed(1), edge, |feed, ending| {
        sse::router(feed, config, ending)
    })
    .await;
    let first = ask(&server, "a-key", WHY).await;
    assert!(first.contains(" 201 "), "{first}");
    let refused = ask(&server, "b-key", WHY).await;
    assert!(refused.contains(" 429 ") && refused.contains(":too-many"));
    assert!(refused.contains("retry-after: "), "{refused}");
    // Who asks for what is there takes nothing.
    let again = ask(&server, "a-key", WHY).await;
    assert!(again.contains(" 200 "), "{again}");
    drop(mouth);
    generate_after_another(&server).await;
}

#[tokio::test]
async fn a_second_device_sees_the_beginning_and_both_see_the_end() {
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut first = read(&server, &id, "").await;
    say(&mouth, "To ");
    first.until("To \"}}").await;
    let mut second = read(&server, &id, "").await;
    second.until("To \"}}").await;
    say(&mouth, "learn.");
    drop(mouth);
    for reader in [&mut first, &mut second] {
        reader.until(END).await;
        assert_eq!(text(&reader.seen), "To learn.");
    }
}

#[tokio::test]
async fn a_model_that_panics_has_failed_too() {
    let model = Model::new(|_| {
        futures_util::stream::once(async { panic!("on purpose") }).boxed()
    });
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    reader.until(END).await;
    assert_eq!(last(&reader.seen).0, "failed");
}

#[tokio::test]
async fn a_model_that_fails_in_mid_answer_says_so_as_an_event() {
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    say(&mouth, "To ");
    mouth.send(Err("out of memory".into())).unwrap();
    reader.until(END).await;
    assert_eq!(text(&reader.seen), "To ");
    let (kind, problem) = last(&reader.seen);
    assert_eq!((&*kind, &problem["status"]), ("failed", &502.into()));
    assert_eq!(problem["detail"], "out of memory");
    came_to(
        "generator-fails",
        "sse",
        "the status was 200 long before; the last event is `failed`, with a problem, and the stream ends with `end`",
        "sse::generations::a_model_that_fails_in_mid_answer_says_so_as_an_event",
    );
}

/// Waits for one more.
async fn heartbeat(reader: &mut Raw) {
    reader.seen.clear();
    reader.until("event: heartbeat\ndata: {\"every\":").await;
}

#[tokio::test]
async fn a_model_that_thinks_is_heard_by_heartbeats() {
    let (model, [mouth]) = spoken();
    let brief = Config {
        heartbeat: Duration::from_millis(20),
        ..config(model)
    };
    let server = start(still_feed(1), brief).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    for _ in 0..3 {
        heartbeat(&mut reader).await;
    }
    say(&mouth, "At last.");
    reader.until("At last.").await;
}

#[tokio::test]
async fn a_text_is_stopped_on_request_and_what_was_made_stays() {
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    say(&mouth, "To ");
    reader.until("To \"}}").await;
    let delete = format!("DELETE /generations/{id} HTTP/1.1");
    assert!(answer_to(&server, &delete, "").await.contains(" 204 "));
    in_time("the end of the model's work", mouth.closed()).await;
    reader.until(END).await;
    let (kind, data) = last(&reader.seen);
    assert_eq!((&*kind, &data["because"]), ("stopped", &"asked".into()));
    // A second time is no error, and whoever comes late reads what there is.
    assert!(answer_to(&server, &delete, "").await.contains(" 204 "));
    let mut late = read(&server, &id, "").await;
    late.until(END).await;
    assert_eq!(text(&late.seen), "To ");
    let other = "DELETE /generations/k3f9x2 HTTP/1.1";
    assert!(answer_to(&server, other, "").await.contains(" 404 "));
}

fn unread_for(time: Duration, model: Model) -> Config {
    Config {
        generations: Limits {
            unread_for: time,
            ..Limits::default()
        },
        ..config(model)
    }
}

#[tokio::test]
async fn a_text_that_nobody_reads_is_stopped_and_one_that_somebody_reads_is_not() {
    // Nobody comes at all, and its model says nothing in which it could notice.
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), unread_for(Duration::ZERO, model)).await;
    let id = generate(&server).await;
    in_time("the end of an unread text", mouth.closed()).await;
    let mut late = read(&server, &id, "").await;
    late.until(END).await;
    let (kind, data) = last(&late.seen);
    assert_eq!((&*kind, &data["because"]), ("stopped", &"unread".into()));

    let (model, [mouth]) = spoken();
    // Long enough to come in, on any machine.
    let time = Duration::from_secs(1);
    let brief = Config {
        heartbeat: Duration::from_millis(50),
        ..unread_for(time, model)
    };
    let server = start(still_feed(1), brief).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    let since = Instant::now();
    while since.elapsed() < 2 * time {
        heartbeat(&mut reader).await;
    }
    assert!(!mouth.is_closed(), "somebody is there");
    // A model that thinks has nothing to send that could fail: only the channel closes.
    drop(reader);
    in_time("the end of a text that was left", mouth.closed()).await;
    came_to(
        "nobody-listens",
        "sse",
        "the generator is dropped once nobody has read for a while; what it made stays, with `stopped` as its last event",
        "sse::generations::a_text_that_nobody_reads_is_stopped_and_one_that_somebody_reads_is_not",
    );
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_the_text_is_not_whole() {
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let id = generate(&server).await;
    let mut reader = read(&server, &id, "").await;
    say(&mouth, "To ");
    reader.until("To \"}}").await;
    server.ending.begin();
    reader
        .until("event: end\ndata: {\"reason\":\"shutdown\"}\n\n\r\n0\r\n\r\n")
        .await;
    assert_eq!(last(&reader.seen).0, "token");
    in_time("the end of the model's work", mouth.closed()).await;
}

/// Starts one as soon as another has given its place back.
async fn generate_after_another(server: &Server) {
    in_time("a place", async {
        while !post(server, "/generations", JSON, WHY)
            .await
            .contains(" 201 ")
        {}
    })
    .await;
}

#[tokio::test]
async fn what_runs_and_what_is_kept_is_bounded_and_what_was_done_first_goes() {
    let (model, [one, two, _three]) = spoken();
    let small = Config {
        generations: Limits {
            running: 2,
            kept: 2,
            ..Limits::default()
        },
        ..config(model)
    };
    let server = start(still_feed(1), small).await;
    let first = generate(&server).await;
    let second = generate(&server).await;
    let refused = post(&server, "/generations", JSON, WHY).await;
    assert!(
        refused.contains(" 503 ") && refused.contains("2026:busy"),
        "{refused}"
    );
    assert!(refused.contains("retry-after: "), "{refused}");

    say(&two, "Still here.");
    drop(one);
    read(&server, &first, "").await.until(END).await;
    generate_after_another(&server).await;
    let gone = format!("GET /generations/{first}/events HTTP/1.1");
    let gone = answer_to(&server, &gone, "").await;
    assert!(gone.contains(" 404 "));
    read(&server, &second, "").await.until("Still here.").await;
}

#[tokio::test]
async fn a_text_that_is_done_is_kept_for_its_time() {
    let (model, [mouth]) = spoken();
    let forgetful = Config {
        generations: Limits {
            kept_for: Duration::ZERO,
            ..Limits::default()
        },
        ..config(model)
    };
    let server = start(still_feed(1), forgetful).await;
    let id = generate(&server).await;
    // Who reads it already reads it to its end.
    let mut reader = read(&server, &id, "").await;
    say(&mouth, "To ");
    reader.until("To \"}}").await;
    drop(mouth);
    reader.until(END).await;
    in_time("its end", async {
        let ask = format!("GET /generations/{id}/events HTTP/1.1");
        while !answer_to(&server, &ask, "").await.contains(" 404 ") {}
    })
    .await;
}

#[tokio::test]
async fn a_text_is_as_long_as_its_limits_and_says_that_it_was_cut() {
    for (limits, expected) in [
        (
            Limits {
                max_tokens: 2,
                ..Limits::default()
            },
            "To learn ",
        ),
        (
            Limits {
                max_bytes: 4,
                ..Limits::default()
            },
            "To ",
        ),
    ] {
        let (model, [mouth]) = spoken();
        let small = Config {
            generations: limits,
            ..config(model)
        };
        let server = start(still_feed(1), small).await;
        let id = generate(&server).await;
        for token in ["To ", "learn ", "more."] {
            say(&mouth, token);
        }
        let mut reader = read(&server, &id, "").await;
        reader.until(END).await;
        assert_eq!(text(&reader.seen), expected);
        let (kind, data) = last(&reader.seen);
        assert_eq!((&*kind, &data["cut"]), ("done", &true.into()));
        in_time("the end of the model's work", mouth.closed()).await;
    }
}

/// What differs from run to run, as it is in all the book's examples.
fn still(bytes: &str, id: &str, epoch: &str) -> String {
    let bytes = bytes.replace(id, "4d0f2b8c9a6e43719b5e0c1d7f3a8264");
    let bytes = bytes.replace(epoch, "k3f9x2");
    let mut parts = bytes.split("\"at\":\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |before, part| {
        let (time, after) = part.split_once('"').unwrap();
        let same = "2026-01-01T00:00:00.000Z";
        assert!(time.ends_with('Z'), "{time}");
        format!("{before}\"at\":\"{same}\"{after}")
    })
}

#[tokio::test]
async fn the_bytes_of_a_generation() {
    const HOST: &str = "Host: 127.0.0.1:4100";
    let (model, [mouth]) = spoken();
    let server = start(still_feed(1), config(model)).await;
    let head = format!(
        "POST /generations HTTP/1.1\n{HOST}\nContent-Type: {JSON}\nContent-Length: {}",
        WHY.len()
    );
    let mut raw = Raw::send(&server, &head, WHY).await;
    raw.until("\"}").await;
    let answer = raw.seen;
    let id = answer.split("\"id\":\"").nth(1).unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    golden!(
        "generation.http",
        &still(&transcript(&head, WHY, &answer), &id, "no log")
    );

    for token in ["To ", "learn."] {
        say(&mouth, token);
    }
    drop(mouth);
    let mut whole = read(&server, &id, "").await;
    whole.until(END).await;
    let epoch = cursor(&whole.seen).split('.').next().unwrap();
    let head = format!(
        "GET /generations/{id}/events HTTP/1.1\n{HOST}\nAccept: text/event-stream\nLast-Event-ID: {epoch}.1"
    );
    let mut raw = Raw::send(&server, &head, "").await;
    raw.until(END).await;
    // A chunk's size is that of what was written, and an id has no fixed length.
    let lines = raw.seen.split("\r\n");
    let is_size =
        |line: &&str| !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
    let body: Vec<_> = lines.filter(|line| !is_size(line)).collect();
    golden!(
        "generation-resumed.http",
        &still(&transcript(&head, "", &body.join("\r\n")), &id, epoch)
    );
}
