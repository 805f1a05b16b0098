//! A WebSocket, as the worker's script reads and writes it.
//!
//! No worker is asked when a page opens a WebSocket. So its messages come here by a message port,
//! and from here on all is as elsewhere: the book's server checks the handshake, upgrades the
//! connection and serves it, and a client of tungstenite masks its frames. Between the two are
//! bytes in memory, where elsewhere there is a network.

use crate::seen::{Seen, SeenIo};
use axum::{body::Body, Router};
use futures_util::{
    stream::{SplitSink, SplitStream},
    SinkExt as _, StreamExt as _,
};
use http::{header, Request, StatusCode};
use hyper_browser::upgrade::OnUpgrade;
use js_sys::{Array, Uint8Array};
use tokio::{
    io::{duplex, DuplexStream},
    sync::Mutex,
};
use tokio_tungstenite::{
    tungstenite::{
        handshake::{client::generate_key, derive_accept_key},
        protocol::{CloseFrame, Role, WebSocketConfig},
        Message,
    },
    WebSocketStream,
};
use tower::ServiceExt as _;
use wasm_bindgen::{prelude::wasm_bindgen, JsError, JsValue};

/// How many bytes are on their way at most, in each direction: as many as the largest event has.
/// Who writes more waits until the other side reads.
const ON_THE_WAY: usize = 64 * 1024;

/// The largest message that the page takes: that of an event is far smaller.
const LARGEST: usize = 4 * 1024 * 1024;

type Client = WebSocketStream<SeenIo<DuplexStream>>;

/// The page's end of a WebSocket.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Socket {
    // Each is locked while one message is written or waited for.
    sink: Mutex<SplitSink<Client, Message>>,
    stream: Mutex<SplitStream<Client>>,
    protocol: String,
}

impl Socket {
    pub(crate) async fn open(
        router: Router,
        host: &str,
        target: &str,
        origin: &str,
        protocol: &str,
        seen: Seen,
    ) -> Result<Self, JsError> {
        let (near, wire) = duplex(ON_THE_WAY);
        let key = generate_key();
        let mut request = Request::get(target)
            .header(header::HOST, host)
            .header(header::ORIGIN, origin)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .extension(OnUpgrade::to(near));
        if !protocol.is_empty() {
            request = request.header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let request = request.body(Body::empty())?;
        seen.request(&request);
        let Ok(response) = router.oneshot(request).await;
        seen.response(&response);
        let field = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        let accepts =
            field(header::SEC_WEBSOCKET_ACCEPT) == Some(derive_accept_key(key.as_bytes()).as_str());
        if response.status() != StatusCode::SWITCHING_PROTOCOLS || !accepts {
            return Err(JsError::new("it was refused"));
        }
        let protocol = field(header::SEC_WEBSOCKET_PROTOCOL)
            .unwrap_or_default()
            .to_owned();
        // tungstenite would make room for 128 KiB at once.
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let socket =
            WebSocketStream::from_raw_socket(SeenIo::new(wire, seen), Role::Client, Some(limits))
                .await;
        let (sink, stream) = socket.split();
        Ok(Self {
            sink: Mutex::new(sink),
            stream: Mutex::new(stream),
            protocol,
        })
    }
}

#[wasm_bindgen]
impl Socket {
    /// The subprotocol that the server chose, or nothing.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn protocol(&self) -> String {
        self.protocol.clone()
    }

    /// Sends a text, or bytes; done when the connection has taken it.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn send(&self, data: JsValue) -> Result<(), JsError> {
        let message = match data.as_string() {
            Some(text) => Message::text(text),
            None => Message::binary(Uint8Array::new(&data).to_vec()),
        };
        Ok(self.sink.lock().await.send(message).await?)
    }

    /// Closes the connection, with a code, or without one (1005).
    pub async fn close(&self, code: u16, reason: String) {
        let frame = (code != 1005).then(|| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        });
        // An error says that it is closed, or gone.
        let _ = self.sink.lock().await.send(Message::Close(frame)).await;
    }

    /// The next message: a text or bytes. A close is an array of its code and its reason; 1006
    /// where there was none.
    pub async fn next(&self) -> JsValue {
        let mut stream = self.stream.lock().await;
        loop {
            return match stream.next().await {
                Some(Ok(Message::Text(text))) => text.as_str().into(),
                Some(Ok(Message::Binary(bytes))) => Uint8Array::from(&*bytes).into(),
                Some(Ok(Message::Close(Some(frame)))) => {
                    closed(frame.code.into(), frame.reason.as_str())
                }
                Some(Ok(Message::Close(None))) => closed(1005, ""),
                // tungstenite answers a ping.
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => closed(1006, ""),
            };
        }
    }
}

fn closed(code: u16, reason: &str) -> JsValue {
    Array::of2(&code.into(), &reason.into()).into()
}
