//! A message that is too large ends the connection without a word: unless somebody says
//! it.

use axum::{
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
    Router,
};
use futures_util::{SinkExt, StreamExt};
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        self,
        error::{CapacityError, ProtocolError},
    },
    WebSocketStream,
};

async fn plain(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(16).on_upgrade(listen)
}

async fn told(upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(16).on_upgrade(listen_and_tell)
}

// ANCHOR: plain
async fn listen(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        println!("{message:?}");
    }
}
// ANCHOR_END: plain

// ANCHOR: told
async fn listen_and_tell(mut socket: WebSocket) {
    loop {
        match socket.recv().await {
            Some(Ok(message)) => println!("{message:?}"),
            Some(Err(error)) => {
                let Some(code) = code(error) else { return };
                let reason = "".into();
                let close = Message::Close(Some(CloseFrame { code, reason }));
                let _ = socket.send(close).await;
                return;
            }
            None => return,
        }
    }
}

/// The close code for an error of the socket (RFC 6455 §7.4.1); `None` where nobody is
/// there to be told.
fn code(error: axum::Error) -> Option<u16> {
    use tungstenite::Error as E;
    match *error.into_inner().downcast::<E>().ok()? {
        E::Capacity(CapacityError::MessageTooLong { .. }) => Some(1009),
        E::Utf8(_) => Some(1007), // text that is no UTF-8
        E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        E::Protocol(_) => Some(1002),
        _ => None, // the connection is lost
    }
}
// ANCHOR_END: told

/// Serves both, and connects to one of them.
async fn connect(path: &str) -> Result<WebSocketStream<TcpStream>, Box<dyn Error>> {
    let router = Router::new()
        .route("/plain", any(plain))
        .route("/told", any(told));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });
    let connection = TcpStream::connect(address).await?;
    let (socket, _) = client_async(format!("ws://{address}{path}"), connection).await?;
    Ok(socket)
}

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    use tungstenite::Message;
    let too_long = Message::text("17 bytes, not 16!");

    let mut socket = connect("/plain").await?;
    socket.send(too_long.clone()).await?;
    // The connection is gone. A browser calls that 1006, and so does a lost network.
    assert!(socket.next().await.ok_or("an end")?.is_err());

    let mut socket = connect("/told").await?;
    socket.send(too_long).await?;
    match socket.next().await.ok_or("an end")?? {
        Message::Close(Some(close)) => assert_eq!(u16::from(close.code), 1009),
        other => panic!("{other:?}"),
    }
    Ok(())
}
// ANCHOR_END: main
