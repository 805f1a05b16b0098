//! The vectors that the JavaScript clients are tested with as well, as far as they can
//! be tried from outside. The others are in `src/policy.rs`.

mod support;

use client::{
    Client, Credential, Endpoint, Error, Failure, LongPollingClient, SseClient, Update,
};
use contract::{Gap, GapReason, Position};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Arc,
};
use support::BRISK;
use testbed::{in_time, update, Script};

#[derive(Deserialize)]
struct Vectors {
    pages: Vec<Page>,
    gaps: Vec<GapVector>,
    ends: Vec<EndVector>,
    unauthorized: Vec<Unauthorized>,
}

#[derive(Deserialize)]
struct EndVector {
    reason: String,
    then: String,
}

#[derive(Deserialize)]
struct Unauthorized {
    renews: bool,
    answers: Vec<u16>,
    then: String,
    asked: usize,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "type", default = "json")]
    media_type: Option<String>,
    page: Value,
    then: String,
}

fn json() -> Option<String> {
    Some("application/json".to_owned())
}

#[derive(Deserialize)]
struct GapVector {
    gap: Value,
    reason: Option<String>,
    asked: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("policy.json")).unwrap()
}

#[tokio::test]
async fn a_page_is_taken_or_asked_for_again() {
    for it in vectors().pages {
        let body = it.page.to_string();
        let media_type = it
            .media_type
            .map(|text| format!("Content-Type: {text}\r\n"));
        let head = media_type.unwrap_or_default();
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\n\r\n{body}");
        let script = Script::of([answer]).await;
        let client = LongPollingClient::with_pace(script.base.clone(), BRISK);
        let position = Position::After("k3f9x2.5".parse().unwrap());
        let mut updates = client.subscribe(position).boxed();
        let then = match update(&mut updates).await {
            Update::Opened(_) => "taken",
            Update::Reconnecting(_) => "again",
            other => panic!("{other:?}"),
        };
        assert_eq!(then, it.then, "{body}");
    }
}

#[test]
fn a_gap_is_read_whatever_its_reason_is() {
    for it in vectors().gaps {
        let read: Result<Gap, _> = serde_json::from_value(it.gap.clone());
        let reason = read.as_ref().ok().map(|gap| match gap.reason {
            GapReason::Expired => "expired",
            GapReason::NewLog => "new-log",
            GapReason::Unknown => "unknown",
        });
        assert_eq!(reason, it.reason.as_deref(), "{}", it.gap);
        let asked = read.ok().and_then(|gap| gap.asked);
        assert_eq!(
            asked.map(|cursor| cursor.to_string()),
            it.asked,
            "{}",
            it.gap
        );
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

#[tokio::test]
async fn an_end_says_by_its_reason_whether_to_come_back() {
    for it in vectors().ends {
        let hello = "id: k3f9x2.5\nevent: hello\ndata: {\"cursor\":\"k3f9x2.5\",\"every\":15000}\n\n";
        let end = format!("event: end\ndata: {{\"reason\":\"{}\"}}\n\n", it.reason);
        let mut script = Script::of([format!("{STREAM}{hello}{end}")]).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let renewed = asked.clone();
        let endpoint = Endpoint::new(script.base.clone()).with_renewer(move || {
            let ticket = renewed.fetch_add(1, Ordering::Relaxed).to_string();
            async move { Ok(Credential::none().with_ticket("ticket", &ticket)) }
        });
        let client = SseClient::with_pace(script.base.clone(), BRISK);
        let client = client.with_endpoint(endpoint);
        let mut updates = client.subscribe(Position::Latest).boxed();
        assert!(matches!(update(&mut updates).await, Update::Opened(_)));
        assert!(script.head().await.contains("&ticket=0 "), "{}", it.reason);
        let next = in_time("an end", updates.next()).await.expect("an end");
        let then = match next {
            Ok(Update::Reconnecting(_)) => {
                tokio::select! {
                    head = script.head() => assert!(head.contains("ticket=1 "), "{head}"),
                    _ = updates.next() => panic!("nothing answers"),
                }
                ["again", "renew"]
            }
            Ok(Update::Finished) => ["stop"; 2],
            Err(error) if error.problem() == Some("forbidden") => ["denied"; 2],
            other => panic!("{other:?}"),
        };
        assert!(then.contains(&&*it.then), "{}: {then:?}", it.reason);
    }
}

#[tokio::test]
async fn without_a_way_to_renew_401_is_final_and_with_one_it_is_asked_anew_once() {
    for it in vectors().unauthorized {
        let answers = it.answers.iter().map(|status| {
            let (reason, media_type, body) = match status {
                200 => (
                    "OK",
                    "application/json",
                    r#"{"after":"k3f9x2.5","events":[],"next":"k3f9x2.5"}"#,
                ),
                401 => (
                    "Unauthorized",
                    "application/problem+json",
                    r#"{"type":"tag:waiting.example,2026:unauthorized"}"#,
                ),
                _ => ("Service Unavailable", "text/plain", ""),
            };
            let length = body.len();
            format!(
                "HTTP/1.1 {status} {reason}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        });
        let mut script = Script::of(answers).await;
        let asked = Arc::new(AtomicUsize::new(0));
        let mut endpoint = Endpoint::new(script.base.clone());
        if it.renews {
            let renewed = asked.clone();
            endpoint = endpoint.with_renewer(move || {
                let number = renewed.fetch_add(1, Ordering::Relaxed);
                async move { Ok(Credential::bearer(&format!("t{number}"))) }
            });
        }
        let client = LongPollingClient::with_pace(script.base.clone(), BRISK);
        let client = client.with_endpoint(endpoint);
        let position = Position::After("k3f9x2.5".parse().unwrap());
        let mut updates = client.subscribe(position).boxed();
        let mut then = "";
        for _ in &it.answers {
            then = match in_time("an answer", updates.next()).await {
                Some(Ok(Update::Opened(_))) => "taken",
                Some(Ok(Update::Reconnecting(_))) => "again",
                Some(Err(error)) if error.problem() == Some("unauthorized") => "final",
                other => panic!("{:?}: {other:?}", it.answers),
            };
            let number = asked.load(Ordering::Relaxed).saturating_sub(1);
            let sent = script
                .head()
                .await
                .contains(&format!("Bearer t{number}\r\n"));
            assert_eq!(sent, it.renews, "{:?}", it.answers);
            if then == "taken" {
                assert!(matches!(update(&mut updates).await, Update::Heartbeat));
            }
        }
        assert_eq!(then, it.then, "{:?}", it.answers);
        assert_eq!(asked.load(Ordering::Relaxed), it.asked, "{:?}", it.answers);
    }
}

#[tokio::test]
async fn a_client_that_gets_no_credential_comes_back_later_or_ends() {
    for last in [false, true] {
        let base: reqwest::Url = "http://127.0.0.1:9/".parse().unwrap();
        let endpoint = Endpoint::new(base.clone()).with_renewer(move || async move {
            Err(match last {
                false => Failure::Temporary(None),
                true => Failure::Permanent(Error::Protocol("signed out".to_owned())),
            })
        });
        let client = SseClient::with_pace(base, BRISK).with_endpoint(endpoint);
        let mut updates = client.subscribe(Position::Latest).boxed();
        let next = in_time("an update", updates.next()).await;
        match next.expect("an update") {
            Ok(Update::Reconnecting(_)) => assert!(!last),
            Err(error) => assert!(last && error.to_string().contains("signed out")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_credential_is_not_printed() {
    let secret = Credential::bearer("s3cret")
        .with_ticket("ticket", "s3cret")
        .with_first_message("s3cret");
    let printed = format!("{secret:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
    let endpoint = Endpoint::new("http://a.example".parse().unwrap());
    let endpoint = endpoint.with_renewer(move || {
        let secret = secret.clone();
        async move { Ok(secret) }
    });
    let printed = format!("{endpoint:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
}
