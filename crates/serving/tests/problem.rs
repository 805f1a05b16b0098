//! Problem details, byte for byte.

use axum::{body::Body, response::IntoResponse, routing::get, Router};
use contract::{Gap, GapReason, Problem};
use http::Request;
use serving::{fallbacks, ProblemResponse};
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

#[tokio::test]
async fn a_gap() {
    let gap = Gap {
        reason: GapReason::Expired,
        asked: Some("k3f9x2.3".parse().unwrap()),
        resume: "k3f9x2.9".parse().unwrap(),
    };
    assert_eq!(
        bytes(ProblemResponse(Problem::gap(gap))).await,
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
        bytes(ProblemResponse(Problem::busy())).await,
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
        let times: BTreeSet<_> = (0..500)
            .map(|_| ProblemResponse(refuse()).into_response())
            .map(|answer| answer.headers()["retry-after"].to_str().unwrap().to_owned())
            .collect();
        assert_eq!(times, (1..=10).map(|n: u16| n.to_string()).collect());
    }
}

#[test]
fn a_time_that_a_problem_names_is_kept() {
    let problem = Problem {
        retry_after: Some(77),
        ..Problem::busy()
    };
    let answer = ProblemResponse(problem).into_response();
    assert_eq!(answer.headers()["retry-after"], "77");
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
