//! The vectors that the JavaScript clients are tested with as well, as far as they can
//! be tried from outside. The others are in `src/policy.rs`.

mod support;

use client::{Client, LongPollingClient, Update};
use contract::{Gap, GapReason, Position};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use support::BRISK;
use testbed::{update, Script};

#[derive(Deserialize)]
struct Vectors {
    pages: Vec<Page>,
    gaps: Vec<GapVector>,
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
