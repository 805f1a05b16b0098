//! A socket that is only written to: nobody answers a ping, and nobody sees a close.

use axum::{
    extract::{
        ws::{Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use futures_util::{SinkExt, StreamExt};
use std::error::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{client_async, tungstenite, WebSocketStream};

type Prices = broadcast::Sender<String>;

async fn only_writes(
    upgrade: WebSocketUpgrade,
    State(prices): State<Prices>,
) -> Response {
    let prices = prices.subscribe();
    upgrade.on_upgrade(|socket| send(socket, prices))
}

async fn send(mut socket: WebSocket, mut prices: broadcast::Receiver<String>) {
    while let Ok(price) = prices.recv().await {
        if socket.send(Message::text(price)).await.is_err() {
            return;
        }
    }
}

async fn reads_as_well(
    upgrade: WebSocketUpgrade,
    State(prices): State<Prices>,
) -> Response {
    let prices = prices.subscribe();
    upgrade.on_upgrade(|socket| send_and_receive(socket, prices))
}

// ANCHOR: cure
async fn send_and_receive(
    mut socket: WebSocket,
    mut prices: broadcast::Receiver<String>,
) {
    loop {
        tokio::select! {
            // Cancel-safe: it loses no value.
            price = prices.recv() => {
                let Ok(price) = price else { return };
                if socket.send(Message::text(price)).await.is_err() {
                    return;
                }
            }
            // Cancel-safe: what was read in part is kept in the socket. Nothing is done
            // with the message: reading is what answers a ping and a close.
            message = socket.recv() => {
                let Some(Ok(_)) = message else { return };
            }
        }
    }
}
// ANCHOR_END: cure

/// Serves both, and connects to one of them.
async fn connect(
    path: &str,
) -> Result<(WebSocketStream<TcpStream>, Prices), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new()
        .route("/only-writes", any(only_writes))
        .route("/reads-as-well", any(reads_as_well))
        .with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });
    let connection = TcpStream::connect(address).await?;
    let (socket, _) = client_async(format!("ws://{address}{path}"), connection).await?;
    Ok((socket, prices))
}

// ANCHOR: unread
async fn unread() -> Result<(), Box<dyn Error>> {
    use tungstenite::Message;
    let (mut socket, prices) = connect("/only-writes").await?;

    socket.send(Message::Ping("are you there?".into())).await?;
    for _ in 0..10 {
        prices.send("ACME 101.25".to_owned())?;
        // Ten prices come, and among them is no pong.
        assert!(socket.next().await.ok_or("an end")??.is_text());
    }

    socket.close(None).await?; // "goodbye" …
    for _ in 0..10 {
        prices.send("ACME 101.50".to_owned())?;
        // … and it goes on talking.
        assert!(socket.next().await.ok_or("an end")??.is_text());
    }
    Ok(())
}
// ANCHOR_END: unread

async fn read() -> Result<(), Box<dyn Error>> {
    use tungstenite::Message;
    let (mut socket, _prices) = connect("/reads-as-well").await?;

    socket.send(Message::Ping("are you there?".into())).await?;
    let pong = socket.next().await.ok_or("an end")??;
    assert_eq!(pong, Message::Pong("are you there?".into()));

    socket.close(None).await?;
    let goodbye = socket.next().await.ok_or("an end")??;
    assert_eq!(goodbye, Message::Close(None));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    unread().await?;
    read().await
}
