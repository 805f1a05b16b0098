//! Which hosts are answered, and which pages may act.

mod common;

use axum::{body::Body, routing::get, Router};
use common::{assert_took, rest, send, timed, Server};
use contract::Problem;
use http::{Request, StatusCode};
use serving::{guard, Allowed, Config, Ending, HostName, Origin};
use std::time::Duration;
use tower::ServiceExt;

fn allowed() -> Allowed {
    Allowed {
        hosts: vec!["book.example".parse().unwrap()],
        origins: vec!["https://pages.example".parse().unwrap()],
        any_origin: vec!["/open"],
    }
}

async fn ask(request: Request<Body>) -> (StatusCode, Option<String>) {
    let both = get(|| async { "read" }).post(|| async { "wrote" });
    let router = guard(Router::new().route("/", both), allowed()).into_router();
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 10_000)
        .await
        .unwrap();
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let name = problem.and_then(|problem| problem.name().map(String::from));
    (status, name)
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri("/");
    headers
        .iter()
        .fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
        .body(Body::empty())
        .unwrap()
}

const OK: (StatusCode, Option<String>) = (StatusCode::OK, None);

fn problem(status: u16, name: &str) -> (StatusCode, Option<String>) {
    (StatusCode::from_u16(status).unwrap(), Some(name.into()))
}

#[tokio::test]
async fn addresses_localhost_and_allowed_names_are_answered() {
    for host in [
        "localhost",
        "LOCALHOST:4100",
        "localhost.",
        "book.example.:8443",
        "sse.localhost:4100",
        "127.0.0.1:4100",
        "192.168.1.5",
        "[::1]:4100",
        "book.example",
        "Book.Example:8443",
    ] {
        assert_eq!(ask(request("GET", &[("host", host)])).await, OK, "{host}");
    }
}

#[tokio::test]
async fn on_a_path_that_is_open_the_host_alone_is_checked() {
    let router = guard(
        Router::new()
            .route("/open", get(|| async { "read" }))
            .route("/open/below", get(|| async { "read" })),
        allowed(),
    );
    let router = router.into_router();
    for (path, host, status) in [
        ("/open", "localhost", 200),
        ("/open", "evil.example", 421),
        ("/open/below", "localhost", 403),
    ] {
        let request = Request::get(path)
            .header("host", host)
            .header("origin", "https://evil.example")
            .header("upgrade", "websocket")
            .body(Body::empty());
        let answer = router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{path} at {host}");
    }
}

#[tokio::test]
async fn other_names_are_not_ours() {
    for host in [
        "evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "a.book.example",
        "book.example.evil.example",
        "localhost..",
    ] {
        let answer = ask(request("GET", &[("host", host)])).await;
        assert_eq!(answer, problem(421, "wrong-host"), "{host}");
    }
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    for headers in [
        &[][..],
        &[("host", "localhost"), ("host", "localhost")],
        &[("host", "")],
        &[("host", "a b")],
        &[("host", "evil.example@localhost")],
        &[("host", "localhost:99999")],
    ] {
        let answer = ask(request("GET", headers)).await;
        assert_eq!(answer, problem(400, "wrong-host"), "{headers:?}");
    }
}

#[tokio::test]
async fn an_absolute_target_wins_over_the_header() {
    let ask_for = |target: &str, host: &str| {
        let request = Request::get(target).header("host", host);
        ask(request.body(Body::empty()).unwrap())
    };
    let answer = ask_for("http://evil.example/", "localhost").await;
    assert_eq!(answer, problem(421, "wrong-host"));
    assert_eq!(ask_for("http://localhost/", "evil.example").await, OK);
}

#[tokio::test]
async fn a_page_of_ours_may_act() {
    for (host, origin) in [
        ("127.0.0.1:4100", "http://127.0.0.1:4100"),
        ("[::1]:4100", "http://[::1]:4100"),
        ("localhost:4100", "http://LOCALHOST:4100"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        // A proxy ends TLS, and passes the browser's Host on.
        ("book.example", "https://book.example"),
        ("book.example:443", "https://book.example"),
        // On the list.
        ("127.0.0.1:4100", "https://pages.example"),
        ("127.0.0.1:4100", "https://pages.example:443"),
    ] {
        let headers = [("host", host), ("origin", origin)];
        assert_eq!(ask(request("POST", &headers)).await, OK, "{headers:?}");
    }
    // No Origin: no browser.
    assert_eq!(ask(request("POST", &[("host", "localhost")])).await, OK);
}

#[tokio::test]
async fn a_page_of_another_site_may_not_act() {
    let host = ("host", "localhost:4100");
    for origin in [
        "http://evil.example",
        "http://localhost",
        "http://localhost:4101",
        "http://127.0.0.1:4100",
        "http://localhost:4100.evil.example",
        "https://pages.example:8443",
        "http://pages.example",
        "null",
        "",
        "localhost:4100",
        "http://localhost:4100/path",
    ] {
        let foreign = problem(403, "foreign-origin");
        let answer = ask(request("POST", &[host, ("origin", origin)])).await;
        assert_eq!(answer, foreign, "{origin}");
        let upgrade = ("upgrade", "websocket");
        let answer = ask(request("GET", &[host, ("origin", origin), upgrade])).await;
        assert_eq!(answer, foreign, "{origin}");
        // Reading is the browser's business: without CORS headers it shows the page
        // nothing.
        let answer = ask(request("GET", &[host, ("origin", origin)])).await;
        assert_eq!(answer, OK, "{origin}");
    }
    let ours = ("origin", "http://localhost:4100");
    let two = request("POST", &[host, ours, ("origin", "http://evil.example")]);
    assert_eq!(ask(two).await, problem(403, "foreign-origin"));
}

#[test]
fn wrong_flags_are_told() {
    for wrong in ["", "http://a.example", "a.example:80", "*", "a/b"] {
        assert!(wrong.parse::<HostName>().is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "a.example",
        "null",
        "*",
        "https://a.example/x",
        "https://u@a.example",
    ] {
        assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
    }
}

/// Whatever a foreign page sends, it is told that it may not: its body is not looked
/// at, and what is left of it harms no later request.
#[tokio::test(start_paused = true)]
async fn a_foreign_page_is_refused_before_its_body() {
    let echo = axum::routing::post(|body: String| async { body });
    let router = guard(Router::new().route("/", echo), allowed());
    let server = Server::guarded(Ending::new(), router, Config::default());
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n";
    for (length, body) in [
        ("Content-Length: 10000000", ""),
        ("Transfer-Encoding: gzip, chunked", ""),
        ("Content-Length: 2", "hi"),
    ] {
        let mut peer = server.connect();
        let close = "Connection: close\r\n\r\n";
        send(&mut peer, &format!("{head}{length}\r\n{close}{body}")).await;
        let (text, took) = timed(rest(&mut peer)).await;
        assert!(text.starts_with("HTTP/1.1 403 "), "{length}: {text}");
        assert!(text.contains("foreign-origin"), "{length}: {text}");
        assert_took(took, Duration::ZERO);
    }
    // Without an origin that is foreign, each meets its own limit.
    let mut peer = server.connect();
    let large =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n";
    send(&mut peer, large).await;
    let text = rest(&mut peer).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}
