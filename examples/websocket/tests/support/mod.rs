//! How the tests start this method, and two clients of it: tungstenite's, and bytes.
#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod http2;

use axum::Router;
use contract::socket::SUBPROTOCOL;
use feed::Feed;
use futures_util::{SinkExt, StreamExt};
use harness::still_feed;
use serving::{guard, Allowed, Ending, Guarded};
use std::time::Duration;
use testbed::{in_time, wire, Dialer, Pipes};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        client::{ClientRequestBuilder, IntoClientRequest},
        Error, Message,
    },
    WebSocketStream,
};
use websocket::{Config, FanOut};

/// Longer than any test.
pub const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// More than one batch, so that no writer waits unless a test wants it to.
pub const WIDE: usize = 256 * 1024;

/// A server on pipes: the test owns both ends, and may stop the clock.
pub struct Stand {
    pub feed: Feed,
    pub board: Feed,
    pub ending: Ending,
    pub serving: JoinHandle<std::io::Result<()>>,
    pub dialer: Dialer,
}

/// The server that is asked: `tests/walk.rs` asks all of this of the walk.
pub fn fan_out() -> FanOut {
    match env!("CARGO_CRATE_NAME") {
        "walk" => FanOut::Walk,
        _ => FanOut::Tasks,
    }
}

/// The server of [`fan_out`].
pub fn router(feed: Feed, board: Feed, config: Config, ending: Ending) -> Router {
    let fan_out = fan_out();
    let config = Config { fan_out, ..config };
    websocket::router(feed, board, config, ending)
}

/// As the book's servers are.
pub fn guarded(router: Router) -> Guarded {
    guard(router, Allowed::default())
}

impl Stand {
    pub fn start(config: Config) -> Self {
        Self::of(still_feed(100), config)
    }

    pub fn of(feed: Feed, config: Config) -> Self {
        let edge = serving::Config::default();
        Self::with(feed, config, edge, |router| {
            guard(router, Allowed::default())
        })
    }

    /// With an edge of its own, and something around the router.
    pub fn with(
        feed: Feed,
        config: Config,
        edge: serving::Config,
        around: impl FnOnce(Router) -> Guarded,
    ) -> Self {
        let (board, ending) = (still_feed(100), Ending::new());
        let router = router(feed.clone(), board.clone(), config, ending.clone());
        let (dialer, pipes) = Pipes::new();
        let serving =
            tokio::spawn(serving::serve(pipes, around(router), edge, ending.clone()));
        Self {
            feed,
            board,
            ending,
            serving,
            dialer,
        }
    }

    /// Opens a socket at `target` by the rules.
    pub async fn open(&self, target: &str) -> Socket {
        Socket(self.try_open(asking(target)).await.expect("it opens"))
    }

    pub async fn try_open(
        &self,
        request: impl IntoClientRequest + Unpin,
    ) -> Result<WebSocketStream<DuplexStream>, Error> {
        let opening = client_async(request, self.dialer.connect(WIDE));
        let opened = in_time("a handshake", opening).await;
        opened.map(|(socket, _response)| socket)
    }

    /// Opens a socket at `target` by hand, over a pipe that holds this many bytes each
    /// way.
    pub async fn wire(&self, target: &str, bytes: usize) -> Wire {
        let mut raw = Wire::of(self.dialer.connect(bytes));
        raw.send(wire(&handshake(target)).as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Sends a request that is no handshake and gives the whole answer.
    pub async fn ask(&self, head: &str) -> String {
        let mut pipe = self.dialer.connect(WIDE);
        let head = format!("{head}\nHost: 127.0.0.1\nConnection: close");
        self.written(&mut pipe, &head).await;
        let mut answer = String::new();
        let read = in_time("an answer", pipe.read_to_string(&mut answer)).await;
        read.expect("an answer");
        answer
    }

    async fn written(&self, pipe: &mut DuplexStream, head: &str) {
        let sent = pipe.write_all(wire(head).as_bytes()).await;
        sent.expect("the pipe is open");
    }

    /// Ends the server; it must come to its end by itself.
    pub async fn end(self) {
        self.ending.begin();
        let ended = in_time("the end of the server", self.serving).await;
        ended.expect("no panic").expect("a good end");
    }
}

/// The request of a client that knows the rules.
pub fn asking(target: &str) -> ClientRequestBuilder {
    let uri = format!("ws://127.0.0.1:4103{target}");
    let request = ClientRequestBuilder::new(uri.parse().expect("a URI"));
    match target {
        // It has none, and tungstenite's client fails, like a browser, where none is
        // chosen of those that it offers.
        "/echo" => request,
        _ => request.with_sub_protocol(SUBPROTOCOL),
    }
}

/// The same as text, with the key of RFC 6455 §1.3, so that the answer is known as
/// well.
pub fn handshake(target: &str) -> String {
    let lines = [
        &*format!("GET {target} HTTP/1.1"),
        "Host: 127.0.0.1:4103",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: waiting.v1",
    ];
    lines.join("\n")
}

/// tungstenite's client, with words for what a test expects.
pub struct Socket(pub WebSocketStream<DuplexStream>);

impl Socket {
    /// The next message of any sort; `None` after the last one.
    pub async fn next(&mut self) -> Option<Message> {
        let next = in_time("a message", self.0.next()).await;
        next.map(|message| message.expect("no error"))
    }

    /// The next message, which is text. Pings pass.
    pub async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_)) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub async fn send(&mut self, message: Message) {
        let sent = in_time("a write", self.0.send(message)).await;
        sent.expect("it can be sent");
    }

    /// The code and the reason with which the server closes, next; and nothing follows.
    pub async fn closed(&mut self) -> (u16, String) {
        let Some(Message::Close(Some(close))) = self.next().await else {
            panic!("no close with a code");
        };
        assert!(self.next().await.is_none(), "nothing follows a close");
        (close.code.into(), close.reason.to_string())
    }
}

/// A connection, frame by frame.
pub struct Wire {
    pub io: DuplexStream,
    seen: Vec<u8>,
}

/// One frame, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its first byte: the last-fragment bit and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("UTF-8")
    }

    /// The code of a close.
    pub fn code(&self) -> u16 {
        assert_eq!(self.first, CLOSE, "a close: {self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }
}

/// First bytes of whole messages (RFC 6455 §5.2).
pub const TEXT: u8 = 0x81;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// The key of RFC 6455 §5.7.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it: masked, here always with the same key.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len());
    frame[1] |= 0x80;
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// A frame's header without a mask.
pub fn header(first: u8, length: usize) -> Vec<u8> {
    match length {
        0..=125 => vec![first, length as u8],
        126..=0xffff => [&[first, 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

impl Wire {
    pub fn of(io: DuplexStream) -> Self {
        let seen = Vec::new();
        Self { io, seen }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = in_time("a write", self.io.write_all(bytes)).await;
        sent.expect("it can be sent");
    }

    /// The head of an HTTP answer.
    pub async fn head(&mut self) -> String {
        in_time("a head", async {
            loop {
                if let Some(end) = find(&self.seen, b"\r\n\r\n") {
                    let head = self.seen.drain(..end + 4).collect();
                    return String::from_utf8(head).expect("text");
                }
                assert!(self.more().await, "the connection ended within a head");
            }
        })
        .await
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        in_time("a frame", async {
            loop {
                if let Some(frame) = split(&self.seen) {
                    self.seen.drain(..frame.bytes.len());
                    return Some(frame);
                }
                if !self.more().await {
                    assert!(
                        self.seen.is_empty(),
                        "the connection ended within a frame"
                    );
                    return None;
                }
            }
        })
        .await
    }

    /// The code of the close that comes next; and nothing follows.
    pub async fn closed(&mut self) -> u16 {
        let close = self.frame().await.expect("a close");
        assert!(self.frame().await.is_none(), "nothing follows a close");
        close.code()
    }

    async fn more(&mut self) -> bool {
        matches!(self.io.read_buf(&mut self.seen).await, Ok(1..))
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

/// The frame at the beginning of these bytes, if all of it is there. A server's frames
/// have no mask.
fn split(bytes: &[u8]) -> Option<Frame> {
    let (start, length) = match *bytes.get(1)? {
        126 => (
            4,
            u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, short.into()),
    };
    let end = start + usize::try_from(length).ok()?;
    Some(Frame {
        first: bytes[0],
        payload: bytes.get(start..end)?.to_vec(),
        bytes: bytes[..end].to_vec(),
    })
}
