//! A graceful shutdown does not wait for WebSockets, and says nothing to them.

use axum::{
    extract::{
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use futures_util::StreamExt;
use serving::{guard, Allowed, Ending};
use std::{error::Error, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{broadcast, oneshot},
    time::timeout,
};
use tokio_tungstenite::{client_async, tungstenite};

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

// ANCHOR: detached
async fn detached() -> Result<(), Box<dyn Error>> {
    let prices = Prices::new(16);
    let router = Router::new().route("/events", any(events));
    let router = router.with_state(prices.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (shut_down, told) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = told.await;
    });
    let server = tokio::spawn(async move { server.await });
    let connection = TcpStream::connect(address).await?;
    let (mut socket, _) =
        client_async(format!("ws://{address}/events"), connection).await?;

    shut_down.send(()).map_err(|()| "no server")?;
    server.await??; // "All is done, gracefully."

    // It is not. The socket is open, and what serves it is a task that nobody waits
    // for.
    prices.send("ACME 101.25".to_owned())?;
    assert!(socket.next().await.ok_or("an end")??.is_text());
    Ok(())
    // A process that ends here breaks the connection off: its client sees 1006, and no
    // reason.
}
// ANCHOR_END: detached

// ANCHOR: cure
/// The socket's task is counted among what is open, and listens for the end.
async fn tracked(upgrade: WebSocketUpgrade, State(ending): State<Ending>) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        let begun = ending.begun();
        let talk = async {
            begun.await; // a real one waits for its log and its client as well
            let goodbye = CloseFrame {
                code: 1001, // going away
                reason: "shutdown".into(),
            };
            let last = async {
                let _ = socket.send(Message::Close(Some(goodbye))).await;
                while let Some(Ok(_)) = socket.recv().await {} // the client's own close
            };
            let _ = timeout(Duration::from_secs(2), last).await;
        };
        ending.track(talk).await;
    })
}
// ANCHOR_END: cure

async fn told() -> Result<(), Box<dyn Error>> {
    let ending = Ending::new();
    let router = Router::new().route("/events", any(tracked));
    let router = router.with_state(ending.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = guard(router, Allowed::default());
    let config = serving::Config::default();
    let server = tokio::spawn(serving::serve(listener, router, config, ending.clone()));
    let connection = TcpStream::connect(address).await?;
    let (mut socket, _) =
        client_async(format!("ws://{address}/events"), connection).await?;

    ending.begin();
    match socket.next().await.ok_or("an end")?? {
        tungstenite::Message::Close(Some(goodbye)) => {
            assert_eq!(u16::from(goodbye.code), 1001);
        }
        other => panic!("{other:?}"),
    }
    assert!(socket.next().await.is_none()); // the client's close, and the end
    server.await??; // and now all is done
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    detached().await?;
    told().await
}
