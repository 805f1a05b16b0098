//! Each deadline of the edge, on pipes with a paused clock.

mod common;

use axum::{
    body::{Body, Bytes},
    routing::{get, post},
    Router,
};
use common::{assert_took, in_time, read_until, rest, send, timed, Server};
use contract::Problem;
use serving::Config;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::oneshot,
    time::sleep,
};

/// All different, so that a test cannot be met by another's deadline.
fn config() -> Config {
    Config {
        first_bytes: Duration::from_secs(7),
        headers: Duration::from_secs(11),
        body: Duration::from_secs(13),
        write_progress: Duration::from_secs(17),
        ..Config::default()
    }
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// What the server writes before it closes, while the peer sends one byte a second, and
/// so would meet any deadline that counts from the last byte.
async fn rest_while_dripping(peer: DuplexStream, byte: &str) -> String {
    let (mut read, mut write) = tokio::io::split(peer);
    let mut bytes = Vec::new();
    let dripping = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            let _ = write.write_all(byte.as_bytes()).await;
        }
    };
    tokio::select! {
        () = dripping => unreachable!("it drips for ever"),
        _ = in_time(read.read_to_end(&mut bytes)) => {}
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_dropped() {
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    let (text, took) = timed(rest(&mut peer)).await;
    assert_eq!(text, "");
    assert_took(took, config().first_bytes);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_shows_its_version_is_dropped() {
    // hyper-util waits for all 24 bytes of the HTTP/2 preface as long as those that
    // came match it.
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    for part in ["PRI * H", "TTP/2.0"] {
        send(&mut peer, part).await;
        sleep(Duration::from_secs(3)).await;
    }
    let (text, took) = timed(rest(&mut peer)).await;
    assert_eq!(text, "");
    assert_took(took + Duration::from_secs(6), config().first_bytes);
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_does_not_meet_the_first_deadline() {
    // The deadline is for the peer's first bytes. A handler may think for longer.
    let slow = get(|| async {
        sleep(Duration::from_secs(60)).await;
        "at last"
    });
    let server = Server::start(Router::new().route("/", slow), config());
    let mut peer = server.connect();
    send(&mut peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(read_until(&mut peer, "at last")
        .await
        .starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn headers_that_drip_are_dropped() {
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    send(&mut peer, "GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    let (text, took) = timed(rest_while_dripping(peer, "x")).await;
    assert_eq!(text, "");
    assert_took(took, config().headers);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    send(&mut peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut peer, "hello").await;
    let (text, took) = timed(rest(&mut peer)).await;
    assert_eq!(text, "");
    assert_took(took, config().headers);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_answered_408() {
    // The handler only asks for its argument; it knows nothing of the deadline.
    let router = Router::new().route("/", post(|body: String| async move { body }));
    let server = Server::start(router, config());
    let mut peer = server.connect();
    send(
        &mut peer,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
    )
    .await;
    let (text, took) = timed(rest_while_dripping(peer, "x")).await;
    assert_took(took, config().body);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert_eq!((problem.status, problem.name()), (408, Some("timed-out")));
}

#[tokio::test(start_paused = true)]
async fn a_body_in_time_is_taken() {
    let router = Router::new().route("/", post(|body: String| async move { body }));
    let server = Server::start(router, config());
    let mut peer = server.connect();
    send(
        &mut peer,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
    )
    .await;
    for _ in 0..10 {
        sleep(Duration::from_secs(1)).await;
        send(&mut peer, "x").await;
    }
    let text = read_until(&mut peer, "xxxxxxxxxx").await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

/// A body without end that tells when it is dropped.
struct Endless {
    _dropped: oneshot::Sender<()>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let bytes = Bytes::from_static(&[b'.'; 512]);
        Poll::Ready(Some(Ok(http_body::Frame::data(bytes))))
    }
}

/// A server whose one response never ends, and the word that the response was dropped.
fn endless() -> (Server, oneshot::Receiver<()>) {
    let (_dropped, dropped) = oneshot::channel();
    let body = std::sync::Mutex::new(Some(Body::new(Endless { _dropped })));
    let answer = move || {
        let body = body.lock().unwrap().take().expect("asked once");
        async move { body }
    };
    let answer = std::sync::Arc::new(answer);
    let router = Router::new().route("/", get(move || answer()));
    (Server::start(router, config()), dropped)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped() {
    let (server, dropped) = endless();
    let mut peer = server.connect();
    send(&mut peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    read_until(&mut peer, "\r\n\r\n").await;
    let (gone, took) = timed(dropped).await;
    assert!(gone.is_err(), "the sender was dropped, not used");
    assert_took(took, config().write_progress);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_served() {
    let (server, mut dropped) = endless();
    let mut peer = server.connect();
    send(&mut peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for _ in 0..20 {
        sleep(config().write_progress - Duration::from_secs(1)).await;
        let mut buffer = [0; 600];
        assert_ne!(peer.read(&mut buffer).await.unwrap(), 0);
    }
    assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn an_http2_peer_that_answers_no_ping_is_dropped() {
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4, §6.5): a whole
    // connection, and then silence.
    send(&mut peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, "\0\0\0\x04\0\0\0\0\0").await;
    let mut bytes = Vec::new();
    let (_, took) = timed(peer.read_to_end(&mut bytes)).await;
    assert!(!bytes.is_empty(), "the server greets with its own SETTINGS");
    assert_took(
        took,
        config().http2_ping_interval + config().http2_ping_timeout,
    );
}

#[tokio::test(start_paused = true)]
async fn an_http2_peer_that_stops_inside_its_headers_is_dropped() {
    let server = Server::start(hello(), config());
    let mut peer = server.connect();
    send(&mut peer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    send(&mut peer, "\0\0\0\x04\0\0\0\0\0").await;
    // A HEADERS frame on stream 1 without END_HEADERS, holding one indexed field
    // (`:method: GET`); no CONTINUATION.
    send(&mut peer, "\0\0\x01\x01\0\0\0\0\x01\u{2}").await;
    let mut bytes = Vec::new();
    let (_, took) = timed(peer.read_to_end(&mut bytes)).await;
    assert_took(
        took,
        config().http2_ping_interval + config().http2_ping_timeout,
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_has_not_sent_does_not_hold_an_answer() {
    // A handler that does not read the body answers at once. The rest is waited for a
    // moment, and then the connection closes instead.
    let router = Router::new().route("/", post(|| async { "no need" }));
    let server = Server::start(router, config());
    let mut peer = server.connect();
    send(
        &mut peer,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
    )
    .await;
    let (text, took) = timed(rest(&mut peer)).await;
    assert!(text.ends_with("no need"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
    assert_took(took, Duration::from_millis(200));
}
