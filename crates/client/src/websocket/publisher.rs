//! What is published over a socket, until its answer comes.

use crate::{endpoint::Endpoint, Error, PATIENCE};
use contract::{socket::Publish, Cursor, Data, IdempotencyKey, Kind, Problem};
use std::collections::VecDeque;
use tokio::{
    sync::{mpsc, oneshot},
    time::{timeout, timeout_at, Instant},
};

/// How many publishes may wait until the socket takes them; more wait with their
/// callers.
const QUEUED: usize = 16;

/// Publishes over the socket of a subscription. Clones share it.
#[derive(Clone, Debug)]
pub struct Publisher(mpsc::Sender<PendingPublish>);

/// A publish that has no answer yet.
#[derive(Debug)]
pub(super) struct PendingPublish {
    pub(super) publish: Publish,
    /// To whoever waits for it, or has given up.
    answer: oneshot::Sender<Result<Cursor, Error>>,
}

impl Publisher {
    /// Publishes one event.
    ///
    /// Without a `key` it draws one. Where the connection breaks before the answer, the
    /// next one sends the same again, and by the key it stays one event.
    ///
    /// # Errors
    /// [`Error::Refused`] with the problem; [`Error::NoAnswer`] after 10 s, or where
    /// the subscription has ended.
    pub async fn publish(
        &self,
        key: Option<&IdempotencyKey>,
        kind: Kind,
        data: Data,
    ) -> Result<Cursor, Error> {
        let reference = key.cloned().unwrap_or_else(random_key);
        let publish = Publish {
            reference,
            kind,
            data,
        };
        let (answer, answered) = oneshot::channel();
        let asked = async {
            let sent = self.0.send(PendingPublish { publish, answer }).await;
            sent.ok()?;
            answered.await.ok()
        };
        let answer = timeout(PATIENCE, asked).await;
        answer.ok().flatten().unwrap_or(Err(Error::NoAnswer))
    }
}

/// A key that no other publisher draws: 128 bits of the system's randomness. A
/// generator that starts from a clock draws the same on two machines that start
/// together, and the one's event would count as a retry of the other's.
fn random_key() -> IdempotencyKey {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the system has a source of randomness");
    IdempotencyKey::from_number(u128::from_ne_bytes(bits))
}

/// A publisher, and where its publishes are sent from.
pub(super) fn channel() -> (Publisher, Outbox) {
    let (sender, queued) = mpsc::channel(QUEUED);
    let outbox = Outbox {
        queued,
        unanswered: Vec::new(),
        unsent: VecDeque::new(),
    };
    (Publisher(sender), outbox)
}

/// The publishes of one subscription that have no answer. It outlives a connection.
pub(super) struct Outbox {
    /// From the [`Publisher`]s.
    queued: mpsc::Receiver<PendingPublish>,
    /// What was sent, oldest first, and is sent again on the next connection: a publish
    /// with the same `ref` is the same event. As many as there are callers that wait,
    /// and those who gave up are cleared out.
    unanswered: Vec<PendingPublish>,
    /// What of it the connection before this one has sent, and this one has not yet.
    unsent: VecDeque<PendingPublish>,
}

impl Outbox {
    /// A new connection is open: what has no answer is sent again, in the order in
    /// which it was sent before.
    pub(super) fn resend(&mut self) {
        self.unanswered.extend(self.unsent.drain(..));
        self.unsent = std::mem::take(&mut self.unanswered).into();
    }

    /// What to send next: first what an earlier connection has sent already.
    ///
    /// Cancel-safe: what is not returned stays where it is.
    pub(super) async fn next(&mut self) -> Option<PendingPublish> {
        match self.unsent.pop_front() {
            Some(pending) => Some(pending),
            None => self.queued.recv().await,
        }
    }

    /// This was sent, and its answer is awaited.
    pub(super) fn sent(&mut self, pending: PendingPublish) {
        self.unanswered.retain(|old| !old.is_given_up());
        self.unanswered.push(pending);
    }

    /// Hands an answer to whoever waits for it. Of two who wait with the same `ref`,
    /// each gets one.
    pub(super) fn answer(
        &mut self,
        reference: &IdempotencyKey,
        answer: Result<Cursor, Error>,
    ) {
        let mut all = self.unanswered.iter();
        if let Some(index) =
            all.position(|pending| pending.publish.reference == *reference)
        {
            self.unanswered.remove(index).answer(answer);
        }
    }

    /// One of what was sent is too large. Whichever the server meant, the largest is
    /// too large as well; the others are sent again.
    pub(super) fn refuse_largest(&mut self) {
        let size = |pending: &PendingPublish| pending.publish.data.as_str().len();
        let all = self.unanswered.iter().enumerate();
        if let Some((index, _)) = all.max_by_key(|(_, pending)| size(pending)) {
            let pending = self.unanswered.remove(index);
            pending.refuse(Problem::too_large("more than the server takes at once"));
        }
    }

    /// Nothing is sent any more: this program broke the protocol.
    pub(super) fn fail(&mut self, reason: &str) {
        for pending in self.drain() {
            pending.answer(Err(Error::Protocol(reason.to_owned())));
        }
    }

    /// The log is finished. What has no answer may be in it all the same, if an earlier
    /// connection broke after it was sent. A request with the same key finds out; and
    /// it adds nothing, since the log takes nothing more.
    pub(super) async fn finish(&mut self, endpoint: &Endpoint) {
        let until = Instant::now() + PATIENCE;
        for pending in self.drain() {
            if pending.is_given_up() {
                continue;
            }
            let Publish {
                reference,
                kind,
                data,
            } = pending.publish.clone();
            let asked = endpoint.publish(Some(&reference), kind, data);
            let answer = timeout_at(until, asked).await;
            pending.answer(answer.unwrap_or(Err(Error::NoAnswer)));
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = PendingPublish> + '_ {
        self.unanswered.drain(..).chain(self.unsent.drain(..))
    }
}

impl PendingPublish {
    pub(super) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }

    pub(super) fn refuse(self, problem: Problem) {
        self.answer(Err(Error::Refused(Box::new(problem))));
    }

    fn answer(self, answer: Result<Cursor, Error>) {
        // Whoever gave up does not hear it.
        let _ = self.answer.send(answer);
    }
}
