//! A request that waits.

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use feed::{Batch, Delivery, Subscription, BATCH_BYTES, BATCH_EVENTS};
use futures_util::stream::{self, StreamExt};
use serving::{Cut, Cuttable, Slot};
use std::{future::Future, pin::Pin, time::Duration};
use tokio::time::sleep;

// ANCHOR: held
/// What one parked request holds: a place in the log, and no queue, no task and no
/// thread. It is dropped as soon as the client is seen to have gone (by hyper, or where
/// that does not look, by the edge), and then its place is free again.
pub(crate) struct Parked {
    /// The wait for the next entry.
    pub(crate) subscription: Subscription,
    /// Completes when the server ends. Boxed and kept, so that the wait is registered
    /// once and not for each event.
    pub(crate) ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Breaks this request where a reader asked for that.
    pub(crate) cuttable: Cuttable,
    /// This request's place among those that the server allows.
    pub(crate) _slot: Slot,
}
// ANCHOR_END: held

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There is something to answer: events, a gap, or the end of the log.
    Due,
    /// Nothing came in time.
    TimedOut,
    /// The server ends.
    Ending,
    /// A reader asked for this request to break.
    Cut,
}

impl Parked {
    // ANCHOR: wait
    /// Waits until something is due, at most this long; then for what else comes within
    /// the linger.
    pub(crate) async fn wait(&mut self, longest: Duration, linger: Duration) -> Woken {
        let delivery = tokio::select! {
            // In this order: a request that is cut or ends must do so even while events
            // pour in.
            biased;
            // Cancel-safe: the token stays cancelled.
            () = self.cuttable.cut() => return Woken::Cut,
            // Cancel-safe: polled in place, and not again here once it has completed.
            () = &mut self.ending => return Woken::Ending,
            // Cancel-safe: its cursor moves only when it returns. It registers for the
            // wake-up and then looks, so an event that came since the handler looked is
            // found and not slept over.
            delivery = self.subscription.next() => delivery,
            // Cancel-safe: it only waits. Last, so that what came in the same moment is
            // answered.
            () = sleep(longest) => return Woken::TimedOut,
        };
        match delivery {
            Some(Delivery::Batch(batch)) => self.linger(batch, linger).await,
            // A gap is answered at once, and so is the end of the log: nothing can join
            // them.
            Some(Delivery::Gap(_)) | None => Woken::Due,
        }
    }
    // ANCHOR_END: wait

    // ANCHOR: linger
    /// Stays a moment for the rest of a burst. An answer costs the client a whole
    /// request before it can wait again, and the next event of the burst would find
    /// nobody waiting.
    async fn linger(&mut self, first: Batch, linger: Duration) -> Woken {
        let mut page = Size::default();
        let mut batch = first;
        let mut over = std::pin::pin!(sleep(linger));
        while !page.is_full_with(&batch) {
            tokio::select! {
                biased;
                // Cancel-safe: the token stays cancelled.
                () = self.cuttable.cut() => return Woken::Cut,
                // Cancel-safe, and not polled again. What is due is answered still, for
                // it is here.
                () = &mut self.ending => break,
                // Cancel-safe: polled in place. Before the log, or a log that never
                // rests would hold the answer back until the page is full.
                () = &mut over => break,
                // Cancel-safe. Nothing that it hands out is kept but its size: the page
                // is read from the request's own cursor.
                delivery = self.subscription.next() => match delivery {
                    Some(Delivery::Batch(more)) => batch = more,
                    // The page will meet them when it is read.
                    Some(Delivery::Gap(_)) | None => break,
                },
            }
        }
        Woken::Due
    }
    // ANCHOR_END: linger
}

/// How much a page would hold.
#[derive(Default)]
struct Size {
    events: usize,
    bytes: usize,
}

impl Size {
    /// Adds a batch. Whether the page is full then, so that waiting longer would bring
    /// nothing into it.
    fn is_full_with(&mut self, batch: &Batch) -> bool {
        self.events += batch.events.len();
        self.bytes += batch.events.iter().map(|it| it.json().len()).sum::<usize>();
        self.events >= BATCH_EVENTS || self.bytes >= BATCH_BYTES
    }
}

/// An answer that breaks off in the middle, for a request that is cut.
pub(crate) fn broken() -> Response {
    // It has to begin. A browser that finds its connection closed before any byte of an
    // answer asks again by itself, and its page would see nothing of the cut.
    let beginning = stream::iter([Ok(Bytes::from_static(b"{"))]);
    let end = stream::once(async {
        // Lets hyper write what it has before it meets the error.
        tokio::task::yield_now().await;
        Err(Cut)
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        // More than will come. Without it the body would be chunked, and would lack its
        // last chunk: the same to a client.
        (header::CONTENT_LENGTH, "64"),
    ];
    (headers, Body::from_stream(beginning.chain(end))).into_response()
}
