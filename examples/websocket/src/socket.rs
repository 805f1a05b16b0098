//! One open socket: one task that reads and writes, both always.

use crate::{
    close::End,
    frames,
    tunnel::{Heard, Socket},
};
use bytes::Bytes;
use contract::{
    socket::{ClientMessage, Close, ServerMessage},
    Heartbeat, Hello, Problem,
};
use futures_util::{
    stream::{SplitSink, SplitStream},
    SinkExt, StreamExt,
};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use waiting::{Framings, Interrupted, Next, Room, Wait};

/// How many answers may wait until they are written.
///
/// Enough for a burst of strokes from one pointer. A client that publishes and does not
/// read its answers is not read from any more when these are full: TCP then tells it to
/// wait.
const ANSWERS: usize = 16;

/// Boxed, since tokio's channel makes room for 32 at once, on every socket, and most
/// never publish.
type Answer = Box<ServerMessage>;

// ANCHOR: held
/// What one open socket holds: its wait. No queue of events, and no second task.
pub(crate) struct Connection {
    pub(crate) wait: Wait,
    /// To publish into.
    pub(crate) room: Room,
    /// The message of each event, made once for all sockets.
    pub(crate) messages: Framings<Utf8Bytes>,
    /// How often a heartbeat and a ping are sent.
    pub(crate) heartbeat: Duration,
    /// How long the peer may need to answer a close.
    pub(crate) close_patience: Duration,
}
// ANCHOR_END: held

impl Connection {
    // ANCHOR: run
    /// Serves the socket to its end.
    pub(crate) async fn run(mut self, socket: Socket) {
        let heard = socket.get_ref().heard();
        let (mut sink, mut stream) = socket.split();
        let (answers, answered) = mpsc::channel(ANSWERS);
        let reader = Reader {
            room: self.room,
            answers,
            heard,
            silence: self.heartbeat * 2,
        };
        let interrupted = self.wait.interrupted();
        let writer = Writer {
            wait: &mut self.wait,
            messages: self.messages,
            answered,
            heartbeat: self.heartbeat,
        };
        // Not `biased`: reading and writing both spend the task's budget of work in one
        // turn, and whoever always came first could leave the other nothing.
        let end = tokio::select! {
            // Cancel-safe. The writer hears of it too, but not while it waits for the
            // peer to read.
            why = interrupted => why.into(),
            // Each of the two is dropped only when the socket's work is over. What the
            // writer was writing is then in tungstenite's buffer, in whole frames, so
            // that a close can still follow it.
            end = reader.run(&mut stream) => end,
            end = writer.run(&mut sink) => end,
        };
        end.close((sink, stream), self.wait, self.close_patience)
            .await;
    }
    // ANCHOR_END: run
}

impl From<Interrupted> for End {
    fn from(why: Interrupted) -> Self {
        match why {
            Interrupted::Ending => Self::Closes(Close::Shutdown),
            Interrupted::Cut => Self::Dropped,
        }
    }
}

/// Reads, as long as the socket lives. It is reading that notices a close or a lost
/// connection, that takes in the pongs, and that makes tungstenite answer a ping.
struct Reader {
    room: Room,
    /// To the writer: this half of the socket cannot write.
    answers: mpsc::Sender<Answer>,
    /// When the peer gave its last sign of life.
    heard: Heard,
    /// How long it may give none.
    silence: Duration,
}

impl Reader {
    async fn run(self, stream: &mut SplitStream<Socket>) -> End {
        let read = async {
            loop {
                if let Err(end) = self.read_message(stream).await {
                    return end;
                }
            }
        };
        tokio::select! {
            // Dropped only when the socket's work is over.
            end = read => end,
            // Cancel-safe: it only waits. Bytes and not messages: a large one may take
            // long to arrive. Where this half waits for a place for an answer it reads
            // nothing, and so hears nothing.
            () = self.heard.silence(self.silence) => End::Dropped,
        }
    }

    async fn read_message(&self, stream: &mut SplitStream<Socket>) -> Result<(), End> {
        match stream.next().await.ok_or(End::Gone)?? {
            Message::Text(text) => {
                // The place first, and then the log: an answer that had to wait would
                // come after its event. An error says that the writer is gone, and then
                // both are.
                let place = self.answers.reserve().await.map_err(|_| End::Gone)?;
                place.send(answer(&self.room, &text).await.into());
                Ok(())
            }
            Message::Binary(_) => Err(End::Closes(Close::Binary)),
            // A pong is the sign of life that was asked for. A ping, or a close, is
            // answered by tungstenite, on the next read. `Frame` is for those who write
            // frames by hand.
            Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_) => Ok(()),
        }
    }
}

// ANCHOR: answer
/// Does what a message asks for; the answer to it. Where the text is no message, the
/// connection stays: the peer has spoken WebSocket well.
async fn answer(room: &Room, text: &str) -> ServerMessage {
    let (reference, event) = match ClientMessage::read(text) {
        Ok(ClientMessage::Publish(publish)) => publish.into_event(),
        Err(unreadable) => {
            let problem = Problem::bad_event(&unreadable);
            room.count_refusal(&problem);
            return frames::refusal(unreadable.reference, problem);
        }
    };
    // The ref is the Idempotency-Key of a `POST`.
    match room.publish(Some(reference.clone()), event).await {
        Ok(published) => frames::ack(reference, published.cursor),
        Err(problem) => {
            room.count_refusal(&problem);
            frames::refusal(Some(reference), problem)
        }
    }
}
// ANCHOR_END: answer

/// Writes, as long as the socket lives.
struct Writer<'a> {
    wait: &'a mut Wait,
    messages: Framings<Utf8Bytes>,
    /// From the reader.
    answered: mpsc::Receiver<Answer>,
    heartbeat: Duration,
}

impl Writer<'_> {
    async fn run(mut self, sink: &mut SplitSink<Socket, Message>) -> End {
        self.write(sink).await.unwrap_or_else(End::from)
    }

    // ANCHOR: write
    async fn write(
        &mut self,
        sink: &mut SplitSink<Socket, Message>,
    ) -> Result<End, tungstenite::Error> {
        let every = self.heartbeat.as_millis().try_into().unwrap_or(u64::MAX);
        let cursor = self.wait.cursor();
        let hello = ServerMessage::Hello(Hello { cursor, every });
        sink.send(frames::message(&hello)).await?;
        self.wait.limit_silence(self.heartbeat);
        loop {
            let next = tokio::select! {
                // In this order: an answer is written before the event that it is
                // about, since the reader has a place for it before the log has the
                // event. Answers run out, so that events follow: no new ones come while
                // this half of the task is at work.
                biased;
                // Cancel-safe: an answer that is not taken stays in the channel.
                Some(answer) = self.answered.recv() => {
                    sink.send(frames::message(&answer)).await?;
                    continue;
                }
                // Cancel-safe: it promises it.
                next = self.wait.next() => next,
            };
            match next {
                // Written when the buffer is full, and when it is flushed, so that a
                // batch goes out in a few writes and not in one for each event.
                Next::Batch(batch) => {
                    for event in batch.events {
                        let text = self.messages.get(&event, frames::event);
                        sink.feed(Message::Text(text)).await?;
                    }
                }
                Next::Gap(gap) => {
                    sink.feed(frames::message(&ServerMessage::Gap(gap))).await?
                }
                // Also while events are sent, since the limit is set anew here alone.
                // The heartbeat is for the page, which sees no pings; the ping asks for
                // a sign of life.
                Next::Silence => {
                    self.wait.limit_silence(self.heartbeat);
                    let heartbeat = ServerMessage::Heartbeat(Heartbeat { every });
                    sink.feed(frames::message(&heartbeat)).await?;
                    sink.feed(Message::Ping(Bytes::new())).await?;
                }
                Next::Finished => return Ok(End::Closes(Close::Finished)),
                Next::Ending => return Ok(Interrupted::Ending.into()),
                Next::Cut => return Ok(Interrupted::Cut.into()),
            }
            sink.flush().await?;
        }
    }
    // ANCHOR_END: write
}
