//! One client's wait for the next entry.

use crate::{
    access::{self, Watched},
    counts::Counts,
    cuts::Cuttable,
    silence::Silence,
    Access, Over, Place,
};
use contract::{metrics::WaitEnd, Cursor, Gap, GapReason, Status};
use feed::{Batch, Delivery, Event, Subscription};
use shares::Client;
use signal::{Raised, Signal};
use std::{
    future::{poll_fn, Future},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

// ANCHOR: next_enum
/// What a wait comes to.
#[derive(Debug)]
pub enum Next {
    /// Events, in order; at least one.
    Batch(Batch),
    /// Events were missed. What follows comes after [`Gap::resume`].
    Gap(Gap),
    /// Nothing has happened for as long as the method allows.
    Silence,
    /// The log is complete, and this client has all of it.
    Finished,
    /// The server ends.
    Ending,
    /// This wait has lasted as long as one may: the client is to come back, perhaps to
    /// another server ([`Door::with_max_age`](crate::Door::with_max_age)).
    Aged,
    /// A reader asked for this connection to break.
    Cut,
    /// This reader may not listen any more, or only with another credential.
    Over(Over),
}
// ANCHOR_END: next_enum

/// Those of [`Next`] that a method may have to notice also while it does not wait for
/// the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// As [`Next::Ending`].
    Ending,
    /// As [`Next::Cut`].
    Cut,
    /// As [`Next::Over`].
    Over(Over),
}

// ANCHOR: wait
/// A client's place in the log, and the wait for what comes after it. It is all that an
/// open connection holds of the log: no queue and no task.
#[derive(Debug)]
pub struct Wait {
    /// The wait for the next entry.
    subscription: Subscription,
    /// Comes before all else of the log: the client's last place is none of this log.
    gap: Option<Gap>,
    /// How long nothing may happen. It has a timer, kept for the same reason as `end`.
    silence: Silence,
    /// Completes when the server ends. Kept, as is the one of the cut, so that it is
    /// registered once and not for each event.
    end: Raised,
    /// Breaks this connection where a reader asked for that.
    cut: Cuttable,
    /// What this reader may see, and until when. Boxed: most have none, and need no
    /// room for it.
    access: Option<Box<Watched>>,
    /// This client's place among those that may wait; free again when this is dropped.
    place: Place,
    /// What is counted of it.
    counted: Counted,
}
// ANCHOR_END: wait

#[derive(Debug)]
struct Counted {
    counts: Arc<Counts>,
    /// Whether it belongs to a request that gets one answer, and not to a stream.
    one_answer: bool,
    /// Whether a call of `next` has not returned.
    asleep: bool,
    /// Whether something of the log was due.
    due: bool,
    /// Whether it was told that it is old.
    aged: bool,
}

impl Wait {
    pub(crate) fn new(
        place: Place,
        subscription: Subscription,
        cut: Cuttable,
        access: Option<Access>,
        end: Raised,
        age: Option<Duration>,
        counts: Arc<Counts>,
    ) -> Self {
        counts.wait_opens();
        let mut silence = Silence::default();
        silence.set_end(age);
        Self {
            subscription,
            gap: None,
            silence,
            end,
            cut,
            access: access.map(|access| Box::new(Watched::new(access))),
            place,
            counted: Counted {
                counts,
                one_answer: false,
                asleep: false,
                due: false,
                aged: false,
            },
        }
    }

    /// The same, for a request that gets one answer. It has no age: it ends soon, and
    /// the next one may go elsewhere.
    pub(crate) fn for_one_answer(mut self) -> Self {
        self.silence.set_end(None);
        self.counted.one_answer = true;
        self
    }

    /// The same, after a gap of which nobody knows how much it hides.
    pub(crate) fn after_unknown_gap(mut self) -> Self {
        self.gap = Some(Gap {
            reason: GapReason::Unknown,
            asked: None,
            resume: self.cursor(),
        });
        self
    }

    /// The client's cursor: after all that `next` has returned.
    pub fn cursor(&self) -> Cursor {
        self.subscription.cursor()
    }

    /// Whose wait it is.
    pub fn client(&self) -> &Client {
        self.place.client()
    }

    /// Whether the log is complete and the client has all of it, so that it need not
    /// wait.
    pub fn is_finished(&self) -> bool {
        self.subscription.is_finished()
    }

    // ANCHOR: limit
    /// From now on, [`next`](Self::next) waits no longer than this; then it returns
    /// [`Next::Silence`], and so does every later call until the limit is set anew.
    pub fn limit_silence(&mut self, limit: Duration) {
        self.silence.set_limit(limit);
    }
    // ANCHOR_END: limit

    /// Whether [`next`](Self::next) would return [`Next::Aged`].
    pub fn is_aged(&self) -> bool {
        self.silence.is_over()
    }

    /// When the limit of the silence is reached, or the wait is aged, if one is set.
    pub fn deadline(&self) -> Option<Instant> {
        self.silence.limit()
    }

    /// Whether this event may still be shown to this reader. [`next`](Self::next) gives
    /// out nothing else; but of what it gave out, some may wait to be written while a
    /// right is withdrawn. So a method asks again before it writes an event.
    pub fn sees(&self, event: &Event) -> bool {
        self.access().is_none_or(|access| access.sees(event))
    }

    /// What this reader may do, where it is known.
    pub fn access(&self) -> Option<&Access> {
        self.access.as_ref().map(|watched| watched.access())
    }

    /// Why this reader's access is over, if it is.
    pub fn over(&self) -> Option<Over> {
        self.access()?.over()
    }

    /// Moves after these events, and counts them as delivered: for a method that has
    /// read them once for many clients. They are the first after the cursor; `log` is
    /// what the log held when they were read.
    pub fn advance(&mut self, events: &[Arc<Event>], log: &Status) {
        if let Some(last) = events.last() {
            let count = events.len();
            self.counted
                .counts
                .delivers_after(self.cursor(), count, log);
            self.subscription.move_after(last.cursor());
        }
    }

    // ANCHOR: next
    /// Waits for whatever comes first: events, a gap, too long a silence, the end of
    /// the log, of the server, of the reader's access or of the wait's own age, or a
    /// cut.
    ///
    /// Cancel-safe: the cursor moves only when a batch or a gap is returned, and past
    /// what this reader may not see; and the limit stays where it is. A caller may drop
    /// the future and call again.
    pub async fn next(&mut self) -> Next {
        self.counted.asleep = true;
        let next = loop {
            let next = tokio::select! {
                // In this order, and not in a random one: a connection that is cut, or
                // has to end, must do so even while events pour in. So must a silence,
                // since a method may limit it by the clock alone, to gather a burst or
                // to send pings. The events come with the next call.
                biased;
                // Cancel-safe: a signal that was raised stays so.
                () = self.cut.cut() => Next::Cut,
                // Cancel-safe: polled in place, and the signal stays raised.
                () = &mut self.end => Next::Ending,
                // Cancel-safe: the same, and a time that is kept.
                over = access::over(&mut self.access) => Next::Over(over),
                // Cancel-safe: it only waits, until a time that is kept.
                () = self.silence.passes() => match self.silence.is_over() {
                    true => Next::Aged,
                    false => Next::Silence,
                },
                // Cancel-safe: the gap is removed and the cursor moves only in the poll
                // that returns. It registers for the wake-up and then looks at the log,
                // so an event that comes between two calls is found.
                next = due(&mut self.gap, &mut self.subscription) => next,
            };
            match (next, &self.access) {
                // Where nothing of it is for this reader, it sleeps on, past it.
                (Next::Batch(mut batch), Some(watched)) => {
                    if watched.filter(&mut batch) {
                        break Next::Batch(batch);
                    }
                }
                (next, _) => break next,
            }
        };
        self.counted.wakes(&next);
        next
    }
    // ANCHOR_END: next

    /// Completes when the server ends, the reader's access is over, or the connection
    /// is cut: for a method that has to stop even while it waits to write to its peer,
    /// and so does not call [`next`](Self::next). Cancel-safe.
    pub fn interrupted(&self) -> impl Future<Output = Interrupted> + Send + 'static {
        let mut end = self.end.signal().raised();
        let mut cut = self.cut.signal().map(Signal::raised);
        let access = self.access().cloned();
        let mut access = access.map(|access| Box::new(Watched::new(access)));
        // In the order of `next`. By hand: `select!` in an `async` block would hold
        // all of them twice, for as long as the connection lasts.
        poll_fn(move |cx| {
            let cut = cut.as_mut().map(|cut| Pin::new(cut).poll(cx));
            if let Some(Poll::Ready(())) = cut {
                return Poll::Ready(Interrupted::Cut);
            }
            if Pin::new(&mut end).poll(cx).is_ready() {
                return Poll::Ready(Interrupted::Ending);
            }
            match &mut access {
                Some(watched) => watched.poll_over(cx).map(Interrupted::Over),
                None => Poll::Pending,
            }
        })
    }
}

impl Counted {
    /// `next` returns this.
    fn wakes(&mut self, next: &Next) {
        self.asleep = false;
        self.due |= matches!(next, Next::Batch(_) | Next::Gap(_));
        self.aged |= matches!(next, Next::Aged);
        // What a request is answered with is counted with its page.
        match next {
            Next::Batch(batch) if !self.one_answer => self.counts.delivers(batch),
            Next::Gap(gap) if !self.one_answer => self.counts.gap(gap),
            _ => {}
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Counted {
            one_answer,
            asleep,
            due,
            ..
        } = self.counted;
        let end = if self.cut.is_cut() {
            WaitEnd::Cut
        } else if self.end.signal().is_raised() {
            WaitEnd::Shutdown
        } else if self.counted.aged {
            WaitEnd::Aged
        } else if self.subscription.is_finished() {
            WaitEnd::Finished
        } else if let Some(over) = self.over() {
            match over {
                Over::Denied => WaitEnd::Denied,
                Over::Renew => WaitEnd::Renew,
            }
        } else if asleep || !one_answer {
            WaitEnd::Gone
        } else if due {
            WaitEnd::Answered
        } else {
            WaitEnd::TimedOut
        };
        self.counted.counts.wait_ends(end);
    }
}

async fn due(gap: &mut Option<Gap>, subscription: &mut Subscription) -> Next {
    if let Some(gap) = gap.take() {
        return Next::Gap(gap);
    }
    match subscription.next().await {
        Some(Delivery::Batch(batch)) => Next::Batch(batch),
        Some(Delivery::Gap(gap)) => Next::Gap(gap),
        None => Next::Finished,
    }
}
