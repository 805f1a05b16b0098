//! The refusals of a room.

use contract::{Problem, ProblemKind};
use std::ops::RangeInclusive;

/// Seconds until a refused client should ask again: each is told a number of its own
/// from this range. They were refused together, and one number for all would only move
/// the rush. Enough for a burst to pass or for a new process to start, and little
/// enough that a person still waits. Clients add jitter of their own.
const RETRY_AFTER: RangeInclusive<u16> = 1..=10;

/// 503 `busy`: every place is in use.
pub(crate) fn busy() -> Problem {
    later(Problem::busy())
}

/// 503 `ending`: this server is going away.
pub(crate) fn ending() -> Problem {
    later(Problem::ending())
}

/// What the log refuses.
pub(crate) fn of(refused: impl Into<Problem>) -> Problem {
    let problem = refused.into();
    match problem.kind() {
        Some(ProblemKind::Unavailable) => later(problem),
        _ => problem,
    }
}

fn later(problem: Problem) -> Problem {
    Problem {
        retry_after: Some(fastrand::u16(RETRY_AFTER)),
        ..problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed::PublishError;
    use std::collections::BTreeSet;

    #[test]
    fn those_who_are_refused_together_get_different_times() {
        let unavailable = || of(PublishError::Unavailable);
        for refuse in [busy, ending, unavailable] {
            let times = (0..500).map(|_| refuse().retry_after.expect("a time"));
            assert_eq!(times.collect::<BTreeSet<_>>(), RETRY_AFTER.collect());
        }
    }
}
