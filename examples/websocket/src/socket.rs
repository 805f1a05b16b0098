//! One open socket: one task, and one loop that reads and writes.

use crate::{close::End, frames, server::Server, tunnel::Socket};
use bytes::Bytes;
use contract::{
    socket::{ClientMessage, Close, ServerMessage},
    Heartbeat, Hello, Problem, ProblemKind,
};
use futures_util::{SinkExt, StreamExt};
use std::{future::Future, sync::Arc};
use tokio_tungstenite::tungstenite::{Error, Message};
use waiting::{Interrupted, Next, Over, Room, Wait};

// ANCHOR: held
/// What one open socket holds besides its buffers: its wait. No queue, and no second
/// task.
pub(crate) struct Connection {
    pub(crate) wait: Wait,
    /// How many publishes in a row were refused as too many.
    pub(crate) refused: u32,
    pub(crate) server: Arc<Server>,
}
// ANCHOR_END: held

impl Connection {
    // ANCHOR: run
    /// Serves the socket to its end.
    ///
    /// No `async fn`, which would hold the socket twice: where it came in, and where it
    /// is served.
    #[expect(clippy::manual_async_fn, reason = "it would hold more")]
    pub(crate) fn run(
        mut self: Box<Self>,
        mut socket: Socket,
    ) -> impl Future<Output = ()> {
        async move {
            let silence = self.silence(&socket);
            let interrupted = self.wait.interrupted();
            let end = tokio::select! {
                biased;
                // Cancel-safe. The loop hears of it too, but not while it waits for the
                // peer to read.
                why = interrupted => why.into(),
                // Dropped only when the socket's work is over. What it was writing is
                // then in tungstenite's buffer, in whole frames, so that a close can
                // still follow it.
                end = self.serve(&mut socket) => end,
                // Cancel-safe: it only waits. Last, since the loop may hear something
                // at this moment.
                () = silence => End::Dropped,
            };
            // Boxed, so that an open socket has no room for its end.
            Box::pin(end.close(socket, self.wait, self.server.config.close_patience))
                .await;
        }
    }
    // ANCHOR_END: run

    // ANCHOR: serve
    async fn serve(&mut self, socket: &mut Socket) -> End {
        let mut done = Box::pin(self.greet(socket)).await;
        while done.is_ok() {
            done = self.step(socket).await;
        }
        done.expect_err("it has ended")
    }

    /// Waits for a message or for the log, and does what came.
    pub(crate) async fn step(&mut self, socket: &mut Socket) -> Result<(), End> {
        // What is done then is boxed, so that a socket that waits has no room for it.
        //
        // Not `biased`: whichever always came first could leave the other nothing of
        // the task's budget of work.
        tokio::select! {
            // Cancel-safe: a message is handed out whole, or stays.
            message = socket.next() => Box::pin(self.read(socket, message)).await,
            // Cancel-safe: it promises it.
            next = self.wait.next() => Box::pin(self.write(socket, next)).await,
        }
    }
    // ANCHOR_END: serve

    /// Completes when the peer has been silent for too long. Bytes count and not
    /// messages: a large one may take long to arrive.
    pub(crate) fn silence(
        &self,
        socket: &Socket,
    ) -> impl Future<Output = ()> + Send + 'static {
        socket
            .get_ref()
            .heard()
            .silence(self.server.config.heartbeat * 2)
    }

    /// The first message: the client's cursor, before it has any event.
    pub(crate) async fn greet(&mut self, socket: &mut Socket) -> Result<(), End> {
        let (cursor, every) = (self.wait.cursor(), self.every());
        let hello = ServerMessage::Hello(Hello { cursor, every });
        socket.send(frames::message(&hello)).await?;
        self.wait.limit_silence(self.server.config.heartbeat);
        Ok(())
    }

    // ANCHOR: read
    /// Does what a message asks for. Reading notices a close or a lost connection, and
    /// makes tungstenite answer a ping.
    pub(crate) async fn read(
        &mut self,
        socket: &mut Socket,
        message: Option<Result<Message, Error>>,
    ) -> Result<(), End> {
        match message.ok_or(End::Gone)?? {
            // Before its event, which this loop has not yet taken from the log. Who
            // does not read its answers is not read from any more.
            Message::Text(text) => {
                let answer = answer(&self.server.room, &self.wait, &text).await;
                self.refused = match is_too_many(&answer) {
                    true => self.refused + 1,
                    false => 0,
                };
                // A program that waits for its answers has stopped long before.
                if self.refused > self.wait.client().refused_publishes() {
                    return Err(End::Closes(Close::TooMany));
                }
                socket.send(frames::message(&answer)).await?;
            }
            Message::Binary(_) => return Err(End::Closes(Close::Binary)),
            // A pong was asked for as a sign of life. A ping, or a close, is answered
            // by tungstenite, on the next read. `Frame` is for those who write frames
            // by hand.
            Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_) => {}
        }
        Ok(())
    }
    // ANCHOR_END: read

    // ANCHOR: write
    /// Writes what the wait came to.
    pub(crate) async fn write(
        &mut self,
        socket: &mut Socket,
        next: Next,
    ) -> Result<(), End> {
        match next {
            // `feed` writes when the buffer is full, so that a batch goes out in a few
            // writes and not in one for each event.
            Next::Batch(batch) => {
                for event in batch.events {
                    // A right may be withdrawn while the peer takes its time.
                    if !self.wait.sees(&event) {
                        continue;
                    }
                    let text = self.server.messages.get(&event, frames::event);
                    socket.feed(Message::Text(text)).await?;
                }
            }
            Next::Gap(gap) => {
                socket
                    .feed(frames::message(&ServerMessage::Gap(gap)))
                    .await?
            }
            // Also while events are sent, since the limit is set anew here alone. The
            // heartbeat is for the page, which sees no pings; the ping asks for a sign
            // of life.
            Next::Silence => {
                self.wait.limit_silence(self.server.config.heartbeat);
                let every = self.every();
                let heartbeat = ServerMessage::Heartbeat(Heartbeat {
                    every,
                    // Past events that this client may not see.
                    cursor: self.wait.access().map(|_| self.wait.cursor()),
                });
                socket.feed(frames::message(&heartbeat)).await?;
                socket.feed(Message::Ping(Bytes::new())).await?;
            }
            Next::Finished => return Err(End::Closes(Close::Finished)),
            // To the client it is the same: this server is no longer for it.
            Next::Ending | Next::Aged => return Err(Interrupted::Ending.into()),
            Next::Over(over) => return Err(Interrupted::Over(over).into()),
            Next::Cut => return Err(Interrupted::Cut.into()),
        }
        Ok(socket.flush().await?)
    }
    // ANCHOR_END: write

    /// The heartbeat as the client is sent it, in milliseconds.
    fn every(&self) -> u64 {
        self.server
            .config
            .heartbeat
            .as_millis()
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

impl From<Interrupted> for End {
    fn from(why: Interrupted) -> Self {
        match why {
            Interrupted::Ending => Self::Closes(Close::Shutdown),
            Interrupted::Over(Over::Renew) => Self::Closes(Close::Renew),
            Interrupted::Over(Over::Denied) => Self::Closes(Close::Denied),
            Interrupted::Cut => Self::Dropped,
        }
    }
}

// ANCHOR: answer
/// Does what a message asks for; the answer to it. Where the text is no message, the
/// connection stays: the peer has spoken WebSocket well.
async fn answer(room: &Room, wait: &Wait, text: &str) -> ServerMessage {
    // What cannot be read counts as well: to refuse it takes as long.
    let admitted = wait.client().publish();
    let (reference, event) = match ClientMessage::read(text) {
        Ok(ClientMessage::Publish(publish)) => publish.into_event(),
        // It comes before `hello`, where it was asked for.
        Ok(ClientMessage::Auth(_)) => {
            let problem = Problem::bad_event("no credential is asked for now");
            room.count_refusal(&problem);
            return frames::refusal(None, problem);
        }
        Err(unreadable) => {
            let bad = Problem::bad_event(&unreadable);
            let problem = admitted.err().unwrap_or(bad);
            room.count_refusal(&problem);
            return frames::refusal(unreadable.reference, problem);
        }
    };
    if let Err(problem) = admitted {
        room.count_refusal(&problem);
        return frames::refusal(Some(reference), problem);
    }
    // The ref is the Idempotency-Key of a `POST`.
    let published = room.publish_as(wait.access(), Some(reference.clone()), event);
    match published.await {
        Ok(published) => frames::ack(reference, published.cursor),
        Err(problem) => {
            room.count_refusal(&problem);
            frames::refusal(Some(reference), problem)
        }
    }
}
// ANCHOR_END: answer

fn is_too_many(answer: &ServerMessage) -> bool {
    match answer {
        ServerMessage::Error(refusal) => {
            refusal.problem.kind() == Some(ProblemKind::TooMany)
        }
        _ => false,
    }
}
