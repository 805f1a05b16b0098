// What long polling saves, in requests.

// ANCHOR: skeleton
// ANCHOR: solution
/// How many requests one client makes for each event, if an event happens every
/// `period` seconds and the server parks a request for `wait` seconds at most. Both are
/// 1 or more.
fn requests_per_event(period: u64, wait: u64) -> u64 {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    // After an event the client asks at once. That request, or the last of those that
    // follow it each time the wait is over, is the one that the next event answers.
    period.div_ceil(wait)
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn counted_by_playing_it_through() {
    /// A hundred events, second by second: where both fall together, the event is
    /// first.
    fn played(period: u64, wait: u64) -> u64 {
        let (mut requests, mut asked) = (1, 0);
        for now in 1..=100 * period {
            if now % period == 0 || now - asked == wait {
                (requests, asked) = (requests + 1, now);
            }
        }
        requests - 1 // the last one is still parked
    }
    for (period, wait) in [
        (1, 25),
        (24, 25),
        (25, 25),
        (26, 25),
        (60, 25),
        (3600, 25),
        (7, 1),
    ] {
        let counted = 100 * requests_per_event(period, wait);
        assert_eq!(
            counted,
            played(period, wait),
            "every {period} s, wait={wait}"
        );
    }
}
