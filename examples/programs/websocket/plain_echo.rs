// ANCHOR: all
//! The smallest WebSocket server: it sends back what it gets, text or binary.

use axum::{
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
    Router,
};
use futures_util::{SinkExt, StreamExt};
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{client_async, tungstenite};

// ANCHOR: server
/// The longest message, in bytes. Without a limit of ours it would be 64 MiB.
const MIB: usize = 1 << 20;

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.max_message_size(MIB).max_frame_size(MIB);
    upgrade.on_upgrade(talk)
}

async fn talk(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}
// ANCHOR_END: server

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/echo", any(echo));
    tokio::spawn(async { axum::serve(listener, router).await });

    let connection = TcpStream::connect(address).await?;
    let url = format!("ws://{address}/echo");
    let (mut socket, answer) = client_async(url, connection).await?;
    assert_eq!(answer.status(), 101);

    use tungstenite::Message;
    for message in [Message::text("Grüße"), Message::binary(vec![7; MIB])] {
        socket.send(message.clone()).await?;
        assert_eq!(socket.next().await.ok_or("an end")??, message);
    }
    socket.close(None).await?;
    assert_eq!(socket.next().await.ok_or("an end")??, Message::Close(None));
    assert!(socket.next().await.is_none());
    Ok(())
}
// ANCHOR_END: all
