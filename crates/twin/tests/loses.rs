//! Each plain server loses what the real one beside it keeps, or says is gone.

use axum::{
    body::{Body, BodyDataStream},
    http::{header, Request},
    response::Response,
    Router,
};
use client::event_stream::{Block, Message, Parser};
use contract::{socket::SUBPROTOCOL, LogPage};
use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use serving::{guard, Allowed, Ending};
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async, tungstenite::client::ClientRequestBuilder, WebSocketStream,
};
use tower::ServiceExt as _;
use twin::{CHANNEL, MOST_TEXTS, WINDOW};
use waiting::Places;

fn router() -> Router {
    twin::router(&Places::unlimited(), &Ending::new())
}

async fn get(router: &Router, path: &str, last_event_id: &str) -> Response {
    let mut request = Request::get(path);
    if !last_event_id.is_empty() {
        request = request.header("last-event-id", last_event_id);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

async fn body(response: Response) -> String {
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

async fn page(router: &Router, path: &str) -> LogPage {
    serde_json::from_str(&body(get(router, path, "").await).await).unwrap()
}

async fn post(router: &Router, path: &str, texts: &[String]) -> u16 {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(serde_json::to_vec(texts).unwrap()));
    let response = router.clone().oneshot(request.unwrap()).await.unwrap();
    response.status().as_u16()
}

async fn serve(router: &Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let guarded = guard(router.clone(), Allowed::default());
    let edge = serving::Config::default();
    tokio::spawn(serving::serve(listener, guarded, edge, Ending::new()));
    server
}

async fn open_socket(server: SocketAddr, path: &str) -> WebSocketStream<TcpStream> {
    let url = format!("ws://{server}{path}");
    let mut handshake = ClientRequestBuilder::new(url.parse().unwrap());
    if path.contains("/real/") {
        handshake = handshake.with_sub_protocol(SUBPROTOCOL);
    }
    let connection = TcpStream::connect(server).await.unwrap();
    client_async(handshake, connection).await.unwrap().0
}

fn numbers(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// A browser's end of a stream of events.
struct Stream {
    body: BodyDataStream,
    parser: Parser,
    blocks: Vec<Block>,
}

impl Stream {
    async fn open(router: &Router, path: &str, last_event_id: &str) -> Self {
        let body = get(router, path, last_event_id).await.into_body();
        Self {
            body: body.into_data_stream(),
            parser: Parser::new(),
            blocks: Vec::new(),
        }
    }

    /// What is there now, without waiting.
    fn due(&mut self) -> Vec<Message> {
        while let Some(Some(Ok(piece))) = self.body.next().now_or_never() {
            self.parser.push(&piece, &mut self.blocks).unwrap();
        }
        let blocks = self.blocks.drain(..);
        let events = blocks.filter_map(|block| match block {
            Block::Event(message) if message.kind != "hello" => Some(message),
            _ => None,
        });
        events.collect()
    }

    /// Whether it breaks off, and stays over.
    async fn is_broken(&mut self) -> bool {
        matches!(self.body.next().await, Some(Err(_)))
            && self.body.next().await.is_none()
    }
}

/// The texts in the events of the real server.
fn texts(events: &[Message]) -> Vec<String> {
    let text = |event: &Message| {
        let event: serde_json::Value = serde_json::from_str(&event.data).unwrap();
        event["data"].as_str().unwrap().to_owned()
    };
    events.iter().map(text).collect()
}

fn data(events: Vec<Message>) -> Vec<String> {
    events.into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn a_cut_breaks_both_streams_and_only_the_one_with_ids_goes_on() {
    let router = router();
    let mut plain = Stream::open(&router, "/sse/a/plain/events", "").await;
    let mut real = Stream::open(&router, "/sse/a/real/events", "").await;
    let mut other = Stream::open(&router, "/sse/b/plain/events", "").await;
    post(&router, "/sse/a/publish", &numbers(1..=1)).await;
    assert_eq!(data(plain.due()), ["1"]);
    let seen = real.due();
    assert_eq!(texts(&seen), ["1"]);

    assert_eq!(post(&router, "/sse/a/cut", &[]).await, 204);
    assert!(plain.is_broken().await && real.is_broken().await);
    post(&router, "/sse/a/publish", &numbers(2..=3)).await;

    let mut plain = Stream::open(&router, "/sse/a/plain/events", "").await;
    let id = &seen[0].last_event_id;
    let mut real = Stream::open(&router, "/sse/a/real/events", id).await;
    post(&router, "/sse/a/publish", &numbers(4..=4)).await;
    assert_eq!(data(plain.due()), ["4"]);
    assert_eq!(texts(&real.due()), ["2", "3", "4"]);
    // What another page has open is not cut.
    assert_eq!(data(other.due()), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn before_the_first_event_only_the_real_stream_has_given_an_id() {
    let router = router();
    let mut plain = Stream::open(&router, "/sse/a/plain/ids", "").await;
    let mut real = Stream::open(&router, "/sse/a/real/events", "").await;
    assert!(plain.due().is_empty() && real.due().is_empty());
    let id = |stream: &Stream| stream.parser.last_event_id().to_owned();
    assert_eq!(id(&plain), "");
    assert_ne!(id(&real), "");

    post(&router, "/sse/a/publish", &numbers(1..=1)).await;
    let mut plain = Stream::open(&router, "/sse/a/plain/ids", &id(&plain)).await;
    let mut real = Stream::open(&router, "/sse/a/real/events", &id(&real)).await;
    post(&router, "/sse/a/publish", &numbers(2..=2)).await;
    let seen = plain.due();
    assert_eq!(texts(&real.due()), ["1", "2"]);
    // From the first id on it loses nothing either.
    let id = &seen[0].last_event_id;
    assert_eq!(data(seen.clone()), ["2"]);
    post(&router, "/sse/a/publish", &numbers(3..=3)).await;
    let mut plain = Stream::open(&router, "/sse/a/plain/ids", id).await;
    assert_eq!(data(plain.due()), ["3"]);
}

#[tokio::test]
async fn a_burst_pushes_the_oldest_out_of_the_channel_and_not_out_of_the_log() {
    let router = router();
    let mut plain = Stream::open(&router, "/sse/a/plain/events", "").await;
    let mut real = Stream::open(&router, "/sse/a/real/events", "").await;
    post(&router, "/sse/a/publish", &numbers(1..=40)).await;
    let kept = numbers(40 - CHANNEL + 1..=40);
    assert_eq!(data(plain.due()), kept);
    assert_eq!(texts(&real.due()), numbers(1..=40));
}

#[tokio::test]
async fn who_falls_out_of_the_window_is_told_so_by_the_real_server_alone() {
    let router = router();
    let mut real = Stream::open(&router, "/sse/a/real/events", "").await;
    assert!(real.due().is_empty());
    let id = real.parser.last_event_id().to_owned();
    post(&router, "/sse/a/publish", &numbers(1..=200)).await;
    let mut plain = Stream::open(&router, "/sse/a/plain/events", "").await;
    let mut real = Stream::open(&router, "/sse/a/real/events", &id).await;
    post(&router, "/sse/a/publish", &numbers(201..=201)).await;
    assert_eq!(data(plain.due()), ["201"]);
    let seen = real.due();
    assert_eq!(seen[0].kind, "gap");
    // The window had moved by one when the stream was opened.
    assert_eq!(texts(&seen[1..]).last().unwrap(), "201");
    assert!(seen.len() > WINDOW, "{}", seen.len());
}

#[tokio::test]
async fn a_line_end_cuts_the_text_that_is_written_by_hand() {
    let router = router();
    let mut plain = Stream::open(&router, "/sse/a/plain/lines", "").await;
    let mut real = Stream::open(&router, "/sse/a/real/events", "").await;
    let text = "price 7\nvolume 70".to_owned();
    post(&router, "/sse/a/publish", std::slice::from_ref(&text)).await;
    assert_eq!(data(plain.due()), ["price 7"]);
    assert_eq!(texts(&real.due()), [text]);
}

#[tokio::test]
async fn what_is_frozen_stays_open_and_nothing_comes() {
    let router = router();
    for path in ["/sse/a/plain/events", "/sse/a/real/events"] {
        let mut frozen = Stream::open(&router, path, "").await;
        frozen.due();
        post(&router, "/sse/a/freeze", &[]).await;
        post(&router, "/sse/a/publish", &numbers(1..=1)).await;
        // Neither an event nor an end, however often it is asked.
        for _ in 0..3 {
            assert!(frozen.body.next().now_or_never().is_none(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_long_poll_without_a_cursor_misses_what_comes_between_two_requests() {
    let router = router();
    let first = page(&router, "/long-polling/a/real/events").await;
    let asked = {
        let router = router.clone();
        let plain =
            async move { get(&router, "/long-polling/a/plain/events", "").await };
        tokio::spawn(async move { body(plain.await).await })
    };
    // Until it is parked.
    tokio::task::yield_now().await;
    post(&router, "/long-polling/a/publish", &numbers(1..=3)).await;
    assert_eq!(asked.await.unwrap(), "1");
    let path = format!("/long-polling/a/real/events?after={}", first.next);
    assert_eq!(page(&router, &path).await.events.len(), 3);
    let next = get(&router, "/long-polling/a/plain/events", "").now_or_never();
    assert!(next.is_none(), "2 and 3 are gone, and it waits");
}

#[tokio::test]
async fn a_cut_breaks_a_parked_request_of_either_server() {
    let router = router();
    let after = page(&router, "/long-polling/a/real/events").await.next;
    let real = format!("/long-polling/a/real/events?after={after}");
    for (path, prefer) in [("/long-polling/a/plain/events", ""), (&real, "wait=20")] {
        let request = Request::get(path)
            .header("prefer", prefer)
            .body(Body::empty());
        let asked = tokio::spawn(router.clone().oneshot(request.unwrap()));
        tokio::task::yield_now().await;
        post(&router, "/long-polling/a/cut", &[]).await;
        let response = asked.await.unwrap().unwrap();
        assert!(response.into_body().collect().await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn polling_for_the_newest_skips_and_a_time_as_a_cursor_doubles() {
    let router = router();
    let first = page(&router, "/polling/a/real/events").await;
    post(&router, "/polling/a/publish", &numbers(1..=3)).await;
    let newest = body(get(&router, "/polling/a/plain/newest", "").await).await;
    assert_eq!(newest, "3");
    let path = format!("/polling/a/real/events?after={}", first.next);
    assert_eq!(page(&router, &path).await.events.len(), 3);

    let since = async |second: i64| -> Vec<(i64, String)> {
        let path = format!("/polling/a/plain/since?second={second}");
        serde_json::from_str(&body(get(&router, &path, "").await).await).unwrap()
    };
    let seen = since(0).await;
    let (newest, _) = seen.last().unwrap();
    let again = since(*newest).await;
    assert!(!again.is_empty(), "at least the newest comes again");
    assert!(since(newest + 1).await.is_empty());
}

#[tokio::test]
async fn a_frozen_socket_is_silent_and_a_cut_one_has_no_close() {
    let router = router();
    let server = serve(&router).await;
    for side in ["plain", "real"] {
        let mut frozen =
            open_socket(server, &format!("/websocket/{side}/{side}/events")).await;
        let mut cut =
            open_socket(server, &format!("/websocket/c{side}/{side}/events")).await;
        if side == "real" {
            for socket in [&mut frozen, &mut cut] {
                let hello = socket.next().await.unwrap().unwrap();
                assert!(hello.to_text().unwrap().contains("hello"));
            }
        }
        post(&router, &format!("/websocket/{side}/freeze"), &[]).await;
        post(&router, "/websocket/a/publish", &numbers(1..=1)).await;
        let event = cut.next().await.unwrap().unwrap();
        assert!(event.to_text().unwrap().contains('1'), "{side}");
        // What the other got has had the same time to come.
        assert!(frozen.next().now_or_never().is_none(), "{side}");
        post(&router, &format!("/websocket/c{side}/cut"), &[]).await;
        let end = cut.next().await;
        assert!(!matches!(end, Some(Ok(_))), "{side}: {end:?}");
    }
}

#[tokio::test]
async fn a_socket_without_a_cursor_misses_what_comes_between_two() {
    let router = router();
    let server = serve(&router).await;
    let open = || open_socket(server, "/websocket/a/plain/events");
    let mut socket = open().await;
    post(&router, "/websocket/a/publish", &numbers(1..=1)).await;
    assert_eq!(
        socket.next().await.unwrap().unwrap().to_text().unwrap(),
        "1"
    );
    post(&router, "/websocket/a/cut", &[]).await;
    assert!(!matches!(socket.next().await, Some(Ok(_))), "it is cut");
    post(&router, "/websocket/a/publish", &numbers(2..=2)).await;
    let mut socket = open().await;
    post(&router, "/websocket/a/publish", &numbers(3..=3)).await;
    assert_eq!(
        socket.next().await.unwrap().unwrap().to_text().unwrap(),
        "3"
    );
}

#[tokio::test]
async fn what_one_request_publishes_is_bounded() {
    let router = router();
    for (texts, status) in [
        (numbers(1..=MOST_TEXTS), 204),
        (numbers(1..=MOST_TEXTS + 1), 400),
        (vec!["x".repeat(twin::LONGEST_TEXT)], 204),
        (vec!["x".repeat(twin::LONGEST_TEXT + 1)], 400),
    ] {
        assert_eq!(post(&router, "/sse/a/publish", &texts).await, status);
    }
}
