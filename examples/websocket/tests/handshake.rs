//! What opens a socket and what does not, byte by byte (RFC 6455 §4.2.1, RFC 8441 §5).

mod support;

use hyper::{ext::Protocol, Method};
use support::{handshake, http2, Stand, Wire, WIDE};
use websocket::Config;

const CONNECTION: &str = "Connection: Upgrade\n";
const UPGRADE: &str = "Upgrade: websocket\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
const OFFER: &str = "Sec-WebSocket-Protocol: waiting.v1";

/// The head of the answer to the handshake in which `right` is replaced by `other`.
async fn answer(stand: &Stand, right: &str, other: &str) -> String {
    let request = handshake("/events");
    assert!(request.contains(right), "{right}");
    let mut wire = Wire::of(stand.dialer.connect(WIDE));
    let request = testbed::wire(&request.replacen(right, other, 1));
    wire.send(request.as_bytes()).await;
    wire.head().await
}

#[tokio::test]
async fn headers_are_lists_of_names_on_any_number_of_lines() {
    let stand = Stand::start(Config::default());
    for (right, other) in [
        // As some proxies send it, GitHub's Codespaces among them.
        (CONNECTION, "Connection: keep-alive\nConnection: Upgrade\n"),
        (CONNECTION, "Connection: keep-alive, Upgrade\n"),
        (CONNECTION, "connection:uPGRADE\n"),
        (CONNECTION, "Connection: ,, upgrade ,\n"),
        (UPGRADE, "Upgrade: h2c, websocket\n"),
        (UPGRADE, "Upgrade: h2c\nUpgrade: WebSocket\n"),
        (OFFER, "Sec-WebSocket-Protocol: chat, waiting.v1"),
        (
            OFFER,
            "Sec-WebSocket-Protocol: chat\nSec-WebSocket-Protocol: waiting.v1",
        ),
    ] {
        let head = answer(&stand, right, other).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{other}: {head}");
        let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert!(head.contains(accept), "{other}: {head}");
        let chosen = "sec-websocket-protocol: waiting.v1\r\n";
        assert!(head.contains(chosen), "{other}: {head}");
    }
}

#[tokio::test]
async fn what_asks_for_no_websocket_is_told_what_to_ask_for() {
    let stand = Stand::start(Config::default());
    for (right, other) in [
        (CONNECTION, ""),
        (CONNECTION, "Connection: not-upgrade\n"),
        (CONNECTION, "Connection: keep-alive\n"),
        (UPGRADE, ""),
        (UPGRADE, "Upgrade: h2c\n"),
        (UPGRADE, "Upgrade: websockets\n"),
        (UPGRADE, "Upgrade: websocket/13\n"),
        (VERSION, "Sec-WebSocket-Version: 8\n"),
        (VERSION, "Sec-WebSocket-Version: 13, 8\n"),
        ("HTTP/1.1", "HTTP/1.0"),
    ] {
        let head = answer(&stand, right, other).await;
        let (line, _) = head.split_once("\r\n").unwrap();
        assert!(line.ends_with(" 426 Upgrade Required"), "{other}: {head}");
        for named in [
            "connection: Upgrade\r\n",
            "upgrade: websocket\r\n",
            "sec-websocket-version: 13\r\n",
        ] {
            assert!(head.contains(named), "{other}: {head}");
        }
    }
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused() {
    let stand = Stand::start(Config::default());
    let twice = KEY.repeat(2);
    for (right, other) in [
        (KEY, ""),
        (KEY, "Sec-WebSocket-Key: foo\n"),
        (KEY, "Sec-WebSocket-Key:\n"),
        (KEY, &twice),
        // 15 bytes, and 17.
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\n"),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\n"),
        (KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\n"),
        (VERSION, ""),
        (VERSION, &VERSION.repeat(2)),
        (OFFER, "Sec-WebSocket-Protocol: waiting.v2"),
        (OFFER, "Sec-WebSocket-Extensions: waiting.v1"),
    ] {
        let head = answer(&stand, right, other).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{other}: {head}");
        assert!(!head.contains("sec-websocket-accept"), "{other}: {head}");
    }
    assert_eq!(stand.feed.subscribers(), 0);
}

#[tokio::test]
async fn over_http2_the_version_and_the_protocol_are_asked_for_as_well() {
    let stand = Stand::start(Config::default());
    let mut client = http2::connect(&stand).await;
    for (method, protocol, versions, status) in [
        (Method::CONNECT, Some("websocket"), &["13"][..], 200),
        (Method::CONNECT, Some("websocket"), &[], 400),
        (Method::CONNECT, Some("websocket"), &["8"], 400),
        (Method::CONNECT, Some("websocket"), &["13", "13"], 400),
        (Method::CONNECT, Some("connect-udp"), &["13"], 400),
        (Method::GET, None, &["13"], 400),
    ] {
        let case = format!("{method} {protocol:?} {versions:?}");
        let mut request = hyper::Request::builder()
            .method(method)
            .uri("http://127.0.0.1:4103/events")
            .header("sec-websocket-protocol", "waiting.v1");
        for version in versions {
            request = request.header("sec-websocket-version", *version);
        }
        if let Some(protocol) = protocol {
            request = request.extension(Protocol::from_static(protocol));
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = testbed::in_time("an answer", client.send_request(request)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status, "{case}");
        assert!(answer.headers().get("upgrade").is_none(), "HTTP/2 has none");
    }
}
