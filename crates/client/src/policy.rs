//! The vectors that the JavaScript clients are tested with as well, against what is
//! inside this crate. `tests/policy.rs` has those that can be tried from outside.

use crate::{
    backoff::Backoff,
    pages::waited_with,
    response::{failure, retry_after},
    subscription::SubscriptionState,
    watchdog::Watchdog,
    websocket::CloseAction,
    Failure, Pace,
};
use contract::{headers::PREFERENCE_APPLIED, Position};
use reqwest::{
    header::{HeaderMap, HeaderName, DATE, RETRY_AFTER},
    Response,
};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tokio::time::advance;

#[derive(Deserialize)]
struct Vectors {
    backoff: Vec<Waits>,
    retry_after: Vec<RetryAfter>,
    watchdog: Vec<Silence>,
    health: Vec<Health>,
    waited: Vec<Waited>,
    answers: Vec<Answer>,
    close_codes: Vec<CloseCode>,
}

#[derive(Deserialize)]
struct Waits {
    first: u64,
    cap: u64,
    failures: u32,
    least: u64,
    most: u64,
}

#[derive(Deserialize)]
struct RetryAfter {
    value: String,
    date: Option<String>,
    wait: u64,
}

#[derive(Deserialize)]
struct Silence {
    every: Option<u64>,
    patience: u64,
}

#[derive(Deserialize)]
struct Health {
    open: Option<u64>,
    healthy: bool,
}

#[derive(Deserialize)]
struct Waited {
    applied: Option<String>,
    took: u64,
    waited: bool,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    #[serde(rename = "type")]
    media_type: Option<String>,
    retry_after: Option<String>,
    body: Value,
    then: String,
    #[serde(default)]
    wait: u64,
}

#[derive(Deserialize)]
struct CloseCode {
    code: u16,
    then: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../tests/policy.json")).unwrap()
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn header(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value {
        headers.insert(name, value.parse().unwrap());
    }
}

#[test]
fn a_back_off_draws_between_its_bounds() {
    for it in vectors().backoff {
        let pace = Pace {
            first: ms(it.first),
            cap: ms(it.cap),
        };
        let failures = it.failures;
        let draw = |_| {
            let mut backoff = Backoff::new(pace);
            for _ in 0..failures {
                backoff.next_wait();
            }
            backoff.next_wait()
        };
        let draws: Vec<_> = (0..1000).map(draw).collect();
        let (least, most) = (draws.iter().min().unwrap(), draws.iter().max().unwrap());
        // `next_wait` asks the clock twice, so what it draws comes out a little
        // shorter.
        assert!(*least >= ms(it.least), "{failures}: {least:?}");
        assert!(*most <= ms(it.most), "{failures}: {most:?}");
        let middle = ms(it.most) / 2;
        assert!(*least < middle && middle < *most, "the whole range is used");
    }
}

#[test]
fn retry_after_is_read_in_all_its_forms_and_bounded() {
    for it in vectors().retry_after {
        let mut headers = HeaderMap::new();
        header(&mut headers, RETRY_AFTER, Some(&it.value));
        header(&mut headers, DATE, it.date.as_deref());
        let wait = retry_after(&headers).unwrap_or_default();
        assert_eq!(wait, ms(it.wait), "{:?}", it.value);
    }
}

#[test]
fn a_watchdog_learns_its_patience_and_it_is_bounded() {
    for it in vectors().watchdog {
        let mut watchdog = Watchdog::default();
        if let Some(every) = it.every {
            watchdog.heard_interval(ms(every));
        }
        assert_eq!(watchdog.patience(), ms(it.patience), "{:?}", it.every);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_healthy_once_it_was_open_for_long_enough() {
    for it in vectors().health {
        let pace = Pace {
            first: ms(1),
            cap: ms(u64::from(u32::MAX)),
        };
        let mut subscription = SubscriptionState::new(Position::Latest, pace);
        for _ in 0..40 {
            subscription.reconnecting(None);
        }
        if let Some(open) = it.open {
            subscription.set_cursor("k3f9x2.1".parse().unwrap());
            // Neither makes it well.
            subscription.heard();
            advance(ms(open)).await;
        }
        let wait = subscription.reconnecting(None);
        assert_eq!(wait <= ms(1), it.healthy, "{:?}: {wait:?}", it.open);
    }
}

#[test]
fn what_counts_as_waited() {
    for it in vectors().waited {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static(PREFERENCE_APPLIED);
        header(&mut headers, name, it.applied.as_deref());
        let waited = waited_with(&headers, ms(it.took));
        assert_eq!(waited, it.waited, "{:?} in {} ms", it.applied, it.took);
    }
}

#[test]
fn a_first_wait_is_bounded_whatever_the_server_asks_for() {
    for (asked, most) in [(0, 100), (1730, 1730), (u64::MAX, 3_600_000)] {
        let mut backoff = Backoff::new(Pace::default());
        backoff.set_first(ms(asked));
        for _ in 0..100 {
            let wait = backoff.clone().next_wait();
            assert!(
                wait >= ms(most) / 10 && wait <= ms(most),
                "{asked}: {wait:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_success_ends_a_client_only_where_the_server_itself_says_so(
) {
    for it in vectors().answers {
        let body = match it.body {
            Value::Null => "<!doctype html>".to_owned(),
            body => body.to_string(),
        };
        let what = format!("{} {:?} {body}", it.status, it.media_type);
        let mut answer = http::Response::builder().status(it.status);
        for (name, value) in [
            ("content-type", it.media_type),
            ("retry-after", it.retry_after),
        ] {
            if let Some(value) = value {
                answer = answer.header(name, value);
            }
        }
        let (then, wait) =
            match failure(Response::from(answer.body(body).unwrap())).await {
                Failure::Temporary(wait) => ("again", wait),
                Failure::Unexpected(_) => ("again", None),
                Failure::Gap(_) => ("gap", None),
                Failure::Unauthorized(_) => ("renew", None),
                Failure::Permanent(_) => ("final", None),
            };
        assert_eq!(then, it.then, "{what}");
        assert_eq!(
            wait.unwrap_or_default(),
            Duration::from_millis(it.wait),
            "{what}"
        );
    }
}

#[test]
fn a_code_decides_what_comes_after_a_close() {
    for it in vectors().close_codes {
        let action = match CloseAction::of(Some(it.code)) {
            CloseAction::Stop => "stop",
            CloseAction::GiveUp => "give-up",
            CloseAction::Deny => "denied",
            CloseAction::Renew => "renew",
            CloseAction::DropLargest => "drop-largest",
            CloseAction::Reconnect => "again",
        };
        assert_eq!(action, it.then, "{}", it.code);
    }
    assert_eq!(CloseAction::of(None), CloseAction::Reconnect);
}
