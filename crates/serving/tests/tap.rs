//! What is kept of watched connections, as a client finds it.

mod common;

use axum::{
    extract::Request,
    http::{header, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    Router,
};
use base64::{engine::general_purpose::STANDARD, Engine as _};
use common::{in_time, read_until, rest, send, Server};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serving::{serve, Config, Ending, Guarded, Tap};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    time::sleep,
};

const KEY: &str = "0123456789abcdefXYZ";
const OTHER: &str = "another0another0another0";

fn start() -> Server {
    start_with(Config::default())
}

fn start_with(config: Config) -> Server {
    let tap = Tap::new();
    let router = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async { body }))
        .route("/late", get(late))
        .route("/upgrade", get(upgrade))
        .route("/live/wire", tap.route());
    let tap = Some(tap);
    Server::start(router, Config { tap, ..config })
}

async fn late() -> &'static str {
    sleep(Duration::from_millis(250)).await;
    "late"
}

/// Answers `pong` to each `ping`, and ends after `quit`.
async fn upgrade(request: Request) -> Response {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let mut io = TokioIo::new(upgraded);
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = io.read(&mut bytes).await {
            if &bytes[..count] == b"quit" {
                return;
            }
            io.write_all(b"pong").await.unwrap();
        }
    });
    let names = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "pings")];
    (StatusCode::SWITCHING_PROTOCOLS, names).into_response()
}

fn request(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn watched(path: &str, key: &str) -> String {
    request(&format!("{path}?tap={key}"))
}

/// Sends a request, and reads its answer, which ends with `last`.
async fn exchange(peer: &mut DuplexStream, request: &str, last: &str) -> String {
    send(peer, request).await;
    read_until(peer, last).await
}

/// What is kept under a key, of the pieces those from `after` on.
async fn kept_after(server: &Server, key: &str, after: u64) -> Value {
    let target = format!("/live/wire?tap={key}&after={after}");
    let mut peer = server.connect();
    let asked = request(&target).replace("Host", "Connection: close\r\nHost");
    send(&mut peer, &asked).await;
    let answer = rest(&mut peer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

async fn kept(server: &Server, key: &str) -> Value {
    kept_after(server, key, 0).await
}

/// All bytes that went one way.
fn bytes(kept: &Value, way: &str) -> String {
    let pieces = kept["pieces"].as_array().unwrap();
    let of_way = pieces.iter().filter(|piece| piece["way"] == way);
    let bytes = of_way.flat_map(|piece| {
        let data = STANDARD.decode(piece["data"].as_str().unwrap()).unwrap();
        assert_eq!(piece["size"], data.len());
        data
    });
    String::from_utf8(bytes.collect()).unwrap()
}

/// The closes of its connections.
fn closes(kept: &Value) -> Vec<(Option<f64>, Option<&str>)> {
    let connections = kept["connections"].as_array().unwrap().iter();
    connections
        .map(|it| (it["closed"].as_f64(), it["by"].as_str()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_bytes_are_those_that_were_sent_and_received() {
    let server = start();
    let mut peer = server.connect();
    let body = "x".repeat(3000);
    let posted = format!(
        "POST /echo?a=b&tap={KEY} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n{body}"
    );
    let (mut up, mut down) = (String::new(), String::new());
    for (request, last) in [
        (watched("/hello", KEY), "hello"),
        (posted, &*body),
        (watched("/nowhere", KEY), "\r\n\r\n"),
    ] {
        down += &exchange(&mut peer, &request, last).await;
        up += &request;
    }
    let kept = kept(&server, KEY).await;
    assert_eq!(bytes(&kept, "up"), up);
    assert_eq!(bytes(&kept, "down"), down);
    assert_eq!(
        (&kept["version"], &kept["source"]),
        (&1.into(), &"tap".into())
    );
    let pieces = kept["pieces"].as_array().unwrap();
    assert_eq!(kept["next"], pieces.len());
    assert_eq!(kept["dropped"], 0);
    assert!(pieces.iter().all(|piece| piece["c"] == 1), "{pieces:?}");
    assert_eq!(closes(&kept), [(None, None)]);
    let started = kept["started"].as_str().unwrap();
    started.parse::<jiff::Timestamp>().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_has_some_pieces_asks_for_those_after_them() {
    let server = start();
    let mut peer = server.connect();
    exchange(&mut peer, &watched("/hello", KEY), "hello").await;
    let first = kept(&server, KEY).await["next"].as_u64().unwrap();
    assert!(first >= 2, "{first}");
    exchange(&mut peer, &watched("/late", KEY), "late").await;
    let later = kept_after(&server, KEY, first).await;
    assert_eq!(bytes(&later, "up"), watched("/late", KEY));
    assert!(later["next"].as_u64() > Some(first));
    // The connections come each time.
    assert_eq!(later["connections"].as_array().unwrap().len(), 1);
    let nothing = kept_after(&server, KEY, later["next"].as_u64().unwrap()).await;
    assert_eq!(nothing["pieces"], Value::Array(Vec::new()));
    for wrong in ["x", "-1", ""] {
        let asked = request(&format!("/live/wire?tap={KEY}&after={wrong}"));
        let answer = exchange(&mut peer, &asked, "}").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_who_does_not_ask_and_nothing_by_default() {
    assert!(Config::default().tap.is_none());
    let server = start();
    let mut peer = server.connect();
    let short = "0123456789abcde";
    let long = "0".repeat(65);
    let marked = "0123456789abcdef-";
    for target in [
        "/hello".to_owned(),
        format!("/hello?tap={short}"),
        format!("/hello?tap={long}"),
        format!("/hello?tap={marked}"),
        format!("/hello?tapped={KEY}"),
        format!("/hello?after=tap&x=tap={KEY}"),
    ] {
        exchange(&mut peer, &request(&target), "hello").await;
    }
    for key in [KEY, short, &long, marked, "", "*"] {
        let kept = kept(&server, key).await;
        assert_eq!(kept["next"], 0, "{key}");
        assert_eq!(kept["pieces"], Value::Array(Vec::new()), "{key}");
        assert_eq!(kept["connections"], Value::Array(Vec::new()), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_and_no_list_names_them() {
    let server = start();
    let (mut one, mut other) = (server.connect(), server.connect());
    exchange(&mut one, &watched("/hello", KEY), "hello").await;
    exchange(&mut other, &watched("/late", OTHER), "late").await;
    let of_one = kept(&server, KEY).await;
    assert_eq!(bytes(&of_one, "up"), watched("/hello", KEY));
    let of_other = kept(&server, OTHER).await;
    assert_eq!(bytes(&of_other, "up"), watched("/late", OTHER));
    assert!(!of_one.to_string().contains(OTHER), "{of_one}");
    for target in ["/live/wire", "/live/wire?after=0", "/live/wire?tap"] {
        let answer = exchange(&mut one, &request(target), "]}").await;
        assert!(answer.contains(r#""pieces":[]"#), "{answer}");
        assert!(!answer.contains(KEY), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_watched_from_request_to_request() {
    let server = start();
    let mut peer = server.connect();
    let mut up = String::new();
    for (request, is_kept) in [
        (watched("/hello", KEY), true),
        (request("/hello"), false),
        (watched("/hello", KEY), true),
        // Who reads the record is no part of it.
        (watched("/live/wire", KEY), false),
        (watched("/hello", KEY), true),
        (watched("/hello", OTHER), false),
    ] {
        let last = if request.contains("wire") {
            "]}"
        } else {
            "hello"
        };
        exchange(&mut peer, &request, last).await;
        if is_kept {
            up += &request;
        }
    }
    let first = kept(&server, KEY).await;
    assert_eq!(bytes(&first, "up"), up);
    assert_eq!(bytes(&first, "down").matches("hello").count(), 3);
    // One connection, of which nothing more is kept now, and which neither side closed.
    let [(Some(_), None)] = closes(&first)[..] else {
        panic!("{first}");
    };
    let second = kept(&server, OTHER).await;
    assert_eq!(bytes(&second, "up"), watched("/hello", OTHER));
    assert_eq!(closes(&second), [(None, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_line_that_comes_in_parts_is_one() {
    let server = start();
    let mut peer = server.connect();
    let whole = watched("/hello", KEY);
    let mut sent = String::new();
    for (request, is_kept) in [
        (whole.clone(), true),
        (request("/hello"), false),
        (whole.clone(), true),
        (format!("\r\n{whole}"), true),
        (watched("/hello", OTHER), false),
    ] {
        for part in request.as_bytes() {
            peer.write_all(&[*part]).await.unwrap();
            // Until the server has read it.
            sleep(Duration::from_millis(1)).await;
        }
        in_time(read_until(&mut peer, "hello")).await;
        if is_kept {
            sent += &request;
        }
    }
    assert_eq!(bytes(&kept(&server, KEY).await, "up"), sent);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_stays_watched() {
    let server = start();
    let mut peer = server.connect();
    let asked = watched("/upgrade", KEY)
        .replace("Host", "Connection: upgrade\r\nUpgrade: pings\r\nHost");
    let answer = exchange(&mut peer, &asked, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    // Here it is no request.
    let like_a_request = request("/hello");
    assert_eq!(exchange(&mut peer, &like_a_request, "pong").await, "pong");
    assert_eq!(exchange(&mut peer, "GET", "pong").await, "pong");
    send(&mut peer, "quit").await;
    assert_eq!(rest(&mut peer).await, "");
    let kept = kept(&server, KEY).await;
    assert_eq!(bytes(&kept, "up"), asked + &like_a_request + "GETquit");
    assert_eq!(bytes(&kept, "down"), answer + "pongpong");
    let [(Some(_), Some("server"))] = closes(&kept)[..] else {
        panic!("{kept}");
    };
}

#[tokio::test(start_paused = true)]
async fn times_count_from_the_first_request_with_the_key() {
    let server = start();
    let mut peer = server.connect();
    exchange(&mut peer, &request("/late"), "late").await;
    exchange(&mut peer, &watched("/late", KEY), "late").await;
    sleep(Duration::from_secs(2)).await;
    exchange(&mut peer, &watched("/hello", KEY), "hello").await;
    let kept = kept(&server, KEY).await;
    let pieces = kept["pieces"].as_array().unwrap();
    let time = |piece: &Value| piece["t"].as_f64().unwrap();
    let near = |time: f64, expected: f64| (0.0..5.0).contains(&(time - expected));
    assert_eq!(kept["connections"][0]["opened"], 0.0);
    let (first, last) = (time(&pieces[0]), time(&pieces[pieces.len() - 1]));
    assert!(near(first, 0.0), "{pieces:?}");
    assert!(near(time(&pieces[1]), 250.0), "{pieces:?}");
    assert!(near(last, 2250.0), "{pieces:?}");
    assert!(kept["now"].as_f64().unwrap() >= last, "{kept}");
}

#[tokio::test(start_paused = true)]
async fn who_closed_first_is_kept_and_when() {
    let config = Config {
        headers: Duration::from_secs(10),
        drain: Duration::from_secs(1),
        ..Config::default()
    };
    let server = start_with(config);
    // A client that goes; one that is idle for too long; one that goes while it waits.
    let mut goes = server.connect();
    exchange(&mut goes, &watched("/hello", KEY), "hello").await;
    drop(goes);
    let mut idle = server.connect();
    exchange(&mut idle, &watched("/hello", KEY), "hello").await;
    assert_eq!(rest(&mut idle).await, "");
    let mut waits = server.connect();
    send(&mut waits, &watched("/late", KEY)).await;
    sleep(Duration::from_millis(50)).await;
    drop(waits);
    sleep(Duration::from_secs(1)).await;
    let kept = kept(&server, KEY).await;
    let closes = closes(&kept);
    let by: Vec<_> = closes.iter().map(|(_, by)| by.unwrap()).collect();
    assert_eq!(by, ["client", "server", "client"], "{kept}");
    let [first, second, third] = [0, 1, 2].map(|at: usize| closes[at].0.unwrap());
    assert!(first < 100.0, "{kept}");
    assert!((10_000.0..10_100.0).contains(&second), "{kept}");
    assert!((10_050.0..10_200.0).contains(&third), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_for_a_minute_is_gone() {
    let server = start();
    let mut peer = server.connect();
    exchange(&mut peer, &watched("/hello", KEY), "hello").await;
    for _ in 0..3 {
        sleep(Duration::from_secs(59)).await;
        assert_eq!(kept(&server, KEY).await["connections"][0]["id"], 1);
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(kept(&server, KEY).await["next"], 0);
    // A request with the key begins it anew.
    let mut peer = server.connect();
    exchange(&mut peer, &watched("/hello", KEY), "hello").await;
    assert_eq!(
        bytes(&kept(&server, KEY).await, "up"),
        watched("/hello", KEY)
    );
}

/// Over real sockets: there a client is seen to go while nobody reads from it.
#[tokio::test]
async fn a_client_that_goes_while_it_waits_has_closed_first() {
    let tap = Tap::new();
    let router = Router::new()
        .route("/parked", get(std::future::pending::<()>))
        .route("/wire", tap.route());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config {
        tap: Some(tap),
        ..Config::default()
    };
    let router = Guarded::unchecked(router);
    tokio::spawn(serve(listener, router, config, Ending::new()));
    let mut peer = TcpStream::connect(address).await.unwrap();
    // More than hyper reads while it answers.
    let sent = watched("/parked", KEY) + &"x".repeat(20_000);
    peer.write_all(sent.as_bytes()).await.unwrap();
    drop(peer);
    let closed = async {
        loop {
            let mut peer = TcpStream::connect(address).await.unwrap();
            let asked =
                watched("/wire", KEY).replace("Host", "Connection: close\r\nHost");
            peer.write_all(asked.as_bytes()).await.unwrap();
            let mut answer = String::new();
            peer.read_to_string(&mut answer).await.unwrap();
            if answer.contains(r#""by":""#) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = testbed::in_time("the close", closed).await;
    assert!(answer.contains(r#""by":"client""#), "{answer}");
}

#[test]
fn what_is_logged_of_a_server_names_no_key() {
    let config = Config {
        tap: Some(Tap::new()),
        ..Config::default()
    };
    assert!(format!("{config:?}").contains("tap: Some(Tap)"));
}
