//! What a subscription remembers between its connections, and how the clients drive it.

use crate::{
    backoff::{Backoff, HEALTHY_AFTER},
    Error, Failure, Pace, Update, LONGEST_WAIT,
};
use contract::{Cursor, Event, Gap, Position};
use futures_util::stream::{self, Stream};
use std::{collections::VecDeque, future::Future, time::Duration};
use tokio::time::{sleep, Instant};

/// One subscription, across however many connections or requests it takes.
#[derive(Debug)]
pub(crate) struct SubscriptionState {
    /// Where the next connection starts. A cursor as soon as the server has given one.
    position: Position,
    /// The waits between attempts to connect.
    backoff: Backoff,
    /// What was learned and not handed out yet: at most what one piece of an answer
    /// holds, because no other is read before these are gone.
    ready: VecDeque<Result<Update, Error>>,
    /// When this connection gave its first cursor, if it has.
    opened: Option<Instant>,
    /// Whether the last answer reported a gap and nothing else was heard since.
    in_gap: bool,
    /// Whether a credential can be renewed.
    renews: bool,
    /// Whether the last answer was that the credential is none, and nothing was open
    /// since.
    unauthorized: bool,
    /// Whether nothing follows.
    over: bool,
}

impl SubscriptionState {
    /// A subscription that has not begun.
    pub(crate) fn new(position: Position, pace: Pace) -> Self {
        Self {
            position,
            backoff: Backoff::new(pace),
            ready: VecDeque::new(),
            opened: None,
            in_gap: false,
            renews: false,
            unauthorized: false,
            over: false,
        }
    }

    /// The same, for a client that can renew its credential, or cannot.
    pub(crate) fn with_renewal(self, renews: bool) -> Self {
        Self { renews, ..self }
    }

    /// Where the next connection starts.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Whether this connection has given its cursor.
    pub(crate) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// The server has asked for another first wait between attempts.
    pub(crate) fn set_first_wait(&mut self, first: Duration) {
        self.backoff.set_first(first);
    }

    /// Something of use came, so that a gap which follows is no second one in a row.
    pub(crate) fn heard(&mut self) {
        self.in_gap = false;
    }

    /// The server has given a cursor. Whether it was the first of this connection, and
    /// so opened it.
    pub(crate) fn set_cursor(&mut self, cursor: Cursor) -> bool {
        self.position = Position::After(cursor);
        let opens = self.opened.is_none();
        if opens {
            self.opened = Some(Instant::now());
            self.unauthorized = false;
            self.ready.push_back(Ok(Update::Opened(cursor)));
        }
        opens
    }

    /// An event came. Those that come together are handed out together.
    pub(crate) fn event(&mut self, event: Event) {
        self.position = Position::After(event.id);
        match self.ready.back_mut() {
            Some(Ok(Update::Events(events))) => events.push(event),
            _ => self.ready.push_back(Ok(Update::Events(vec![event]))),
        }
    }

    /// The server is there, and nothing happened.
    pub(crate) fn heartbeat(&mut self) {
        self.ready.push_back(Ok(Update::Heartbeat));
    }

    /// Events were missed.
    pub(crate) fn gap(&mut self, gap: Gap) {
        self.position = Position::After(gap.resume);
        self.ready.push_back(Ok(Update::Gap(gap)));
    }

    /// The connection is gone and the cursor stays. How long to wait before the next
    /// attempt.
    ///
    /// `at_least` is what the server asked for, an hour at most. What the back-off
    /// draws comes on top of it: clients that were refused together may have been given
    /// the same number, and must not come back together.
    pub(crate) fn reconnecting(&mut self, at_least: Option<Duration>) -> Duration {
        let open_for = self.opened.take().map(|opened| opened.elapsed());
        if open_for >= Some(HEALTHY_AFTER) {
            self.backoff.reset();
        }
        let asked = at_least.unwrap_or_default().min(LONGEST_WAIT);
        let wait = asked.saturating_add(self.backoff.next_wait());
        self.ready.push_back(Ok(Update::Reconnecting(wait)));
        wait
    }

    /// An attempt did not succeed. How long to wait before the next, if there is one.
    pub(crate) fn failed(&mut self, failure: Failure) -> Duration {
        match failure {
            Failure::Temporary(at_least) => self.reconnecting(at_least),
            Failure::Unexpected(error) => {
                tracing::warn!(%error, "not an answer of this contract; asking again");
                self.reconnecting(None)
            }
            Failure::Gap(gap) => {
                let again = std::mem::replace(&mut self.in_gap, true);
                self.gap(gap);
                match again {
                    // It goes on from `resume` at once.
                    false => Duration::ZERO,
                    // Two servers that answer in turn, each with a log of its own,
                    // would send it to and fro without pause.
                    true => self.reconnecting(None),
                }
            }
            // Once. A credential that is refused as soon as it was renewed will not be
            // better the next time.
            Failure::Unauthorized(_) if self.renews && !self.unauthorized => {
                self.unauthorized = true;
                self.reconnecting(None)
            }
            Failure::Unauthorized(error) | Failure::Permanent(error) => {
                self.fail(error);
                Duration::ZERO
            }
        }
    }

    /// The log is complete. Nothing follows.
    pub(crate) fn finish(&mut self) {
        self.ready.push_back(Ok(Update::Finished));
        self.over = true;
    }

    /// Trying again would not help. Nothing follows.
    pub(crate) fn fail(&mut self, error: Error) {
        self.ready.push_back(Err(error));
        self.over = true;
    }
}

/// How a client waits: one step at a time, each of which records in its
/// [`SubscriptionState`] what it learned.
pub(crate) trait Driver: Send + 'static {
    /// What this subscription remembers.
    fn subscription(&mut self) -> &mut SubscriptionState;

    /// Connects, asks, reads the next piece, or waits; not called again once the
    /// subscription is over.
    fn step(&mut self) -> impl Future<Output = ()> + Send;
}

/// A client that holds one connection, reads it piece by piece, and makes another when
/// it ends.
pub(crate) trait Reconnect: Send + 'static {
    /// What is open.
    type Connection: Send;

    /// What this subscription remembers.
    fn subscription(&mut self) -> &mut SubscriptionState;

    /// Where this client keeps its connection.
    fn connection(&mut self) -> &mut ConnectionState<Self::Connection>;

    /// Opens a connection.
    fn connect(
        &mut self,
    ) -> impl Future<Output = Result<ConnectionState<Self::Connection>, Failure>> + Send;

    /// Reads the next piece, and gives the connection back if it goes on.
    fn read(
        &mut self,
        connection: Self::Connection,
    ) -> impl Future<Output = Result<ConnectionState<Self::Connection>, Failure>> + Send;
}

/// What a [`Reconnect`] has open.
pub(crate) enum ConnectionState<C> {
    /// No connection; the next attempt comes after this long.
    Disconnected(Duration),
    /// An open one.
    Connected(C),
}

impl<C> Default for ConnectionState<C> {
    /// None, and an attempt at once.
    fn default() -> Self {
        Self::Disconnected(Duration::ZERO)
    }
}

impl<R: Reconnect> Driver for R {
    fn subscription(&mut self) -> &mut SubscriptionState {
        Reconnect::subscription(self)
    }

    async fn step(&mut self) {
        let next = match std::mem::take(self.connection()) {
            ConnectionState::Disconnected(wait) => {
                sleep(wait).await;
                self.connect().await
            }
            ConnectionState::Connected(connection) => self.read(connection).await,
        };
        // Whatever ends a connection is reported, with the wait before the next
        // attempt; the cursor is kept.
        *self.connection() = next.unwrap_or_else(|failure| {
            let wait = Reconnect::subscription(self).failed(failure);
            ConnectionState::Disconnected(wait)
        });
    }
}

/// The updates that a driver learns, step by step, until its subscription is over.
pub(crate) fn updates<D: Driver>(
    driver: D,
) -> impl Stream<Item = Result<Update, Error>> + Send + 'static {
    stream::unfold(driver, |mut driver| async move {
        loop {
            let subscription = driver.subscription();
            if let Some(update) = subscription.ready.pop_front() {
                return Some((update, driver));
            }
            if subscription.over {
                return None;
            }
            driver.step().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::GapReason;

    fn subscription() -> SubscriptionState {
        let pace = Pace {
            first: Duration::from_millis(100),
            cap: Duration::from_millis(100),
        };
        SubscriptionState::new(Position::Latest, pace)
    }

    fn gap(asked: &str, resume: &str) -> Failure {
        Failure::Gap(Gap {
            reason: GapReason::NewLog,
            asked: Some(asked.parse().unwrap()),
            resume: resume.parse().unwrap(),
        })
    }

    #[test]
    fn those_who_are_asked_for_the_same_wait_do_not_come_back_together() {
        let asked = Duration::from_secs(5);
        let waits: Vec<_> = (0..100)
            .map(|_| subscription().reconnecting(Some(asked)))
            .collect();
        assert!(waits.iter().all(|wait| *wait >= asked), "{waits:?}");
        let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
        assert!(spread > Duration::from_millis(50), "{waits:?}");
        let longest = subscription().reconnecting(Some(Duration::MAX));
        assert!(longest <= LONGEST_WAIT + asked, "{longest:?}");
    }

    #[test]
    fn a_gap_is_gone_on_from_at_once_and_a_second_one_in_a_row_is_not() {
        let mut subscription = subscription();
        assert_eq!(
            subscription.failed(gap("aaaaaa.1", "bbbbbb.0")),
            Duration::ZERO
        );
        assert_eq!(subscription.position().to_string(), "bbbbbb.0");
        let waits = |subscription: &mut SubscriptionState| {
            subscription.failed(gap("bbbbbb.0", "aaaaaa.0"))
        };
        assert!(waits(&mut subscription) > Duration::ZERO);
        subscription.heard();
        assert_eq!(waits(&mut subscription), Duration::ZERO);
    }

    #[test]
    fn each_connection_opens_once() {
        let mut subscription = subscription();
        let cursor = "k3f9x2.1".parse().unwrap();
        assert!(subscription.set_cursor(cursor));
        assert!(!subscription.set_cursor(cursor));
        subscription.reconnecting(None);
        assert!(subscription.set_cursor(cursor));
    }
}
