//! What the client of WebSocket makes of what servers and networks do to it.

mod support;

use client::{Client, Error, Pace, Publisher, Update, WebSocketClient};
use contract::{Cursor, Data, IdempotencyKey, Position};
use futures_util::{stream::BoxStream, SinkExt, StreamExt};
use reqwest::Url;
use std::time::Duration;
use support::BRISK;
use testbed::{eventually, in_time, update, Script};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        handshake::{
            derive_accept_key,
            server::{Request, Response},
        },
        protocol::{frame::coding::CloseCode, CloseFrame},
        Message,
    },
    WebSocketStream,
};

const HELLO: &str = r#"{"hello":{"cursor":"k3f9x2.17","every":15000}}"#;
const EVENT: &str = r#"{"event":{"id":"k3f9x2.18","at":"2026-01-01T00:00:00.000Z","kind":"tick","data":1}}"#;

type Updates = BoxStream<'static, Result<Update, Error>>;

/// A server that says what the test says.
struct Peer {
    listener: TcpListener,
    base: Url,
}

/// Its end of one socket.
struct Connection {
    socket: WebSocketStream<TcpStream>,
    /// What the client asked for.
    target: String,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let base = base.parse().unwrap();
        Self { listener, base }
    }

    fn connect(&self, position: Position) -> (Publisher, Updates) {
        let client = WebSocketClient::with_pace(self.base.clone(), BRISK);
        let (publisher, updates) = client.connect(position);
        (publisher, updates.boxed())
    }

    /// The next socket that the client opens, with `hello` said.
    async fn accept(&self) -> Connection {
        let (socket, _) = in_time("a connection", self.listener.accept())
            .await
            .unwrap();
        let mut target = String::new();
        // The size of tungstenite's own type.
        #[allow(clippy::result_large_err)]
        let choose = |request: &Request, mut response: Response| {
            target = request.uri().to_string();
            let offered = request.headers().get("sec-websocket-protocol").cloned();
            assert_eq!(offered.as_ref().unwrap(), "waiting.v1");
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", offered.unwrap());
            Ok(response)
        };
        let socket = in_time("a handshake", accept_hdr_async(socket, choose)).await;
        let socket = socket.unwrap();
        let mut connection = Connection { socket, target };
        connection.say(HELLO).await;
        connection
    }
}

impl Connection {
    async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    async fn close(&mut self, code: u16) {
        let code = CloseCode::from(code);
        let reason = "".into();
        self.send(Message::Close(Some(CloseFrame { code, reason })))
            .await;
    }

    async fn next(&mut self) -> Message {
        let next = in_time("a message", self.socket.next()).await;
        next.expect("not the end").expect("no error")
    }

    /// The code of the close that comes next.
    async fn closed(&mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("no close: {other:?}"),
        }
    }

    /// The next publish: its `ref`, and its data.
    async fn published(&mut self) -> (String, String) {
        let message = self.next().await;
        let message: serde_json::Value =
            serde_json::from_str(message.to_text().unwrap()).unwrap();
        let publish = &message["publish"];
        assert_eq!(publish["kind"], "message");
        let reference = publish["ref"].as_str().unwrap().to_owned();
        (reference, publish["data"].to_string())
    }

    async fn ack(&mut self, reference: &str, id: u64) {
        let ack = format!(r#"{{"ack":{{"ref":"{reference}","id":"k3f9x2.{id}"}}}}"#);
        self.say(&ack).await;
    }
}

/// Polls a stream to its end, as its user does.
fn poll(mut updates: Updates) -> JoinHandle<()> {
    tokio::spawn(async move { while updates.next().await.is_some() {} })
}

fn publish(
    publisher: &Publisher,
    key: Option<&str>,
    data: &str,
) -> JoinHandle<Result<Cursor, Error>> {
    let publisher = publisher.clone();
    let key: Option<IdempotencyKey> = key.map(|key| key.parse().unwrap());
    let (kind, data) = ("message".parse().unwrap(), Data::from_json(data).unwrap());
    tokio::spawn(async move { publisher.publish(key.as_ref(), kind, data).await })
}

async fn answer(publish: JoinHandle<Result<Cursor, Error>>) -> Result<Cursor, Error> {
    in_time("an answer", publish).await.unwrap()
}

fn cursor(id: u64) -> Cursor {
    format!("k3f9x2.{id}").parse().unwrap()
}

async fn opened(updates: &mut Updates) {
    let update = update(updates).await;
    assert!(matches!(update, Update::Opened(at) if at == cursor(17)));
}

async fn reconnecting(updates: &mut Updates) -> Duration {
    match update(updates).await {
        Update::Reconnecting(wait) => wait,
        other => panic!("{other:?}"),
    }
}

/// The error with which a subscription ends.
async fn error(updates: &mut Updates) -> Error {
    let error = in_time("an error", updates.next()).await.unwrap();
    assert!(updates.next().await.is_none(), "nothing follows an error");
    error.unwrap_err()
}

const PROBLEM: &str = "Content-Type: application/problem+json\r\n";

fn is_protocol(error: &Error) -> bool {
    matches!(error, Error::Protocol(_))
}

#[tokio::test]
async fn a_ping_is_answered_while_nothing_else_happens() {
    let peer = Peer::start().await;
    let polling = poll(peer.connect(Position::Latest).1);
    let mut connection = peer.accept().await;
    connection.send(Message::Ping("there?".into())).await;
    assert_eq!(connection.next().await, Message::Pong("there?".into()));
    polling.abort();
}

#[tokio::test]
async fn silence_is_the_end_of_a_connection_whatever_is_sent_meanwhile() {
    let peer = Peer::start().await;
    let (publisher, mut updates) = peer.connect(Position::Earliest);
    let connects = tokio::spawn(async move {
        opened(&mut updates).await;
        updates
    });
    let mut connection = peer.accept().await;
    assert_eq!(connection.target, "/events?after=earliest");
    let mut updates = in_time("it opens", connects).await.unwrap();
    let busy = tokio::spawn(async move {
        connection.say(r#"{"heartbeat":{"every":50}}"#).await;
        // Each is written at once, and nothing is heard: what goes out is no sign of
        // life of the other side.
        let mut publishes = Vec::new();
        loop {
            publishes.push(publish(&publisher, None, "1"));
            connection.published().await;
        }
    });
    assert!(matches!(update(&mut updates).await, Update::Heartbeat));
    reconnecting(&mut updates).await;
    busy.abort();
    let again = tokio::spawn(async move { updates.next().await });
    assert_eq!(peer.accept().await.target, "/events?after=k3f9x2.17");
    again.abort();
}

#[tokio::test]
async fn a_refused_handshake_says_why_however_its_body_comes() {
    let problem = r#"{"type":"tag:waiting.example,2026:future-cursor","title":"Ahead","status":400}"#;
    let (first, rest) = problem.split_at(20);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunks = [first, rest, ""].map(chunk).concat();
    let head = "HTTP/1.1 400 Bad Request\r\n";
    for answer in [
        format!("{head}{PROBLEM}Transfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!(
            "{head}{PROBLEM}Content-Length: {}\r\n\r\n{problem}",
            problem.len()
        ),
    ] {
        let script = Script::of([answer]).await;
        let mut updates = WebSocketClient::new(script.base)
            .subscribe(Position::Latest)
            .boxed();
        assert_eq!(error(&mut updates).await.problem(), Some("future-cursor"));
    }
}

#[tokio::test]
async fn an_answer_that_only_looks_like_a_handshake_is_none() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: waiting.v1\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        let mut script = Script::of([answer]).await;
        let client = WebSocketClient::with_pace(script.base.clone(), BRISK);
        let mut updates = client.subscribe(Position::Latest).boxed();
        reconnecting(&mut updates).await;
        script.head().await;
        let polling = poll(updates);
        // Whatever answered so may be gone by now.
        script.head().await;
        polling.abort();
    }
}

#[tokio::test]
async fn the_handshake_is_that_of_rfc_6455() {
    let mut script = Script::of(["HTTP/1.1 101 Switching Protocols\r\n\r\n"]).await;
    let mut base = script.base.clone();
    base.set_scheme("ws").unwrap();
    base.set_query(Some("room=a"));
    let mut updates = WebSocketClient::new(base)
        .subscribe(Position::Latest)
        .boxed();
    reconnecting(&mut updates).await;
    let head = script.head().await.to_lowercase();
    assert!(head.starts_with("get /events?room=a&after=latest http/1.1\r\n"));
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: waiting.v1",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let script = Script::of([busy]).await;
    let client = WebSocketClient::with_pace(script.base, BRISK);
    let mut updates = client.subscribe(Position::Latest).boxed();
    let wait = reconnecting(&mut updates).await;
    assert!(wait >= Duration::from_secs(7), "{wait:?}");
}

#[tokio::test]
async fn a_message_of_an_unknown_name_is_left_out_and_a_wrong_one_is_not() {
    let peer = Peer::start().await;
    let (_, mut updates) = peer.connect(Position::Latest);
    let said = tokio::spawn(async move {
        let mut connection = peer.accept().await;
        connection.say(r#"{"presence":{"here":3}}"#).await;
        connection.say(EVENT).await;
        connection.say(r#"{"event":{"id":"k3f9x2.19"}}"#).await;
    });
    opened(&mut updates).await;
    let Update::Events(events) = update(&mut updates).await else {
        panic!("no events");
    };
    assert_eq!(events[0].id, cursor(18));
    reconnecting(&mut updates).await;
    said.await.unwrap();
}

#[tokio::test]
async fn a_binary_message_is_none_of_this_protocol() {
    let peer = Peer::start().await;
    let (_, mut updates) = peer.connect(Position::Latest);
    let said = tokio::spawn(async move {
        let mut connection = peer.accept().await;
        connection.send(Message::binary(EVENT)).await;
    });
    opened(&mut updates).await;
    reconnecting(&mut updates).await;
    said.await.unwrap();
}

#[tokio::test]
async fn events_that_come_together_are_told_together_and_in_bounds() {
    let peer = Peer::start().await;
    let (_, mut updates) = peer.connect(Position::Latest);
    let said = tokio::spawn(async move {
        let mut connection = peer.accept().await;
        for id in 18..1018 {
            let event = EVENT.replace("k3f9x2.18", &format!("k3f9x2.{id}"));
            connection.socket.feed(Message::text(event)).await.unwrap();
        }
        connection.socket.flush().await.unwrap();
        connection
    });
    // All of it is there before the client looks.
    opened(&mut updates).await;
    let mut connection = in_time("the events", said).await.unwrap();
    let mut sizes = Vec::new();
    let mut next = 18;
    while next < 1018 {
        let Update::Events(events) = update(&mut updates).await else {
            panic!("no events");
        };
        for event in &events {
            assert_eq!(event.id, cursor(next));
            next += 1;
        }
        sizes.push(events.len());
    }
    assert!(sizes.len() < 100, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 256), "{sizes:?}");
    connection.close(1000).await;
    assert!(matches!(update(&mut updates).await, Update::Finished));
}

/// The vectors that the JavaScript client is tested with as well.
fn close_codes() -> Vec<(u16, String)> {
    let vectors = include_str!("policy.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let codes = vectors["close_codes"].as_array().unwrap().iter();
    let code =
        |it: &serde_json::Value| it["code"].as_u64().unwrap().try_into().unwrap();
    let then = |it: &serde_json::Value| it["then"].as_str().unwrap().to_owned();
    codes.map(|it| (code(it), then(it))).collect()
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_the_connection_so_that_no_event_is_skipped()
{
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("policy.json")).unwrap();
    for it in vectors["messages"].as_array().unwrap() {
        let message = it["message"].to_string();
        let peer = Peer::start().await;
        let (_, mut updates) = peer.connect(Position::Latest);
        let said = tokio::spawn({
            let message = message.clone();
            async move {
                let mut connection = peer.accept().await;
                connection.say(&message).await;
                connection.say(r#"{"heartbeat":{"every":15000}}"#).await;
                connection
            }
        });
        opened(&mut updates).await;
        let then = match update(&mut updates).await {
            Update::Reconnecting(_) => "again",
            _ => "taken",
        };
        assert_eq!(it["then"], then, "{message}");
        said.await.unwrap();
    }
}

#[tokio::test]
async fn a_close_is_answered_and_heeded() {
    // Three of these are never sent: they stand for a close without a code, for none,
    // and for TLS that failed (§7.4.1). tungstenite does not know 1014 and answers it
    // with 1002.
    let is_sent = |code: &u16| ![1005, 1006, 1014, 1015].contains(code);
    for (code, then) in close_codes().into_iter().filter(|(code, _)| is_sent(code)) {
        let peer = Peer::start().await;
        let (_, mut updates) = peer.connect(Position::Latest);
        let comes_back = matches!(&*then, "again" | "renew" | "drop-largest");
        let closed = tokio::spawn(async move {
            let mut connection = peer.accept().await;
            connection.close(code).await;
            assert_eq!(connection.closed().await, code);
            drop(connection);
            if comes_back {
                // Whoever asked `latest` and was told where that is asks for what
                // follows from there.
                assert_eq!(peer.accept().await.target, "/events?after=k3f9x2.17");
            }
        });
        opened(&mut updates).await;
        match &*then {
            "stop" => assert!(matches!(update(&mut updates).await, Update::Finished)),
            "give-up" => assert!(is_protocol(&error(&mut updates).await), "{code}"),
            "denied" => {
                let denied = error(&mut updates).await;
                assert_eq!(denied.problem(), Some("forbidden"), "{code}");
            }
            _ => {
                reconnecting(&mut updates).await;
                opened(&mut updates).await;
            }
        }
        closed.await.unwrap();
    }
}

#[tokio::test]
async fn what_has_no_answer_is_refused_where_the_client_gives_up() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let mut connection = peer.accept().await;
    let published = publish(&publisher, None, "1");
    connection.published().await;
    connection.close(1003).await;
    let refused = answer(published).await.unwrap_err();
    assert!(is_protocol(&refused), "{refused}");
    polling.abort();
}

#[tokio::test]
async fn what_has_no_answer_when_the_log_is_finished_is_asked_for_by_its_key() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let mut connection = peer.accept().await;
    let taken = publish(&publisher, Some("taken"), "1");
    connection.published().await;
    let late = publish(&publisher, Some("late"), "2");
    connection.published().await;
    connection.close(1000).await;
    connection.closed().await;
    drop(connection);
    // The log has the first from an earlier connection, and never got the second.
    let accepted = r#"{"id":"k3f9x2.18"}"#;
    let finished = r#"{"type":"tag:waiting.example,2026:finished","status":409}"#;
    let json = "Content-Type: application/json\r\n";
    for (status, head, body) in [
        ("200 OK", json, accepted),
        ("409 Conflict", PROBLEM, finished),
    ] {
        let (mut socket, _) =
            in_time("a request", peer.listener.accept()).await.unwrap();
        let mut asked = vec![0; 4096];
        let length = socket.read(&mut asked).await.unwrap();
        let asked = String::from_utf8_lossy(&asked[..length]).to_lowercase();
        assert!(asked.starts_with("post /events "), "{asked}");
        let key = if status == "200 OK" { "taken" } else { "late" };
        assert!(
            asked.contains(&format!("idempotency-key: {key}\r\n")),
            "{asked}"
        );
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
    }
    assert_eq!(answer(taken).await.unwrap(), cursor(18));
    assert_eq!(answer(late).await.unwrap_err().problem(), Some("finished"));
    polling.await.unwrap();
}

#[tokio::test]
async fn sockets_that_greet_and_die_at_once_are_asked_for_less_and_less_often() {
    let peer = Peer::start().await;
    let pace = Pace {
        first: Duration::from_millis(1),
        cap: Duration::from_secs(3600),
    };
    let client = WebSocketClient::with_pace(peer.base.clone(), pace);
    let mut updates = client.subscribe(Position::Latest).boxed();
    let dies = tokio::spawn(async move {
        loop {
            peer.accept().await.close(1011).await;
        }
    });
    let mut longest = Duration::ZERO;
    // The bound after ten failures is a second. Were each a first one, no wait would be
    // longer than a millisecond.
    while longest < Duration::from_millis(20) {
        opened(&mut updates).await;
        longest = longest.max(reconnecting(&mut updates).await);
    }
    dies.abort();
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again_after_the_last_event() {
    let peer = Peer::start().await;
    let (_, mut updates) = peer.connect(Position::Latest);
    let broken = tokio::spawn(async move {
        let mut connection = peer.accept().await;
        connection.say(EVENT).await;
        drop(connection);
        assert_eq!(peer.accept().await.target, "/events?after=k3f9x2.18");
    });
    opened(&mut updates).await;
    assert!(matches!(update(&mut updates).await, Update::Events(_)));
    reconnecting(&mut updates).await;
    opened(&mut updates).await;
    broken.await.unwrap();
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    const TOO_LONG: &[u8] = &[0x81, 127, 0, 0, 0, 0, 0, 0x20, 0, 0];
    for (bytes, code) in [
        // A reserved bit, a byte that is never in UTF-8, a frame of 2 MiB.
        (&[0xc1, 0][..], 1002),
        (&[0x81, 1, 0xff], 1007),
        (TOO_LONG, 1009),
    ] {
        let peer = Peer::start().await;
        let (_, mut updates) = peer.connect(Position::Latest);
        let told = tokio::spawn(async move {
            let mut connection = peer.accept().await;
            let raw = connection.socket.get_mut();
            raw.write_all(bytes).await.unwrap();
            connection.closed().await
        });
        opened(&mut updates).await;
        reconnecting(&mut updates).await;
        assert_eq!(told.await.unwrap(), code);
    }
}

#[tokio::test]
async fn answers_find_their_publishes_in_any_order() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let mut connection = peer.accept().await;
    let mut publishes = Vec::new();
    for data in ["1", "2", "3"] {
        let answer = publish(&publisher, None, data);
        let (reference, sent) = connection.published().await;
        assert_eq!(sent, data);
        publishes.push((reference, answer));
    }
    let [(a, first), (b, second), (c, third)] = publishes.try_into().unwrap();
    assert!(a != b && b != c && a != c, "each drew its own");
    // What nobody asked, and what names nothing, changes nothing.
    connection.ack("of-another", 1).await;
    connection.say(r#"{"error":{"problem":{}}}"#).await;
    let problem = r#"{"type":"tag:waiting.example,2026:key-reused"}"#;
    let refusal = format!(r#"{{"error":{{"ref":"{c}","problem":{problem}}}}}"#);
    connection.say(&refusal).await;
    connection.ack(&b, 19).await;
    connection.ack(&a, 18).await;
    assert_eq!(answer(first).await.unwrap(), cursor(18));
    assert_eq!(answer(second).await.unwrap(), cursor(19));
    let refused = answer(third).await.unwrap_err();
    assert_eq!(refused.problem(), Some("key-reused"));
    polling.abort();
}

#[tokio::test]
async fn what_has_no_answer_is_sent_again_on_the_next_connection_in_order() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let mut connection = peer.accept().await;
    let first = publish(&publisher, Some("a"), "1");
    connection.published().await;
    let second = publish(&publisher, None, "2");
    let (drawn, _) = connection.published().await;
    let given_up = publish(&publisher, Some("c"), "3");
    connection.published().await;
    given_up.abort();
    eventually("it has given up", || given_up.is_finished()).await;
    drop(connection);
    let mut connection = peer.accept().await;
    assert_eq!(connection.published().await, ("a".into(), "1".into()));
    assert_eq!(connection.published().await, (drawn.clone(), "2".into()));
    connection.ack("a", 18).await;
    connection.ack(&drawn, 19).await;
    assert_eq!(answer(first).await.unwrap(), cursor(18));
    assert_eq!(answer(second).await.unwrap(), cursor(19));
    let fourth = publish(&publisher, Some("d"), "4");
    assert_eq!(connection.published().await.0, "d", "nothing in between");
    // The subscription is over, and nobody will answer.
    polling.abort();
    assert!(matches!(answer(fourth).await, Err(Error::NoAnswer)));
}

#[tokio::test]
async fn what_a_broken_connection_has_not_sent_again_is_sent_on_the_next() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let keys: Vec<_> = (0..20).map(|number| format!("key-{number}")).collect();
    let mut connection = peer.accept().await;
    let mut answers = Vec::new();
    for key in &keys {
        answers.push(publish(&publisher, Some(key), "1"));
        assert_eq!(connection.published().await.0, *key);
    }
    drop(connection);
    // Opened and closed in one piece, so that the client finds the close before it has
    // sent all of them again.
    let accepted = in_time("a connection", peer.listener.accept()).await;
    let (mut socket, _) = accepted.unwrap();
    let mut request = vec![0; 4096];
    let length = socket.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..length]);
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let accept = derive_accept_key(key.unwrap().as_bytes());
    let opening = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: waiting.v1\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    // 1011: the server has failed.
    const CLOSE: &[u8] = &[0x88, 2, 0x03, 0xf3];
    let piece = [opening.as_bytes(), CLOSE].concat();
    socket.write_all(&piece).await.unwrap();
    drop(socket);
    let mut connection = peer.accept().await;
    for (key, id) in keys.iter().zip(18..) {
        assert_eq!(connection.published().await.0, *key);
        connection.ack(key, id).await;
    }
    for answer in answers {
        in_time("an answer", answer).await.unwrap().unwrap();
    }
    polling.abort();
}

#[tokio::test]
async fn a_publish_that_is_too_large_is_refused_and_the_others_are_not() {
    let peer = Peer::start().await;
    let (publisher, updates) = peer.connect(Position::Latest);
    let polling = poll(updates);
    let mut connection = peer.accept().await;
    let small = publish(&publisher, Some("small"), "1");
    connection.published().await;
    let large = format!("\"{}\"", "x".repeat(1000));
    let large = publish(&publisher, Some("large"), &large);
    connection.published().await;
    connection.close(1009).await;
    assert_eq!(
        answer(large).await.unwrap_err().problem(),
        Some("too-large")
    );
    connection.closed().await;
    drop(connection);
    let mut connection = peer.accept().await;
    assert_eq!(connection.published().await.0, "small");
    connection.ack("small", 18).await;
    assert_eq!(answer(small).await.unwrap(), cursor(18));
    // More than its own buffer holds is not even sent.
    let huge = format!("\"{}\"", "x".repeat(200_000));
    let huge = publish(&publisher, None, &huge);
    let huge = answer(huge).await;
    assert_eq!(
        huge.as_ref().unwrap_err().problem(),
        Some("too-large"),
        "{huge:?}"
    );
    polling.abort();
}

#[tokio::test]
async fn the_pace_is_the_given_one() {
    let script =
        Script::of(["HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"])
            .await;
    let slow = Pace {
        first: Duration::from_secs(3600),
        cap: Duration::from_secs(3600),
    };
    let mut updates = WebSocketClient::with_pace(script.base, slow)
        .subscribe(Position::Latest)
        .boxed();
    assert!(reconnecting(&mut updates).await > Duration::from_millis(50));
}
