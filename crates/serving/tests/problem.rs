//! Problem details, byte for byte.

use axum::{body::Body, response::IntoResponse, routing::get, Router};
use contract::{Gap, GapReason, Problem};
use http::Request;
use serving::{fallbacks, ProblemResponse};
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
    let busy = Problem {
        retry_after: Some(8),
        ..Problem::busy()
    };
    assert_eq!(
        bytes(ProblemResponse(busy)).await,
        "503 Service Unavailable\n\
         cache-control: no-store\n\
         content-type: application/problem+json\n\
         retry-after: 8\n\
         \n\
         {\"type\":\"tag:waiting.example,2026:busy\",\"title\":\"No place is free\",\"status\":503}"
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
