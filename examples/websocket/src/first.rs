//! A socket that says who it is in its first message.
//!
//! A page can set no header of a WebSocket's handshake. So whoever brings no credential
//! may open a socket all the same, and say in the first message who it is. Until then
//! it costs a place among few, for a few seconds, and learns nothing.

use crate::{
    close::End, frames, handshake::Handshake, server::Server, socket::Connection,
    tunnel::Socket,
};
use axum::response::Response;
use contract::{
    socket::{ClientMessage, Close},
    Position, Problem, ProblemKind,
};
use futures_util::{SinkExt, StreamExt};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use waiting::{Access, Places, Reader, Room};

/// Says who has a token, or why nobody has it.
type Judge = dyn Fn(&str) -> Result<Access, Problem> + Send + Sync;

/// Where a request of nobody may open a socket: what its first message is judged by. A
/// program puts it into the extensions of a request that has brought no credential.
#[derive(Clone)]
pub struct AskFirst {
    /// Who has this token.
    judge: Arc<Judge>,
    /// How long the message may take.
    patience: Duration,
    /// How many sockets may be open of which nobody knows whose they are.
    places: Places,
}

impl fmt::Debug for AskFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskFirst")
            .field("patience", &self.patience)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl AskFirst {
    /// A first message is judged by `judge`, and must come within `patience`. As many
    /// may be waited for at once as there are `places`.
    pub fn new(
        judge: impl Fn(&str) -> Result<Access, Problem> + Send + Sync + 'static,
        patience: Duration,
        places: Places,
    ) -> Self {
        Self {
            judge: Arc::new(judge),
            patience,
            places,
        }
    }

    // ANCHOR: open
    /// Opens a socket for somebody who is to say who it is.
    ///
    /// # Errors
    /// 503 where too many have not said it yet; 400 `future-cursor`.
    pub(crate) async fn open(
        self,
        server: Arc<Server>,
        room: Room,
        handshake: Handshake,
        position: Position,
        reader: Reader,
    ) -> Result<Response, Problem> {
        let place = self.places.acquire()?;
        // What would be refused later is refused now, where it can be read.
        if let Err(problem) = room.status(position).await {
            if problem.kind() == Some(ProblemKind::FutureCursor) {
                return Err(problem);
            }
        }
        let (limits, ending) = (server.config.limits(), server.ending.clone());
        Ok(
            handshake.accept(limits, &ending, move |mut socket| async move {
                let patience = server.config.close_patience;
                let ended = room.door().end().raised();
                let said = tokio::select! {
                    // Cancel-safe, both: neither is polled again.
                    () = ended => Err(End::Closes(Close::Shutdown)),
                    said = timeout(self.patience, self.listen(&mut socket)) => {
                        said.unwrap_or(Err(End::Closes(Close::Renew)))
                    }
                };
                let joined = match said {
                    Ok(access) => {
                        let access = Some(access);
                        let joined = room.join(position, Reader { access, ..reader });
                        joined.await.map_err(|problem| closes_for(&problem))
                    }
                    Err(end) => Err(end),
                };
                // From here on it has a place of its own, or none.
                match joined {
                    Ok(wait) => {
                        drop(place);
                        Box::new(Connection {
                            wait,
                            refused: 0,
                            server,
                        })
                        .run(socket)
                        .await;
                    }
                    Err(end) => end.close(socket, place, patience).await,
                }
            }),
        )
    }

    /// Reads the first message.
    async fn listen(&self, socket: &mut Socket) -> Result<Access, End> {
        loop {
            match socket.next().await.ok_or(End::Gone)?? {
                Message::Text(text) => {
                    let problem = match ClientMessage::read(&text) {
                        Ok(ClientMessage::Auth(auth)) => {
                            match (self.judge)(&auth.token) {
                                Ok(access) => return Ok(access),
                                Err(problem) => problem,
                            }
                        }
                        _ => Problem::unauthorized("say first who you are: `auth`"),
                    };
                    let end = closes_for(&problem);
                    socket
                        .send(frames::message(&frames::refusal(None, problem)))
                        .await?;
                    return Err(end);
                }
                Message::Binary(_) => return Err(End::Closes(Close::Binary)),
                _ => {}
            }
        }
    }
    // ANCHOR_END: open
}

/// The close that says the same as a problem.
fn closes_for(problem: &Problem) -> End {
    End::Closes(match problem.kind() {
        Some(ProblemKind::Unauthorized) => Close::Renew,
        Some(ProblemKind::Forbidden) => Close::Denied,
        // No place is free, or the server ends: come back.
        _ => Close::Shutdown,
    })
}
