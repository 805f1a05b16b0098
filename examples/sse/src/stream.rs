//! One response that never ends.

use crate::framing;
use bytes::Bytes;
use contract::EndReason;
use feed::{Delivery, Encoding, Event, Subscription};
use futures_util::{stream, Stream};
use serving::{Cut, Cuttable, Slot};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

// ANCHOR: connection
// ANCHOR: held
/// What one open stream holds: a place in the log, and what is framed but not yet
/// written. No queue and no task.
pub(crate) struct Connection {
    /// The wait for the next entry.
    pub(crate) subscription: Subscription,
    /// Where each event keeps its framing, made once for all streams.
    pub(crate) encoding: Encoding,
    /// Completes when the server ends. Boxed and kept, so that the wait is registered
    /// once and not for each event.
    pub(crate) ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Breaks this stream where a reader asked for that.
    pub(crate) cuttable: Cuttable,
    /// The longest silence.
    pub(crate) every: Duration,
    /// This stream's place among those that the server allows; free again when the
    /// client goes and hyper drops the body.
    pub(crate) _slot: Slot,
    /// Blocks to write before the log is asked again.
    pub(crate) blocks: std::vec::IntoIter<Bytes>,
    /// The rest of a batch: references to shared events, at most [`feed::BATCH_EVENTS`]
    /// of them.
    pub(crate) batch: std::vec::IntoIter<Arc<Event>>,
    /// Whether the last word was said.
    pub(crate) over: bool,
}
// ANCHOR_END: held

impl Connection {
    /// The response's body. hyper asks for a block when it has room for one, so a
    /// client that does not read stops the asking, and costs no more than this struct
    /// and the socket's buffers.
    pub(crate) fn into_body(self) -> impl Stream<Item = Result<Bytes, Cut>> + Send {
        stream::unfold(self, |mut connection| async move {
            connection.next().await.map(|block| (block, connection))
        })
    }

    // ANCHOR: next
    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        loop {
            // As long as these have something, hyper gets it without a wait in between,
            // and writes many blocks with one system call.
            if let Some(block) = self.blocks.next() {
                return Some(Ok(block));
            }
            if let Some(event) = self.batch.next() {
                return Some(Ok(event.encoded(self.encoding, framing::event)));
            }
            if self.over {
                return None;
            }
            tokio::select! {
                // In this order: a connection that is cut or ends must do so even while
                // events pour in.
                biased;
                // Cancel-safe: the token stays cancelled.
                () = self.cuttable.cut() => {
                    self.over = true;
                    return Some(Err(Cut));
                }
                // Cancel-safe: polled in place, and never again once it has completed,
                // because `over` is set.
                () = &mut self.ending => self.end(EndReason::Shutdown),
                // Cancel-safe, both: `next` moves its cursor only when it returns, and
                // a silence starts anew.
                delivery = tokio::time::timeout(self.every, self.subscription.next()) => match delivery {
                    Ok(Some(Delivery::Batch(batch))) => self.batch = batch.events.into_iter(),
                    Ok(Some(Delivery::Gap(gap))) => return Some(Ok(framing::gap(gap))),
                    Ok(None) => self.end(EndReason::Finished),
                    Err(_silence) => return Some(Ok(self.heartbeat())),
                },
            }
        }
    }
    // ANCHOR_END: next
    // ANCHOR_END: connection

    fn heartbeat(&self) -> Bytes {
        framing::heartbeat(self.subscription.cursor(), self.every)
    }

    fn end(&mut self, reason: EndReason) {
        self.over = true;
        self.blocks = vec![framing::end(reason)].into_iter();
    }
}
