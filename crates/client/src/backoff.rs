//! The waits between attempts to connect.

use crate::LONGEST_WAIT;
use retry_policies::{
    policies::ExponentialBackoff, Jitter, RetryDecision, RetryPolicy,
};
use std::time::{Duration, SystemTime};

/// How a client paces its attempts to connect.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The bound of the first wait; each further failure doubles it. Default 1 s: one
    /// lost connection is repaired before a person notices.
    pub first: Duration,
    /// The bound that the doubling stops at. Default 30 s: a server that was away for
    /// an hour is found again within half a minute, and a million clients ask 33,000
    /// times a second at most while it is gone.
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

/// The least that a server may ask for as a first wait. From nothing, no doubling would
/// ever lead away.
const LEAST_FIRST: Duration = Duration::from_millis(100);

/// How long a connection must have been open until its failure is a first one again. A
/// server that accepts everybody, greets them and fails must not be asked by all of
/// them each second, so neither an open connection nor a greeting proves it well.
pub(crate) const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// Waits that grow, drawn from the whole range up to the bound ("full jitter"): clients
/// that lost their server in one moment do not come back in one moment. None is shorter
/// than a tenth of the first bound.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    pace: Pace,
    failures: u32,
}

impl Backoff {
    /// Starts at the first wait.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, failures: 0 }
    }

    // ANCHOR: next_wait
    /// How long to wait after one more failure.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(self.pace.first, self.pace.cap.max(self.pace.first))
            .jitter(Jitter::Full)
            .build_with_max_retries(u32::MAX);
        let now = SystemTime::now();
        let decision = policy.should_retry(now, self.failures);
        self.failures = self.failures.saturating_add(1);
        let drawn = match decision {
            RetryDecision::Retry { execute_after } => {
                execute_after.duration_since(now).unwrap_or_default()
            }
            RetryDecision::DoNotRetry => self.pace.cap,
        };
        drawn.max(self.pace.first / 10)
    }
    // ANCHOR_END: next_wait

    /// Starts anew, after a connection that was open for [`HEALTHY_AFTER`].
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The server has asked for another first wait. From 100 ms to an hour is taken.
    pub(crate) fn set_first(&mut self, first: Duration) {
        self.pace.first = first.clamp(LEAST_FIRST, LONGEST_WAIT);
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
}
