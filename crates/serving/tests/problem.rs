//! Problem details, byte for byte.

use axum::{body::Body, response::IntoResponse, routing::get, Router};
use feed::{Gap, GapReason, PublishError, ReadError};
use http::Request;
use serving::{fallbacks, Problem};
use std::collections::BTreeSet;
use tower::ServiceExt;

/// The whole answer, as HTTP/1.1 would write it, headers in alphabetical order.
async fn bytes(answer: impl IntoResponse) -> String {
    let answer = answer.into_response();
    let mut lines: Vec<String> = answer
        .headers()
        .iter()
        .filter(|(name, _)| *name != "content-length")
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
        .collect();
    lines.sort();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 10_000)
        .await
        .unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    format!("{status}\n{}\n{body}", lines.concat())
}

fn gap(reason: GapReason) -> Gap {
    Gap {
        reason,
        asked: Some("k3f9x2.3".parse().unwrap()),
        resume: "k3f9x2.9".parse().unwrap(),
    }
}

#[tokio::test]
async fn a_gap() {
    let problem = Problem::from(ReadError::Gap(gap(GapReason::Expired)));
    assert_eq!(
        bytes(problem).await,
        "410 Gone\n\
         cache-control: no-store\n\
         content-type: application/problem+json\n\
         \n\
         {\"type\":\"tag:waiting.example,2026:expired\",\"title\":\"Events after this cursor are gone\",\
         \"status\":410,\"asked\":\"k3f9x2.3\",\"resume\":\"k3f9x2.9\"}"
    );
}

#[tokio::test]
async fn a_busy_server() {
    testbed::fix_draws();
    assert_eq!(
        bytes(Problem::busy()).await,
        "503 Service Unavailable\n\
         cache-control: no-store\n\
         content-type: application/problem+json\n\
         retry-after: 8\n\
         \n\
         {\"type\":\"tag:waiting.example,2026:busy\",\"title\":\"No place is free\",\"status\":503}"
    );
}

#[test]
fn those_who_are_refused_together_are_told_different_times() {
    for refuse in [Problem::busy, Problem::ending] {
        let times: BTreeSet<_> =
            (0..500).filter_map(|_| refuse().retry_after).collect();
        assert_eq!(times, (1..=10).collect());
    }
}

#[test]
fn every_error_of_the_log_has_its_problem() {
    let (asked, latest) = ("k3f9x2.9".parse().unwrap(), "k3f9x2.3".parse().unwrap());
    let too_large = PublishError::TooLarge { bytes: 2, limit: 1 };
    for (problem, status, name) in [
        (
            Problem::from(ReadError::Future { asked, latest }),
            400,
            "future-cursor",
        ),
        (
            ReadError::Gap(gap(GapReason::NewLog)).into(),
            410,
            "new-log",
        ),
        (too_large.into(), 413, "too-large"),
        (PublishError::KeyReused.into(), 422, "key-reused"),
        (PublishError::Finished.into(), 409, "finished"),
        (Problem::ending(), 503, "ending"),
    ] {
        assert_eq!((problem.status, problem.name()), (status, Some(name)));
        let parsed: Problem =
            serde_json::from_str(&serde_json::to_string(&problem).unwrap()).unwrap();
        let retry_after = problem.retry_after;
        assert_eq!(
            Problem {
                retry_after,
                ..parsed
            },
            problem,
            "a client reads what was written"
        );
    }
}

#[test]
fn a_strangers_problem_can_be_read() {
    let problem: Problem =
        serde_json::from_str(r#"{"title":"Oh","instance":"/x","y":1}"#).unwrap();
    assert_eq!(
        (&*problem.type_uri, problem.name(), problem.status),
        ("about:blank", None, 0)
    );
}

#[tokio::test]
async fn what_is_not_routed() {
    let nested = Router::new().route("/events", get(|| async { "events" }));
    let router: Router = fallbacks(Router::new().nest("/live", nested));
    let ask = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    for path in ["/nothing", "/live/nothing", "/live"] {
        let text = bytes(ask("GET", path).await.unwrap()).await;
        assert!(text.starts_with("404 "), "{path}: {text}");
        assert!(text.contains("2026:not-found"), "{path}: {text}");
    }
    let text = bytes(ask("DELETE", "/live/events").await.unwrap()).await;
    assert!(text.starts_with("405 "), "{text}");
    assert!(text.contains("\nallow: GET,HEAD\n"), "{text}");
    assert!(text.contains("2026:method-not-allowed"), "{text}");
}
