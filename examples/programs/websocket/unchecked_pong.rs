//! A peer that has vanished answers no ping. Does anybody look?

use axum::{
    extract::{
        ws::{Message, WebSocket, WebSocketUpgrade},
        State,
    },
    response::Response,
    routing::any,
    Router,
};
use std::{
    error::Error,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        Arc,
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{interval, sleep, MissedTickBehavior},
};
use tokio_tungstenite::{client_async, WebSocketStream};

/// Short, so that the program is.
const HEARTBEAT: Duration = Duration::from_millis(20);

/// What this program wants to know of its server.
#[derive(Default)]
struct Seen {
    /// Pings that were sent without an error.
    pings: AtomicUsize,
    /// Sockets that are held.
    open: AtomicUsize,
}

// ANCHOR: plain
async fn ping(mut socket: WebSocket, seen: Arc<Seen>) {
    let mut beats = interval(HEARTBEAT);
    loop {
        tokio::select! {
            // Cancel-safe: it only waits.
            _ = beats.tick() => match socket.send(Message::Ping("".into())).await {
                Ok(()) => _ = seen.pings.fetch_add(1, Relaxed),
                Err(_) => return,
            },
            // Cancel-safe: what was read in part is kept in the socket.
            message = socket.recv() => {
                let Some(Ok(_)) = message else { return }; // a pong, for instance
            }
        }
    }
}
// ANCHOR_END: plain

// ANCHOR: checked
async fn ping_and_look(mut socket: WebSocket, seen: Arc<Seen>) {
    let mut beats = interval(HEARTBEAT);
    // A late beat must not be followed at once by the next: nobody could answer in
    // between.
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = true;
    loop {
        tokio::select! {
            // Cancel-safe: it only waits.
            _ = beats.tick() => {
                if !heard {
                    return; // nothing since the last ping: nobody is there
                }
                heard = false;
                match socket.send(Message::Ping("".into())).await {
                    Ok(()) => _ = seen.pings.fetch_add(1, Relaxed),
                    Err(_) => return,
                }
            }
            // Cancel-safe: what was read in part is kept in the socket.
            message = socket.recv() => {
                let Some(Ok(_)) = message else { return };
                heard = true; // whatever it is, somebody has sent it
            }
        }
    }
}
// ANCHOR_END: checked

async fn plain(upgrade: WebSocketUpgrade, State(seen): State<Arc<Seen>>) -> Response {
    seen.open.fetch_add(1, Relaxed);
    upgrade.on_upgrade(|socket| async move {
        ping(socket, seen.clone()).await;
        seen.open.fetch_sub(1, Relaxed);
    })
}

async fn checked(upgrade: WebSocketUpgrade, State(seen): State<Arc<Seen>>) -> Response {
    seen.open.fetch_add(1, Relaxed);
    upgrade.on_upgrade(|socket| async move {
        ping_and_look(socket, seen.clone()).await;
        seen.open.fetch_sub(1, Relaxed);
    })
}

/// Serves both, and connects to one of them.
async fn connect(
    path: &str,
) -> Result<(WebSocketStream<TcpStream>, Arc<Seen>), Box<dyn Error>> {
    let seen = Arc::<Seen>::default();
    let router = Router::new()
        .route("/plain", any(plain))
        .route("/checked", any(checked))
        .with_state(seen.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, router).await });
    let connection = TcpStream::connect(address).await?;
    let (socket, _) = client_async(format!("ws://{address}{path}"), connection).await?;
    Ok((socket, seen))
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A client that nobody polls: it hangs, and its kernel still takes what comes.
    let (_vanished, seen) = connect("/plain").await?;
    until(|| seen.pings.load(Relaxed) >= 10).await;
    assert_eq!(seen.open.load(Relaxed), 1); // ten pings, no pong, and all is well

    let (_vanished, seen) = connect("/checked").await?;
    until(|| seen.open.load(Relaxed) == 0).await;
    assert_eq!(seen.pings.load(Relaxed), 1); // one ping, no pong, and it is over
    Ok(())
}
