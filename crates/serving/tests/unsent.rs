//! Answers that nobody takes, and HTTP/2 connections that nobody uses.

mod common;

use axum::{body::Body, routing::get, Router};
use bytes::Bytes;
use common::{assert_took, in_time, timed, Server};
use futures_util::{stream, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serving::{Config, Underway};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{io::DuplexStream, task::JoinHandle};

const PAGE: usize = 64 * 1024;

type Client = SendRequest<Empty<Bytes>>;

/// A client whose streams may be sent `window` bytes before it has read some, and its
/// connection.
async fn client(io: DuplexStream, window: u32) -> (Client, JoinHandle<()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (client, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
    let connection = tokio::spawn(async move {
        let _ = connection.await;
    });
    (client, connection)
}

async fn ask(
    client: &mut Client,
    path: &str,
) -> hyper::Response<hyper::body::Incoming> {
    let request = http::Request::get(format!("http://localhost{path}"));
    let request = request.body(Empty::new()).unwrap();
    in_time(client.send_request(request)).await.unwrap()
}

fn router() -> Router {
    Router::new()
        .route("/page", get(|| async { "x".repeat(PAGE) }))
        .route(
            "/stream",
            get(|| async {
                let body =
                    Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
                ([("content-type", "text/event-stream")], body)
            }),
        )
        .route(
            "/file",
            get(|| async {
                let pieces =
                    stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from("x")));
                Body::from_stream(pieces.take(PAGE))
            }),
        )
}

#[tokio::test(start_paused = true)]
async fn a_window_that_stays_shut_ends_the_connection() {
    let server = Server::start(router(), Config::default());
    for window in [0, 1, 40_000] {
        let (mut client, connection) = client(server.connect(), window).await;
        let _answer = ask(&mut client, "/page").await;
        let (_, took) = timed(connection).await;
        assert_took(took, Config::default().write_progress);
    }
    // Also where the length is not known, as that of a file that is compressed on the
    // way.
    let (mut client, connection) = client(server.connect(), 1).await;
    let _answer = ask(&mut client, "/file").await;
    let (_, took) = timed(connection).await;
    assert_took(took, Config::default().write_progress);
}

#[tokio::test(start_paused = true)]
async fn who_reads_however_slowly_gets_it_all() {
    let server = Server::start(router(), Config::default());
    let (mut client, _connection) = client(server.connect(), 16 * 1024).await;
    let mut body = ask(&mut client, "/page").await.into_body();
    let mut came = 0;
    while let Some(frame) = in_time(body.frame()).await {
        came += frame.unwrap().into_data().unwrap().len();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(came, PAGE);
}

#[tokio::test(start_paused = true)]
async fn where_too_much_is_unsent_the_connection_with_most_ends() {
    let config = Config {
        max_unsent_bytes: 5 * PAGE,
        ..Config::default()
    };
    let server = Server::start(router(), config);
    let (mut modest, modest_connection) = client(server.connect(), 0).await;
    let _one = ask(&mut modest, "/page").await;
    let (mut greedy, greedy_connection) = client(server.connect(), 0).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(ask(&mut greedy, "/page").await);
    }
    assert!(!greedy_connection.is_finished(), "the limit is allowed");
    let request = http::Request::get("http://localhost/page");
    let request = request.body(Empty::new()).unwrap();
    let _ = greedy.send_request(request).await;
    let (_, took) = timed(greedy_connection).await;
    assert_took(took, Duration::ZERO);
    assert!(!modest_connection.is_finished());
    // What it held is free again, for others.
    let (mut next, next_connection) = client(server.connect(), 0).await;
    for _ in 0..4 {
        answers.push(ask(&mut next, "/page").await);
    }
    assert!(!modest_connection.is_finished() && !next_connection.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_after_a_while() {
    let server = Server::start(router(), Config::default());
    let (mut client, connection) = client(server.connect(), 1024 * 1024).await;
    let whole = ask(&mut client, "/page").await.into_body().collect();
    assert_eq!(whole.await.unwrap().to_bytes().len(), PAGE);
    let (_, took) = timed(connection).await;
    assert_took(took, Config::default().idle);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_events_is_not_idle() {
    let server = Server::start(router(), Config::default());
    let (mut client, connection) = client(server.connect(), 0).await;
    let stream = ask(&mut client, "/stream").await;
    tokio::time::sleep(Config::default().idle * 10).await;
    assert!(!connection.is_finished());
    drop(stream);
    let (_, took) = timed(connection).await;
    assert_took(took, Config::default().idle);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_its_request_underway_is_not_idle() {
    let over = Arc::new(tokio::sync::Notify::new());
    let handler = {
        let over = over.clone();
        move |underway: Underway| async move {
            tokio::spawn(async move {
                over.notified().await;
                drop(underway);
            });
        }
    };
    let server =
        Server::start(Router::new().route("/", get(handler)), Config::default());
    let (mut client, connection) = client(server.connect(), 1024).await;
    ask(&mut client, "/").await;
    tokio::time::sleep(Config::default().idle * 10).await;
    assert!(!connection.is_finished());
    over.notify_one();
    let (_, took) = timed(connection).await;
    assert_took(took, Config::default().idle);
}
