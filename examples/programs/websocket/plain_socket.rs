// ANCHOR: all
//! A feed over WebSocket in the plain way: a broadcast channel and a loop that sends.

use axum::{
    extract::{
        ws::{Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use futures_util::StreamExt;
use std::error::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::client_async;

// ANCHOR: server
type Prices = broadcast::Sender<String>;

async fn events(upgrade: WebSocketUpgrade, State(prices): State<Prices>) -> Response {
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
// ANCHOR_END: server

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", any(events));
    let router = router.with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });

    let connection = TcpStream::connect(address).await?;
    let (mut socket, _) =
        client_async(format!("ws://{address}/events"), connection).await?;
    prices.send("ACME 101.25".to_owned())?;
    let message = socket.next().await.ok_or("an end")??;
    assert_eq!(message.to_text()?, "ACME 101.25");
    Ok(())
}
// ANCHOR_END: all
