//! The limit of connections, an accept loop that survives errors, and what is too
//! large.

mod common;

use axum::{routing::get, Router};
use common::{assert_took, in_time, read_until, rest, send, timed, Server};
use serving::Config;
use std::{io, time::Duration};
use tokio::time::timeout;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Longer than whatever the server could do by itself in these tests, and shorter than
/// its deadlines.
const A_WHILE: Duration = Duration::from_secs(3);

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route(
        "/echo",
        axum::routing::post(|body: String| async move { body }),
    )
}

fn one_connection() -> Config {
    let max_connections = 1;
    Config {
        max_connections,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_beyond_the_limit_waits_for_a_place() {
    let parked = Router::new().route("/parked", get(std::future::pending::<()>));
    let server = Server::start(hello().merge(parked), one_connection());
    let mut first = server.connect();
    send(&mut first, "GET /parked HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut second = server.connect();
    send(&mut second, REQUEST).await;
    let early = timeout(A_WHILE, read_until(&mut second, "hello")).await;
    assert!(
        early.is_err(),
        "answered while the only place was taken: {early:?}"
    );
    drop(first);
    read_until(&mut second, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_is_idle_for_longest_gives_way() {
    let max_connections = 2;
    let config = Config {
        max_connections,
        ..Config::default()
    };
    let server = Server::start(hello(), config);
    let (mut silent, mut asked) = (server.connect(), server.connect());
    send(&mut silent, "GET / HTT").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    send(&mut asked, REQUEST).await;
    read_until(&mut asked, "hello").await;
    let mut third = server.connect();
    send(&mut third, REQUEST).await;
    let (_, took) = timed(read_until(&mut third, "hello")).await;
    assert_took(took, Duration::ZERO);
    assert_eq!(rest(&mut silent).await, "", "half a request is none");
    send(&mut asked, REQUEST).await;
    read_until(&mut asked, "hello").await;
    assert_eq!(server.ending.open(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_keeps_its_place() {
    // hyper's part of an upgraded connection ends with the 101. The descriptor does
    // not.
    let upgrade = get(|request: axum::extract::Request| async {
        tokio::spawn(async {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            let (mut read, mut write) =
                tokio::io::split(hyper_util::rt::TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let headers = [("connection", "upgrade"), ("upgrade", "echo")];
        (http::StatusCode::SWITCHING_PROTOCOLS, headers)
    });
    let server = Server::start(hello().route("/up", upgrade), one_connection());
    let mut first = server.connect();
    let request =
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    send(&mut first, request).await;
    let head = read_until(&mut first, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    send(&mut first, "echoed").await;
    read_until(&mut first, "echoed").await;
    let mut second = server.connect();
    send(&mut second, REQUEST).await;
    let early = timeout(A_WHILE, read_until(&mut second, "hello")).await;
    assert!(
        early.is_err(),
        "answered while the only place was taken: {early:?}"
    );
    assert_eq!(
        server.ending.open(),
        1,
        "the upgraded connection is counted"
    );
    drop(first);
    read_until(&mut second, "hello").await;
}

/// `EMFILE`: this process has no descriptor left.
fn out_of_descriptors() -> io::Error {
    io::Error::from_raw_os_error(24)
}

#[tokio::test(start_paused = true)]
async fn accepting_goes_on_after_running_out_of_descriptors() {
    let server = Server::start(hello(), Config::default());
    for _ in 0..20 {
        server.fail(out_of_descriptors());
    }
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    let (_, took) = timed(read_until(&mut peer, "hello")).await;
    // 10, 20, 40 … 640 ms make 1,270; the other 13 pauses are of one second.
    assert_took(took, Duration::from_millis(1_270 + 13_000));
    // Once it works again, a new error starts from the shortest pause.
    server.fail(out_of_descriptors());
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    let (_, took) = timed(read_until(&mut peer, "hello")).await;
    assert_took(took, Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_left_early_delays_nobody() {
    let server = Server::start(hello(), Config::default());
    for _ in 0..1_000 {
        server.fail(io::ErrorKind::ConnectionAborted.into());
    }
    let mut peer = server.connect();
    send(&mut peer, REQUEST).await;
    let (_, took) = timed(read_until(&mut peer, "hello")).await;
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_none_ends_the_server() {
    let server = Server::start(hello(), Config::default());
    let mut idle = server.connect();
    send(&mut idle, REQUEST).await;
    read_until(&mut idle, "hello").await;
    server.fail(io::ErrorKind::InvalidInput.into());
    assert_eq!(rest(&mut idle).await, "", "open connections are drained");
    let error = in_time(server.task).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_hold_up_the_ending() {
    let server = Server::start(hello(), Config::default());
    for _ in 0..20 {
        server.fail(out_of_descriptors());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.ending.begin();
    let (ended, took) = timed(server.task).await;
    ended.unwrap().unwrap();
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_announced_body_that_is_too_large_is_not_waited_for() {
    let server = Server::start(hello(), Config::default());
    let mut peer = server.connect();
    send(
        &mut peer,
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 67585\r\n\r\n",
    )
    .await;
    let (text, took) = timed(rest(&mut peer)).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    assert!(
        text.contains(r#""type":"tag:waiting.example,2026:too-large""#),
        "{text}"
    );
    assert_took(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_grows_too_large_is_answered_413() {
    let config = Config {
        max_body_bytes: 10,
        ..Config::default()
    };
    let server = Server::start(hello(), config);
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut peer = server.connect();
    send(
        &mut peer,
        &format!("{head}6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"),
    )
    .await;
    let text = read_until(&mut peer, "0123456789").await;
    assert!(
        text.starts_with("HTTP/1.1 200 "),
        "exactly the limit is allowed: {text}"
    );
    send(&mut peer, &format!("{head}6\r\n012345\r\n5\r\n6789x\r\n")).await;
    let text = rest(&mut peer).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_axums_own_limit_is_taken_where_the_config_allows_it() {
    let bytes = 3 * 1024 * 1024;
    let config = Config {
        max_body_bytes: bytes,
        ..Config::default()
    };
    let length =
        axum::routing::post(
            |body: String| async move { format!("took {}", body.len()) },
        );
    let server = Server::start(Router::new().route("/", length), config);
    let mut peer = server.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
    send(&mut peer, &head).await;
    send(&mut peer, &"x".repeat(bytes)).await;
    read_until(&mut peer, &format!("took {bytes}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_coding_other_than_chunked_is_refused() {
    let server = Server::start(hello(), Config::default());
    for (coding, status) in [
        ("chunked", "200"),
        ("Chunked", "200"),
        ("gzip, chunked", "501"),
        ("chunked, chunked", "501"),
    ] {
        let mut peer = server.connect();
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n"
        );
        let body = "Connection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        send(&mut peer, &(head + body)).await;
        let text = rest(&mut peer).await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{coding}: {text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_headers_are_refused() {
    let server = Server::start(hello(), Config::default());
    for (count, status) in [(64, "200"), (65, "431")] {
        let mut peer = server.connect();
        let host = "Host: a\r\nConnection: close\r\n";
        let more: String = (2..count).map(|n| format!("X-{n}: 1\r\n")).collect();
        send(&mut peer, &format!("GET / HTTP/1.1\r\n{host}{more}\r\n")).await;
        let text = rest(&mut peer).await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{count}: {text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn headers_that_are_too_large_are_refused() {
    let server = Server::start(hello(), Config::default());
    for (bytes, status) in [(15 * 1024, "200"), (17 * 1024, "431")] {
        let mut peer = server.connect();
        let large = "x".repeat(bytes);
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {large}\r\n\r\n"
        );
        send(&mut peer, &head).await;
        let text = rest(&mut peer).await;
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes}: {text}"
        );
    }
}
