// An interval that follows what happens.

use std::{ops::RangeInclusive, time::Duration};

// ANCHOR: skeleton
// ANCHOR: solution
/// The next interval, after a poll that brought `events`. It grows while nothing comes,
/// halves at most when something does, and stays within `bounds`. The pause is then
/// drawn around it.
fn adapted(
    interval: Duration,
    events: usize,
    bounds: RangeInclusive<Duration>,
) -> Duration {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let next = match events {
        // Slowly: one quiet poll says little.
        0 => interval.mul_f64(1.5),
        // Not to the shortest at once: everybody who follows this log sees the same
        // event.
        _ => interval / 2,
    };
    next.clamp(*bounds.start(), *bounds.end())
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn adapted_to_what_happens_and_bounded() {
    let seconds = Duration::from_secs;
    let bounds = || seconds(1)..=seconds(60);

    let mut interval = seconds(10);
    for _ in 0..1_000 {
        let next = adapted(interval, 0, bounds());
        assert!(next >= interval, "it shrinks while nothing comes");
        interval = next;
    }
    assert_eq!(interval, seconds(60), "it grows up to the bound");

    for _ in 0..1_000 {
        let next = adapted(interval, 3, bounds());
        assert!(next <= interval, "it grows while events come");
        interval = next;
    }
    assert_eq!(interval, seconds(1), "it shrinks down to the bound");
    assert!(adapted(seconds(10), 0, bounds()) > seconds(10));
    assert!(adapted(seconds(10), 1, bounds()) < seconds(10));
    let after_one = adapted(seconds(60), 1, bounds());
    assert!(after_one >= seconds(30), "one event, and all ask at once");

    // Whatever it is given: from outside the bounds, too.
    for start in [Duration::ZERO, seconds(500)] {
        for events in [0, 1] {
            let next = adapted(start, events, bounds());
            assert!(bounds().contains(&next), "{next:?} from {start:?}");
        }
    }
}
