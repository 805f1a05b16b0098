//! WebSocket over HTTP/2 (RFC 8441): the same routes, in streams of one connection.

mod support;

use contract::{Data, Kind};
use futures_util::{SinkExt, StreamExt};
use harness::{say, still_feed};
use std::time::Duration;
use support::{guarded, http2, Stand, FOR_EVER};
use testbed::{eventually, in_time};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use websocket::Config;

async fn text(socket: &mut http2::Socket) -> String {
    let next = in_time("a message", socket.next()).await;
    let message = next.expect("not the end").expect("no error");
    message.into_text().expect("text").to_string()
}

async fn close(socket: &mut http2::Socket) -> u16 {
    let next = in_time("a close", socket.next()).await;
    let Some(Ok(Message::Close(Some(close)))) = next else {
        panic!("no close: {next:?}");
    };
    let after = in_time("the end", socket.next()).await;
    assert!(after.is_none(), "the stream ends in order: {after:?}");
    close.code.into()
}

#[tokio::test]
async fn many_sockets_share_one_connection_with_requests() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let mut socket = http2::open(&mut client, "/events").await;
        assert!(text(&mut socket).await.starts_with(r#"{"hello":"#));
        sockets.push(socket);
    }
    let publish = r#"{"publish":{"ref":"1","kind":"message","data":"hello"}}"#;
    sockets[0].send(Message::text(publish)).await.unwrap();
    let ack = text(&mut sockets[0]).await;
    assert_eq!(ack, r#"{"ack":{"ref":"1","id":"k3f9x2.1"}}"#);
    for socket in &mut sockets {
        let event = text(socket).await;
        assert!(event.ends_with(r#""data":"hello"}}"#), "{event}");
    }
    let status = hyper::Request::get("http://127.0.0.1:4103/status");
    let answer = client.send_request(status.body(axum::body::Body::empty()).unwrap());
    assert_eq!(in_time("status", answer).await.unwrap().status(), 200);
    drop(sockets);
    eventually("a stream that is reset frees its place", || {
        stand.feed.subscribers() == 0
    })
    .await;
}

#[tokio::test]
async fn the_ends_are_the_same() {
    let edge = serving::Config {
        drain: FOR_EVER,
        ..serving::Config::default()
    };
    let config = Config {
        close_patience: FOR_EVER,
        ..Config::default()
    };
    let stand = Stand::with(still_feed(10), config, edge, guarded);
    let mut client = http2::connect(&stand).await;
    let mut binary = http2::open(&mut client, "/board").await;
    text(&mut binary).await;
    binary.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(close(&mut binary).await, 1003);

    let mut told = http2::open(&mut client, "/board").await;
    let mut finished = http2::open(&mut client, "/events").await;
    text(&mut told).await;
    text(&mut finished).await;
    stand.feed.finish();
    assert_eq!(close(&mut finished).await, 1000);
    stand.ending.begin();
    assert_eq!(close(&mut told).await, 1001);
    drop((client, binary, told, finished));
    stand.end().await;
}

#[tokio::test]
async fn a_message_too_large_is_told_so() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    let mut socket = http2::open(&mut client, "/events").await;
    text(&mut socket).await;
    let large = Message::text("x".repeat(Config::default().max_message + 1));
    let (mut sink, mut stream) = socket.split();
    // Flow control may hold the rest of it back for ever, so it is read meanwhile.
    let both = async {
        tokio::select! {
            // The send alone may wait for ever.
            Err(error) = sink.send(large) => panic!("{error}"),
            next = stream.next() => next,
        }
    };
    let next = in_time("a close", both).await;
    let Some(Ok(Message::Close(Some(close)))) = next else {
        panic!("no close: {next:?}");
    };
    assert_eq!(u16::from(close.code), 1009);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_is_dropped_and_the_others_live() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    let mut read = http2::open(&mut client, "/events").await;
    text(&mut read).await;
    // It answers no ping, since that happens on a read, while its connection answers
    // HTTP/2's own pings.
    let _unread = http2::open(&mut client, "/events").await;
    // The connection and its two sockets.
    eventually("both are open", || stand.ending.open() == 3).await;
    let begun = Instant::now();
    while stand.ending.open() == 3 {
        let _ = tokio::time::timeout(Duration::from_secs(1), read.next()).await;
    }
    assert!(begun.elapsed() <= 3 * Config::default().heartbeat);
    say(&stand.feed, "still here").await;
    loop {
        if text(&mut read).await.contains("still here") {
            break;
        }
    }
}

#[tokio::test]
async fn a_reader_slower_than_the_log_gets_everything_through_flow_control() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    let mut socket = http2::open(&mut client, "/events").await;
    text(&mut socket).await;
    // A megabyte and a half: many times the stream's window of 64 KiB.
    let kind: Kind = "message".parse().unwrap();
    let data = Data::new(&"x".repeat(30_000)).unwrap();
    for _ in 0..50 {
        stand
            .feed
            .publish(kind.clone(), data.clone())
            .await
            .unwrap();
    }
    for id in 1..=50 {
        let event = text(&mut socket).await;
        assert!(event.contains(&format!(r#""id":"k3f9x2.{id}""#)));
    }
}

#[tokio::test]
async fn a_get_or_a_wrong_cursor_opens_nothing() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    let get = hyper::Request::get("http://127.0.0.1:4103/events");
    let answer = client.send_request(get.body(axum::body::Body::empty()).unwrap());
    let answer = in_time("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.headers().get("upgrade").is_none(), "HTTP/2 has none");
    let future = http2::tunnel(&mut client, "/events?after=k3f9x2.9", &[]).await;
    assert_eq!(future.status(), 400);
    assert_eq!(stand.feed.subscribers(), 0);
}
