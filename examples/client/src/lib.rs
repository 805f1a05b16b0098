//! What the Rust clients share, whatever they wait by: when to try again, when to take silence for death, what a
//! subscription remembers between its connections, and how an answer that is no success becomes an error one can act on.

mod failure;
mod follow;
pub mod pages;
mod server;
mod session;

pub use failure::{body, failure, refusal, ClientError, Failure, MAX_BODY_BYTES};
pub use follow::Follow;
pub use server::{Server, PATIENCE};
pub use session::{updates, Method, Session};

use retry_policies::{policies::ExponentialBackoff, Jitter, RetryDecision, RetryPolicy};
use std::time::{Duration, SystemTime};

/// How a client paces its attempts to connect.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The bound of the first wait; each further failure doubles it. Default 1 s: one lost connection is repaired before
    /// a person notices.
    pub first: Duration,
    /// The bound that the doubling stops at. Default 30 s: a server that was away for an hour is found again within half
    /// a minute, and a million clients ask 33,000 times a second at most while it is gone.
    pub cap: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        }
    }
}

/// A server that asks for more than an hour has a typing error. Doubling its number would also overflow, some day.
const LONGEST_FIRST: Duration = Duration::from_secs(3600);

// ANCHOR: backoff
/// Waits that grow, drawn from the whole range between nothing and the bound ("full jitter"): clients that lost their
/// server in one moment do not come back in one moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    pace: Pace,
    failures: u32,
}

impl Backoff {
    /// Starts at the first wait.
    pub fn new(pace: Pace) -> Self {
        Self { pace, failures: 0 }
    }

    // ANCHOR: next_wait
    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(self.pace.first, self.pace.cap.max(self.pace.first))
            .jitter(Jitter::Full)
            .build_with_max_retries(u32::MAX);
        let now = SystemTime::now();
        let decision = policy.should_retry(now, self.failures);
        self.failures = self.failures.saturating_add(1);
        match decision {
            RetryDecision::Retry { execute_after } => {
                execute_after.duration_since(now).unwrap_or_default()
            }
            RetryDecision::DoNotRetry => self.pace.cap,
        }
    }
    // ANCHOR_END: next_wait

    /// Starts anew. Call it when something was heard from the server, not when a connection stood: a server that accepts
    /// and then fails would otherwise be asked without pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The server has asked for another first wait. An hour at most is taken.
    pub fn set_first(&mut self, first: Duration) {
        self.pace.first = first.min(LONGEST_FIRST);
    }
}
// ANCHOR_END: backoff

/// How long a silence may last before the connection is taken for dead, learned from the server's heartbeats.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Between two signs of life, at most.
    patience: Duration,
}

/// A heartbeat may be late by a slow network or a busy server; two missing in a row are no accident.
const MISSED_HEARTBEATS: u32 = 2;

/// Added for the way, however short the heartbeat: a round trip to the other side of the world and a retransmission.
const ON_THE_WAY: Duration = Duration::from_secs(1);

impl Default for Watchdog {
    /// Before the first heartbeat has told its interval: 45 s, three times the usual 15.
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(45),
        }
    }
}

impl Watchdog {
    /// The server lets at most this much time pass in silence.
    pub fn heard_interval(&mut self, every: Duration) {
        self.patience = every
            .saturating_mul(MISSED_HEARTBEATS)
            .saturating_add(ON_THE_WAY);
    }

    /// How long to wait for the next sign of life.
    pub fn patience(&self) -> Duration {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_under_the_cap_and_start_anew() {
        let pace = Pace {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(2),
        };
        let longest = |failures: u32| {
            (0..500)
                .map(|_| Backoff { pace, failures }.next_wait())
                .max()
                .unwrap_or_default()
        };
        let shortest = (0..500)
            .map(|_| Backoff { pace, failures: 5 }.next_wait())
            .min();
        assert!(longest(0) <= Duration::from_millis(200), "{:?}", longest(0));
        assert!(longest(3) > longest(0));
        assert!(longest(40) <= pace.cap);
        assert!(longest(40) > pace.cap / 2, "drawn from the whole range");
        assert!(
            shortest.unwrap() < pace.cap / 4,
            "drawn from the whole range"
        );

        let mut backoff = Backoff::new(pace);
        for _ in 0..40 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(200));
    }

    #[test]
    fn a_first_wait_without_bound_is_bounded() {
        let mut backoff = Backoff::new(Pace::default());
        backoff.set_first(Duration::from_millis(u64::MAX));
        for _ in 0..40 {
            assert!(backoff.next_wait() <= LONGEST_FIRST);
        }
    }

    #[test]
    fn a_watchdog_learns_its_patience() {
        let mut watchdog = Watchdog::default();
        watchdog.heard_interval(Duration::from_secs(15));
        assert_eq!(watchdog.patience(), Duration::from_secs(31));
        watchdog.heard_interval(Duration::MAX);
        assert_eq!(watchdog.patience(), Duration::MAX);
    }
}
