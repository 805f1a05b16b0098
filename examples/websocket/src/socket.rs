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
use feed::{Delivery, Encoding, Feed, Subscription};
use futures_util::{
    stream::{SplitSink, SplitStream},
    SinkExt, StreamExt,
};
use serving::{Cuttable, Ending, Slot};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{interval_at, Instant, MissedTickBehavior},
};
use tokio_tungstenite::tungstenite::{self, Message};

/// How many answers may wait until they are written.
///
/// Enough for a burst of strokes from one pointer. A client that publishes and does not
/// read its answers is not read from any more when these are full: TCP then tells it to
/// wait.
const ANSWERS: usize = 16;

/// Boxed, since tokio's channel makes room for 32 at once, on every socket, and most
/// never publish.
type Answer = Box<ServerMessage>;

/// What one open socket holds: a place in the log. No queue of events, and no second
/// task.
pub(crate) struct Connection {
    /// The log, to publish into.
    pub(crate) feed: Feed,
    /// The wait for the next entry.
    pub(crate) subscription: Subscription,
    /// Where each event keeps its framing, made once for all sockets.
    pub(crate) encoding: Encoding,
    /// Tells when the server ends.
    pub(crate) ending: Ending,
    /// Breaks this socket where a reader asked for that.
    pub(crate) cuttable: Cuttable,
    /// How often a heartbeat and a ping are sent.
    pub(crate) heartbeat: Duration,
    /// How long the peer may take to answer a close.
    pub(crate) close_patience: Duration,
    /// This socket's place among those that the server allows; free again when the
    /// socket's work is over.
    pub(crate) place: Slot,
}

impl Connection {
    /// Serves the socket to its end.
    pub(crate) async fn run(self, socket: Socket) {
        let heard = socket.get_ref().heard();
        let (mut sink, mut stream) = socket.split();
        let (answers, answered) = mpsc::channel(ANSWERS);
        let reader = Reader {
            feed: self.feed,
            answers,
            heard,
            silence: self.heartbeat * 2,
        };
        let writer = Writer {
            subscription: self.subscription,
            encoding: self.encoding,
            answered,
            heartbeat: self.heartbeat,
        };
        // Not `biased`: reading and writing both spend the task's budget of work in one
        // turn, and whoever always came first could leave the other nothing.
        let end = tokio::select! {
            // Cancel-safe: the token stays cancelled.
            () = self.cuttable.cut() => End::Dropped,
            // Cancel-safe: it only waits.
            () = self.ending.begun() => End::Closes(Close::Shutdown),
            // Each of the two is dropped only when the socket's work is over. What the
            // writer was writing is then in tungstenite's buffer, in whole frames, so
            // that a close can still follow it.
            end = reader.run(&mut stream) => end,
            end = writer.run(&mut sink) => end,
        };
        end.say((sink, stream), self.place, self.close_patience)
            .await;
    }
}

/// Reads, as long as the socket lives. It is reading that notices a close or a lost
/// connection, that takes in the pongs, and that makes tungstenite answer a ping.
struct Reader {
    feed: Feed,
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
                if let Err(end) = self.turn(stream).await {
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

    async fn turn(&self, stream: &mut SplitStream<Socket>) -> Result<(), End> {
        match stream.next().await.ok_or(End::Gone)?? {
            Message::Text(text) => {
                // The place first, and then the log: an answer that had to wait would
                // come after its event. An error says that the writer is gone, and then
                // both are.
                let place = self.answers.reserve().await.map_err(|_| End::Gone)?;
                place.send(answer(&self.feed, &text).await);
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

/// Does what a message asks for; the answer to it.
async fn answer(feed: &Feed, text: &str) -> Answer {
    // A text that is no message leaves the connection as it is: the peer's WebSocket is
    // sound.
    let publish = match ClientMessage::read(text) {
        Ok(ClientMessage::Publish(publish)) => publish,
        Err(error) => {
            let reference = error.reference.clone();
            return frames::refusal(reference, Problem::bad_event(error)).into();
        }
    };
    let (reference, event) = publish.into_event();
    let published = feed.publish_once(reference.clone(), event.kind, event.data);
    let answer = match published.await {
        Ok(published) => frames::ack(reference, published.cursor),
        Err(error) => frames::refusal(Some(reference), error.into()),
    };
    answer.into()
}

/// Writes, as long as the socket lives.
struct Writer {
    subscription: Subscription,
    encoding: Encoding,
    /// From the reader.
    answered: mpsc::Receiver<Answer>,
    heartbeat: Duration,
}

impl Writer {
    async fn run(mut self, sink: &mut SplitSink<Socket, Message>) -> End {
        match self.write(sink).await {
            Ok(end) => end,
            Err(error) => End::from(error),
        }
    }

    async fn write(
        &mut self,
        sink: &mut SplitSink<Socket, Message>,
    ) -> Result<End, tungstenite::Error> {
        let every = self.heartbeat.as_millis().try_into().unwrap_or(u64::MAX);
        let cursor = self.subscription.cursor();
        let hello = ServerMessage::Hello(Hello { cursor, every });
        sink.send(frames::message(&hello)).await?;
        let mut beats = interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        // After a write that waited, one heartbeat is enough.
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: an answer is written before the event that it is
                // about, since the reader has a place for it before the log has the
                // event. Answers run out, so that events follow: no new ones come while
                // this half of the task is at work.
                biased;
                // Cancel-safe: a tick that is not taken stays due.
                _ = beats.tick() => {
                    let heartbeat = ServerMessage::Heartbeat(Heartbeat { every });
                    // The heartbeat is for the page, which sees no pings; the ping asks
                    // for a sign of life.
                    sink.feed(frames::message(&heartbeat)).await?;
                    sink.feed(Message::Ping(Bytes::new())).await?;
                }
                // Cancel-safe: an answer that is not taken stays in the channel.
                Some(answer) = self.answered.recv() => sink.feed(frames::message(&answer)).await?,
                // Cancel-safe: its cursor moves only when it returns.
                delivery = self.subscription.next() => match delivery {
                    Some(delivery) => self.deliver(delivery, sink).await?,
                    None => return Ok(End::Closes(Close::Finished)),
                },
            }
            sink.flush().await?;
        }
    }

    /// Hands over what was due: written when the buffer is full, and when it is
    /// flushed, so that a batch goes out in a few writes and not in one for each event.
    async fn deliver(
        &self,
        delivery: Delivery,
        sink: &mut SplitSink<Socket, Message>,
    ) -> Result<(), tungstenite::Error> {
        match delivery {
            Delivery::Batch(batch) => {
                for event in batch.events {
                    sink.feed(frames::event(&event, self.encoding)).await?;
                }
                Ok(())
            }
            Delivery::Gap(gap) => {
                sink.feed(frames::message(&ServerMessage::Gap(gap))).await
            }
        }
    }
}
