//! `GET echo`: whatever comes goes back. The least that a WebSocket server is, with an end and limits.

use crate::{
    close::{Close, End},
    handshake::Handshake,
    Config,
};
use axum::{
    extract::{
        ws::{Message, WebSocket},
        State,
    },
    response::Response,
};
use bytes::Bytes;
use futures_util::StreamExt;
use serving::{Ending, Problem, Slots, Underway};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// What the handler needs.
#[derive(Clone)]
pub(crate) struct Echo {
    pub(crate) config: Arc<Config>,
    pub(crate) ending: Ending,
    /// The places; few, because the messages may be large.
    pub(crate) places: Slots,
}

/// `GET echo`, upgraded.
pub(crate) async fn open(
    State(echo): State<Echo>,
    Handshake(upgrade): Handshake,
    underway: Underway,
) -> Result<Response, Problem> {
    echo.ending.refuse_if_begun()?;
    let slot = echo.places.try_take()?;
    let upgrade = echo.config.limit_echo(upgrade);
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let task = async {
            let end = repeat(&mut socket, &echo.ending, echo.config.heartbeat()).await;
            end.say(socket.split(), echo.config.close_patience).await;
            drop(slot);
        };
        echo.ending.track(task).await;
        drop(underway);
    }))
}

// ANCHOR: echo
/// Sends each message back. Nothing is read while an answer waits to be written, which holds back a peer that does not read.
async fn repeat(socket: &mut WebSocket, ending: &Ending, heartbeat: Duration) -> End {
    let mut asked = false;
    loop {
        let received = tokio::select! {
            // Cancel-safe: it only waits.
            () = ending.begun() => return End::Closes(Close::Shutdown),
            // Cancel-safe: a message is handed out whole, or stays.
            received = timeout(heartbeat, socket.recv()) => received,
        };
        let sent = match received {
            Ok(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => {
                asked = false;
                socket.send(message).await
            }
            // tungstenite answers a ping or a close by itself, on the next read.
            Ok(Some(Ok(_))) => {
                asked = false;
                Ok(())
            }
            Ok(Some(Err(error))) => return error.into(),
            Ok(None) => return End::Gone,
            Err(_silence) if asked => return End::Dropped,
            Err(_silence) => {
                asked = true;
                socket.send(Message::Ping(Bytes::new())).await
            }
        };
        if let Err(error) = sent {
            return error.into();
        }
    }
}
// ANCHOR_END: echo
