//! `GET echo`: whatever comes goes back. The least that a WebSocket server is, with an
//! end and limits.

use crate::{close::End, handshake::Handshake, tunnel::Socket, Config};
use axum::{
    extract::State,
    response::Response,
    routing::{get, MethodRouter},
};
use bytes::Bytes;
use contract::socket::Close;
use futures_util::{SinkExt, StreamExt};
use serving::{Ending, ProblemResponse};
use std::{sync::Arc, time::Duration};
use tokio_tungstenite::tungstenite::Message;
use waiting::{http::Sender, Door};

/// What the handler needs.
#[derive(Clone)]
pub(crate) struct Echo {
    /// With few places, because the messages may be large.
    pub(crate) door: Door,
    pub(crate) config: Arc<Config>,
    pub(crate) ending: Ending,
}

impl Echo {
    /// `GET` opens a WebSocket over HTTP/1.1, and `CONNECT` over HTTP/2.
    pub(crate) fn route(self) -> MethodRouter {
        get(open).connect(open).with_state(self)
    }
}

/// `GET echo`, upgraded.
async fn open(
    State(Echo {
        door,
        config,
        ending,
    }): State<Echo>,
    Sender(client): Sender,
    handshake: Handshake,
) -> Result<Response, ProblemResponse> {
    let place = door.enter(&client)?;
    let limits = config.echo_limits();
    let serve = move |mut socket: Socket| async move {
        let end = repeat(&mut socket, &door, config.heartbeat).await;
        end.close(socket, place, config.close_patience).await;
    };
    Ok(handshake.accept(limits, &ending, serve))
}

/// Sends each message back. Nothing is read while an answer waits to be written, which
/// holds back a peer that does not read.
async fn repeat(socket: &mut Socket, door: &Door, heartbeat: Duration) -> End {
    let heard = socket.get_ref().heard();
    let mut asked = false;
    loop {
        let received = tokio::select! {
            // Cancel-safe: it only waits.
            () = door.end().raised() => return End::Closes(Close::Shutdown),
            // Cancel-safe: a message is handed out whole, or stays.
            received = socket.next() => received,
            // Cancel-safe: it only waits. The second silence begins where the first
            // did.
            () = heard.clone().silence(heartbeat * (1 + u32::from(asked))) => {
                if asked {
                    return End::Dropped;
                }
                asked = true;
                if let Err(error) = socket.send(Message::Ping(Bytes::new())).await {
                    return error.into();
                }
                continue;
            }
        };
        asked = false;
        let sent = match received {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                socket.send(message).await
            }
            // tungstenite answers a ping or a close by itself, on the next read.
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => return error.into(),
            None => return End::Gone,
        };
        if let Err(error) = sent {
            return error.into();
        }
    }
}
