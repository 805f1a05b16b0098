//! What one client received, compared with what was published.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one client received.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By number, whether it came.
    seen: Vec<bool>,
    /// The place and the delay of each event as it came.
    pub delays: Vec<(u32, Duration)>,
    /// The bytes of the events' JSON.
    pub payload: u64,
    /// How often events came after the client had waited.
    pub batches: u64,
    counts: Counts,
    newest: Option<u32>,
}

/// How many of what the clients of a run have met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events that should have come, over all clients.
    pub expected: u64,
    /// Those that came, each once.
    pub delivered: u64,
    /// Those that did not come.
    pub lost: u64,
    /// Those that came again.
    pub doubled: u64,
    /// Those that came after a later one.
    pub misordered: u64,
    /// Reports of events that were missed.
    pub gaps: u64,
    /// Reports of a lost connection, or of a refusal, after which the client tried again.
    pub reconnects: u64,
    /// Answers that held events or none, of a method that asks.
    pub answers: u64,
}

impl Counts {
    /// Whether each event came once and in order.
    pub fn is_exact(&self) -> bool {
        self.delivered == self.expected && self.lost + self.doubled + self.misordered == 0
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.misordered += other.misordered;
        self.gaps += other.gaps;
        self.reconnects += other.reconnects;
        self.answers += other.answers;
    }
}

impl Tally {
    /// Of a client that shall receive this many.
    pub fn new(events: u32) -> Self {
        Self {
            seen: vec![false; events as usize],
            // Room for all: the measured loop allocates nothing.
            delays: Vec::with_capacity(events as usize),
            payload: 0,
            batches: 0,
            counts: Counts::default(),
            newest: None,
        }
    }

    /// An event came. Whether it was the last of the schedule.
    pub fn event(&mut self, n: u32, delay: Duration, bytes: usize) -> bool {
        let Some(seen) = self.seen.get_mut(n as usize) else {
            // None of this schedule: it counts as one too many.
            self.counts.doubled += 1;
            return false;
        };
        if std::mem::replace(seen, true) {
            self.counts.doubled += 1;
            return false;
        }
        if self.newest > Some(n) {
            self.counts.misordered += 1;
        }
        self.newest = self.newest.max(Some(n));
        self.delays.push((n, delay));
        self.payload += bytes as u64;
        n as usize + 1 == self.seen.len()
    }

    /// A page of the log came, empty or not.
    pub fn answer(&mut self) {
        self.counts.answers += 1;
    }

    /// The client reported that it missed events.
    pub fn gap(&mut self) {
        self.counts.gaps += 1;
    }

    /// The client reported that it tries again.
    pub fn reconnect(&mut self) {
        self.counts.reconnects += 1;
    }

    /// The counts.
    pub fn counts(&self) -> Counts {
        let expected = self.seen.len() as u64;
        let delivered = self.seen.iter().filter(|seen| **seen).count() as u64;
        Counts {
            expected,
            delivered,
            lost: expected - delivered,
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u32]) -> Counts {
        let mut tally = Tally::new(4);
        for n in numbers {
            tally.event(*n, Duration::ZERO, 1);
        }
        tally.counts()
    }

    #[test]
    fn each_event_once_and_in_order_is_exact() {
        assert!(tally(&[0, 1, 2, 3]).is_exact());
    }

    #[test]
    fn what_is_lost_doubled_or_out_of_order_is_counted() {
        for (numbers, lost, doubled, misordered) in [
            (&[0, 1, 3][..], 1, 0, 0),
            (&[0, 1, 1, 2, 3], 0, 1, 0),
            (&[0, 2, 1, 3], 0, 0, 1),
            (&[0, 1, 2, 3, 9], 0, 1, 0),
            (&[], 4, 0, 0),
        ] {
            let counts = tally(numbers);
            let found = (counts.lost, counts.doubled, counts.misordered);
            assert_eq!(found, (lost, doubled, misordered), "{numbers:?}");
            assert!(!counts.is_exact(), "{numbers:?}");
        }
    }

    #[test]
    fn the_last_event_ends_a_client() {
        let mut tally = Tally::new(2);
        assert!(!tally.event(0, Duration::ZERO, 10));
        assert!(tally.event(1, Duration::ZERO, 20));
        assert_eq!(tally.payload, 30);
    }
}
