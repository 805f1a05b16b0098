// How long to wait before the next poll.

use std::time::Duration;

// ANCHOR: skeleton
// ANCHOR: solution
/// The pause before the next poll: at least what the server asked for, but no more than
/// an hour for that, and never in step with others. `polls` is how many polls this
/// client has made, and at least 1.
fn pause(polls: u32, interval: Duration, retry_after: Option<Duration>) -> Duration {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    const HOUR: Duration = Duration::from_secs(3600);
    let between = |least: f64, most: f64| least + (most - least) * fastrand::f64();
    match retry_after {
        // Never earlier. The jitter comes on top, or all who were told "5 s" come back
        // together.
        Some(least) => least.min(HOUR) + interval.mul_f64(between(0.0, 1.0)),
        // Once, anywhere in the interval: that spreads those who started together.
        None if polls == 1 => interval.mul_f64(between(0.0, 1.0)),
        // From then on a little: that draws apart whom one slow answer has brought into
        // step.
        None => interval.mul_f64(between(0.9, 1.1)),
    }
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn pause_is_spread_and_heeds_the_server() {
    let interval = Duration::from_secs(10);
    let minute = Duration::from_secs(60);
    let drawn = |polls, retry_after| -> Vec<Duration> {
        let mut pauses: Vec<_> = (0..2_000)
            .map(|_| pause(polls, interval, retry_after))
            .collect();
        pauses.sort();
        pauses
    };
    // How many of 2,000 pauses lie in the half second that holds the most.
    let crowd = |pauses: &[Duration]| {
        let half_second = Duration::from_millis(500);
        let within =
            |at: &Duration| pauses.partition_point(|other| *other < *at + half_second);
        let crowds = pauses
            .iter()
            .enumerate()
            .map(|(index, at)| within(at) - index);
        crowds.max().unwrap()
    };

    let first = drawn(1, None);
    assert!(crowd(&first) < 200, "the first pauses lie close together");
    assert!(first[1_999] <= interval, "a first pause is too long");

    let later = drawn(7, None);
    let mean = later.iter().sum::<Duration>() / 2_000;
    assert!(crowd(&later) < 1_000, "later pauses are all the same");
    assert!(later[0] >= interval / 2, "a later pause is too short");
    assert!(mean.abs_diff(interval) < interval / 10, "the mean {mean:?}");

    for polls in [1, 7] {
        let told = drawn(polls, Some(minute));
        assert!(told[0] >= minute, "earlier than the server asked");
        assert!(crowd(&told) < 1_000, "all come back together");
        let told = drawn(polls, Some(minute * 60 * 24 * 30));
        assert!(told[1_999] <= 61 * minute, "a month is a mistake");
    }
}
