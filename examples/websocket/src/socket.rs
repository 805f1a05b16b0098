//! One open socket: one task that reads and writes, both always.

use crate::{
    close::{Close, End},
    frames,
};
use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use feed::{
    contract::{ClientMessage, Heartbeat, Hello, ServerMessage},
    Delivery, Encoding, Feed, IdempotencyKey, Subscription,
};
use futures_util::{
    stream::{SplitSink, SplitStream},
    SinkExt, StreamExt,
};
use serde::Deserialize;
use serving::{Cuttable, Ending, Problem, Slot};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{interval_at, timeout, Instant, MissedTickBehavior},
};

/// How many answers may wait until they are written.
///
/// Enough for a burst of strokes from one pointer. A client that publishes and does not read its answers is not read from any
/// more when these are full: TCP then tells it to wait.
const ANSWERS: usize = 16;

/// Boxed, since tokio's channel makes room for 32 at once, on every socket, and most never publish.
type Answer = Box<ServerMessage>;

// ANCHOR: connection
// ANCHOR: held
/// What one open socket holds: a place in the log. No queue of events, and no second task.
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
    /// This socket's place among those that the server allows; free again when the task ends.
    pub(crate) _slot: Slot,
}
// ANCHOR_END: held

impl Connection {
    // ANCHOR: run
    /// Serves the socket to its end.
    pub(crate) async fn run(self, socket: WebSocket) {
        let (mut sink, mut stream) = socket.split();
        let (answers, answered) = mpsc::channel(ANSWERS);
        let reader = Reader {
            feed: self.feed,
            answers,
            silence: self.heartbeat * 2,
        };
        let writer = Writer {
            subscription: self.subscription,
            encoding: self.encoding,
            answered,
            heartbeat: self.heartbeat,
        };
        // Not `biased`: reading and writing both spend the task's budget of work in one turn, and whoever always came
        // first could leave the other nothing.
        let end = tokio::select! {
            // Cancel-safe: the token stays cancelled.
            () = self.cuttable.cut() => End::Dropped,
            // Cancel-safe: it only waits.
            () = self.ending.begun() => End::Closes(Close::Shutdown),
            // Each of the two is dropped only when the socket's work is over. What the writer was writing is then in
            // tungstenite's buffer, in whole frames, so that a close can still follow it.
            end = reader.run(&mut stream) => end,
            end = writer.run(&mut sink) => end,
        };
        end.say((sink, stream), self.close_patience).await;
    }
    // ANCHOR_END: run
}
// ANCHOR_END: connection

// ANCHOR: reader
/// Reads, as long as the socket lives. It is reading that notices a close or a lost connection, that takes in the pongs,
/// and that makes tungstenite answer a ping.
struct Reader {
    feed: Feed,
    /// To the writer: this half of the socket cannot write.
    answers: mpsc::Sender<Answer>,
    /// How long the peer may give no sign of life.
    silence: Duration,
}

impl Reader {
    // ANCHOR: read
    async fn run(self, stream: &mut SplitStream<WebSocket>) -> End {
        loop {
            // One deadline for the message and for its answer's place: a peer that does not read its answers is not read
            // from, and would otherwise never be missed.
            match timeout(self.silence, self.turn(stream)).await {
                Ok(Ok(())) => {}
                Ok(Err(end)) => return end,
                Err(_silence) => return End::Dropped,
            }
        }
    }

    async fn turn(&self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        match stream.next().await.ok_or(End::Gone)?? {
            Message::Text(text) => {
                let answer = answer(&self.feed, &text).await;
                // The writer is gone only where both are.
                self.answers.send(answer).await.map_err(|_| End::Gone)
            }
            Message::Binary(_) => Err(End::Closes(Close::Binary)),
            // A pong is the sign of life that was asked for. A ping, or a close, is answered by tungstenite, on the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        }
    }
    // ANCHOR_END: read
}
// ANCHOR_END: reader

// ANCHOR: answer
// ANCHOR: publish
/// Does what a message asks for; the answer to it.
async fn answer(feed: &Feed, text: &str) -> Answer {
    let publish = match serde_json::from_str(text) {
        Ok(ClientMessage::Publish(publish)) => publish,
        Err(error) => return unreadable(text, error).into(),
    };
    let reference = publish.reference;
    let published = feed.publish_once(reference.clone(), publish.kind, publish.data);
    let answer = match published.await {
        Ok(published) => frames::ack(reference, published.cursor),
        Err(error) => frames::refusal(Some(reference), &error.into()),
    };
    answer.into()
}
// ANCHOR_END: publish

/// The answer to a text that is no message. The connection stays: the peer has spoken WebSocket well.
fn unreadable(text: &str, error: serde_json::Error) -> ServerMessage {
    /// As much of a publish as its publisher needs to know which one was meant.
    #[derive(Deserialize)]
    struct Attempt {
        publish: Reference,
    }
    #[derive(Deserialize)]
    struct Reference {
        #[serde(rename = "ref")]
        reference: IdempotencyKey,
    }
    let attempt = serde_json::from_str::<Attempt>(text).ok();
    let reference = attempt.map(|attempt| attempt.publish.reference);
    frames::refusal(reference, &Problem::bad_event(error))
}
// ANCHOR_END: answer

// ANCHOR: writer
/// Writes, as long as the socket lives.
struct Writer {
    subscription: Subscription,
    encoding: Encoding,
    /// From the reader.
    answered: mpsc::Receiver<Answer>,
    heartbeat: Duration,
}

impl Writer {
    async fn run(mut self, sink: &mut SplitSink<WebSocket, Message>) -> End {
        match self.write(sink).await {
            Ok(end) => end,
            Err(error) => End::from(error),
        }
    }

    async fn write(
        &mut self,
        sink: &mut SplitSink<WebSocket, Message>,
    ) -> Result<End, axum::Error> {
        let every = self.heartbeat.as_millis().try_into().unwrap_or(u64::MAX);
        let cursor = self.subscription.cursor();
        let hello = ServerMessage::Hello(Hello { cursor, every });
        sink.send(frames::message(&hello)).await?;
        let mut beats = interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        // After a write that waited, one heartbeat is enough.
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // ANCHOR: write
        loop {
            tokio::select! {
                // In this order: an answer is written before the event that it is about. Answers run out, so that events
                // follow: no new ones come while this half of the task is at work.
                biased;
                // Cancel-safe: a tick that is not taken stays due.
                _ = beats.tick() => {
                    let heartbeat = ServerMessage::Heartbeat(Heartbeat { every });
                    // The heartbeat is for the page, which sees no pings; the ping asks for a sign of life.
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
        // ANCHOR_END: write
    }

    /// Hands over what was due: written when the buffer is full, and when it is flushed, so that a batch goes out in one
    /// write.
    async fn deliver(
        &self,
        delivery: Delivery,
        sink: &mut SplitSink<WebSocket, Message>,
    ) -> Result<(), axum::Error> {
        match delivery {
            Delivery::Batch(batch) => {
                for event in batch.events {
                    sink.feed(frames::event(&event, self.encoding)).await?;
                }
                Ok(())
            }
            Delivery::Gap(gap) => sink.feed(frames::message(&ServerMessage::Gap(gap))).await,
        }
    }
}
// ANCHOR_END: writer
