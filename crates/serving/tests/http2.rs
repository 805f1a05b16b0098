//! HTTP/2 with prior knowledge, on the same port.

mod common;

use axum::{body::Bytes, routing::get, Router};
use common::{in_time, Server};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serving::Config;

#[tokio::test(start_paused = true)]
async fn requests_are_answered_over_http2() {
    let router = Router::new().route("/", get(|| async { "hello" })).route(
        "/echo",
        axum::routing::post(|body: String| async move { body }),
    );
    let server = Server::start(router, Config::default());
    let io = TokioIo::new(server.connect());
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);

    let ask = |path: &str, body: &'static str| {
        let method = if body.is_empty() { "GET" } else { "POST" };
        http::Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap()
    };
    // Two at once on one connection.
    let (first, second) = tokio::join!(
        client.clone().send_request(ask("/", "")),
        client.send_request(ask("/echo", "echoed"))
    );
    let first = first.unwrap();
    assert_eq!(
        (first.status().as_u16(), first.version()),
        (200, http::Version::HTTP_2)
    );
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    let second = second.unwrap().into_body().collect().await.unwrap();
    assert_eq!(second.to_bytes(), "echoed");

    // The ending says GOAWAY, and an idle connection closes.
    server.ending.begin();
    in_time(connection).await.unwrap().unwrap();
    in_time(server.task).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_answered_408_over_http2() {
    let router = Router::new()
        .route("/", axum::routing::post(|body: String| async move { body }));
    let server = Server::start(router, Config::default());
    let io = TokioIo::new(server.connect());
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let body = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<Bytes>, std::convert::Infallible>,
    >());
    let request = http::Request::post("http://localhost/").body(body).unwrap();
    let answer = in_time(client.send_request(request)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 408);
    // A header about the connection is an error in HTTP/2 (RFC 9113 §8.2.2).
    assert!(!answer.headers().contains_key("connection"));
}

#[tokio::test(start_paused = true)]
async fn streams_beyond_the_limit_wait() {
    let release = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let entered = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let answer = {
        let (release, entered) = (release.clone(), entered.clone());
        move || async move {
            entered.add_permits(1);
            let _permit = release.acquire().await.unwrap();
            "done"
        }
    };
    let config = Config {
        http2_max_streams: 2,
        ..Config::default()
    };
    let server = Server::start(Router::new().route("/", get(answer)), config);
    let io = TokioIo::new(server.connect());
    let (client, connection) =
        http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let ask = || {
        let request = http::Request::get("http://localhost/")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let mut client = client.clone();
        tokio::spawn(
            async move { client.send_request(request).await.unwrap().status() },
        )
    };
    let asked = [ask(), ask(), ask()];
    // Two come in; the third waits in the client until the server's limit allows it.
    let _ = in_time(entered.acquire_many(2)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(entered.available_permits(), 2);
    release.add_permits(1);
    for answer in asked {
        assert_eq!(in_time(answer).await.unwrap(), 200);
    }
    assert_eq!(entered.available_permits(), 3);
}
