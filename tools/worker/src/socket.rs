//! A WebSocket, as the worker's script reads and writes it.
//!
//! No worker is asked when a page opens a WebSocket. So its messages come here by a message port,
//! and from here on all is as elsewhere: a client of tungstenite shakes hands and masks its frames,
//! hyper reads the request, and the book's server upgrades the connection and serves it. Between
//! the two are bytes in memory, where elsewhere there is a network.

use axum::Router;
use futures_util::{
    stream::{SplitSink, SplitStream},
    SinkExt as _, StreamExt as _,
};
use http::{header, HeaderValue};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use js_sys::{Array, Uint8Array};
use tokio::{
    io::{duplex, DuplexStream},
    sync::Mutex,
};
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{
        client::IntoClientRequest as _,
        protocol::{CloseFrame, WebSocketConfig},
        Message,
    },
    WebSocketStream,
};
use wasm_bindgen::{prelude::wasm_bindgen, JsError, JsValue};

/// How many bytes are on their way at most, in each direction: as many as the largest event has.
/// Who writes more waits until the other side reads.
const ON_THE_WAY: usize = 64 * 1024;

/// The largest message that the page takes: that of an event is far smaller.
const LARGEST: usize = 4 * 1024 * 1024;

type Client = WebSocketStream<DuplexStream>;

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
    ) -> Result<Self, JsError> {
        let (client, server) = duplex(ON_THE_WAY);
        let service = TowerToHyperService::new(router);
        let connection = http1::Builder::new()
            // For it hyper asks the standard library for the time, which panics in a browser.
            .auto_date_header(false)
            .serve_connection(TokioIo::new(server), service)
            .with_upgrades();
        tokio::spawn(connection);

        let mut request = format!("ws://{host}{target}").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert(header::ORIGIN, HeaderValue::try_from(origin)?);
        if !protocol.is_empty() {
            let protocol = HeaderValue::try_from(protocol)?;
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        // tungstenite would make room for 128 KiB at once.
        let limits = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let (socket, response) = client_async_with_config(request, client, Some(limits)).await?;
        let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        let chosen = chosen.and_then(|chosen| chosen.to_str().ok());
        let protocol = chosen.unwrap_or_default().to_owned();
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
