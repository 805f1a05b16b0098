//! The bytes on the wire, read by hand and kept in `golden/`, where the book takes them
//! from.
//!
//! After a change on purpose, `UPDATE_GOLDEN=1 cargo test -p websocket --test golden`
//! writes them anew, and the difference is reviewed. What `POST events` and `status`
//! answer is the same for all methods and stands with SSE.

mod support;

use contract::socket::SUBPROTOCOL;
use harness::{say, still_feed};
use std::{fmt::Write, time::Duration};
use support::{
    guarded, handshake, masked, Frame, Stand, Wire, CLOSE, FOR_EVER, PONG, TEXT, WIDE,
};
use testbed::{golden, transcript, wire};
use websocket::Config;

/// A heartbeat of the usual length, on a clock that stands still unless a test waits.
fn stand() -> Stand {
    Stand::of(still_feed(2), Config::default())
}

/// A conversation of frames, as text.
#[derive(Default)]
struct Conversation(String);

impl Conversation {
    /// The server's next frame.
    async fn hears(&mut self, wire: &mut Wire) -> Frame {
        let frame = wire.frame().await.expect("a frame");
        self.list("server", &frame.bytes);
        frame
    }

    /// A frame of the client.
    async fn says(&mut self, wire: &mut Wire, first: u8, payload: &[u8]) {
        let frame = masked(first, payload);
        wire.send(&frame).await;
        self.list("client", &frame);
    }

    /// One frame: what it is, and its bytes beside the text that they spell, after the
    /// mask is taken off.
    fn list(&mut self, who: &str, frame: &[u8]) {
        let masked = frame[1] & 0x80 != 0;
        let start = match frame[1] & 0x7f {
            126 => 4,
            _ => 2,
        } + if masked { 4 } else { 0 };
        let (header, payload) = frame.split_at(start);
        let key = if masked { &header[start - 4..] } else { &[0] };
        let plain: Vec<u8> = payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        let (what, text_from) = match frame[0] {
            TEXT => ("text", 0),
            // A close begins with its code.
            CLOSE => ("close", 2),
            PONG => ("pong", 0),
            _ => ("ping", 0),
        };
        let mask = if masked { ", masked" } else { "" };
        let code = match plain.get(..text_from) {
            Some(&[high, low]) => format!(" {}", u16::from_be_bytes([high, low])),
            _ => String::new(),
        };
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        writeln!(self.0, "{who}: {what}{code}, {} bytes{mask}", plain.len()).unwrap();
        writeln!(self.0, "    {}", hex(header)).unwrap();
        for (bytes, plain) in payload.chunks(16).zip(plain.chunks(16)) {
            let text: String = plain.iter().map(|byte| printable(*byte)).collect();
            writeln!(self.0, "    {:<47}  {text}", hex(bytes)).unwrap();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn printable(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte.into(),
        _ => '.',
    }
}

#[tokio::test(start_paused = true)]
async fn the_handshake() {
    let stand = stand();
    say(&stand.feed, "before").await;
    let mut wire_ = Wire::of(stand.dialer.connect(WIDE));
    let head = handshake("/events?after=k3f9x2.1");
    wire_.send(wire(&head).as_bytes()).await;
    let answer = wire_.head().await;
    // The one answer that RFC 6455 §1.3 works out for this key.
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(answer.contains(&format!("sec-websocket-protocol: {SUBPROTOCOL}\r\n")));
    golden!("handshake.http", &transcript(&head, "", &answer));
}

#[tokio::test(start_paused = true)]
async fn a_conversation() {
    let stand = stand();
    let mut wire = stand.wire("/events", WIDE).await;
    let mut said = Conversation::default();
    said.hears(&mut wire).await;
    let publish = br#"{"publish":{"ref":"5b0f","kind":"message","data":"hello"}}"#;
    said.says(&mut wire, TEXT, publish).await;
    said.hears(&mut wire).await;
    let event = said.hears(&mut wire).await;
    assert!(event.text().ends_with(r#""data":"hello"}}"#));
    golden!("conversation.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn a_gap() {
    let stand = stand();
    for text in ["one", "two", "three"] {
        say(&stand.feed, text).await;
    }
    let mut wire = stand.wire("/events?after=k3f9x2.0", WIDE).await;
    let mut said = Conversation::default();
    said.hears(&mut wire).await;
    said.hears(&mut wire).await;
    golden!("gap.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn a_silence() {
    let stand = stand();
    let mut wire = stand.wire("/events", WIDE).await;
    wire.frame().await.expect("hello");
    let mut said = Conversation::default();
    said.hears(&mut wire).await;
    said.hears(&mut wire).await;
    said.says(&mut wire, PONG, b"").await;
    golden!("heartbeat.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read() {
    let stand = stand();
    let mut wire = stand.wire("/events", WIDE).await;
    wire.frame().await.expect("hello");
    let mut said = Conversation::default();
    said.says(&mut wire, TEXT, b"hello?").await;
    said.hears(&mut wire).await;
    golden!("error.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server() {
    let edge = serving::Config {
        drain: FOR_EVER,
        ..serving::Config::default()
    };
    let stand = Stand::with(still_feed(2), Config::default(), edge, guarded);
    let mut wire = stand.wire("/events", WIDE).await;
    wire.frame().await.expect("hello");
    stand.ending.begin();
    let mut said = Conversation::default();
    let close = said.hears(&mut wire).await;
    said.says(&mut wire, CLOSE, &close.payload[..2]).await;
    assert!(
        wire.frame().await.is_none(),
        "it is the server that ends the connection"
    );
    golden!("shutdown.txt", &said.0);
    stand.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_log() {
    let stand = stand();
    say(&stand.feed, "the last").await;
    stand.feed.finish();
    let mut wire = stand.wire("/events?after=k3f9x2.0", WIDE).await;
    wire.frame().await.expect("hello");
    let mut said = Conversation::default();
    said.hears(&mut wire).await;
    said.hears(&mut wire).await;
    golden!("finished.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large() {
    let config = Config {
        max_message: 100,
        heartbeat: Duration::from_secs(3600),
        ..Config::default()
    };
    let stand = Stand::of(still_feed(2), config);
    let mut wire = stand.wire("/events", WIDE).await;
    wire.frame().await.expect("hello");
    let mut said = Conversation::default();
    wire.send(&masked(TEXT, &[b'x'; 101])).await;
    let close = said.hears(&mut wire).await;
    assert_eq!(close.code(), 1009);
    golden!("too-large.txt", &said.0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_upgrade() {
    let stand = stand();
    let head = "GET /events HTTP/1.1\nHost: 127.0.0.1:4103";
    let mut raw = stand.dialer.connect(WIDE);
    golden!("no-upgrade.http", &exchange(&mut raw, head).await);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_without_the_subprotocol() {
    let stand = stand();
    let right = handshake("/events");
    let head = right.replace("\nSec-WebSocket-Protocol: waiting.v1", "");
    let mut raw = stand.dialer.connect(WIDE);
    golden!("no-subprotocol.http", &exchange(&mut raw, &head).await);
}

/// Sends a request and reads its answer, whose content is one JSON object.
async fn exchange(raw: &mut tokio::io::DuplexStream, head: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    raw.write_all(wire(head).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while answer.last() != Some(&b'}') {
        testbed::in_time("an answer", raw.read_buf(&mut answer))
            .await
            .expect("the connection is open");
    }
    transcript(head, "", std::str::from_utf8(&answer).unwrap())
}
