// The longest wait that a path bears.

use std::time::Duration;

// ANCHOR: skeleton
// ANCHOR: solution
/// The `N` of `Prefer: wait=N` for a path on which each box gives up after one of these
/// times. It is 25 at most, and 5 seconds shorter than the least patient box. `None`
/// where that leaves nothing.
fn wait(path: &[Duration]) -> Option<u64> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    const MOST: Duration = Duration::from_secs(25);
    // For the way there and back, and for a server that is late.
    const MARGIN: Duration = Duration::from_secs(5);
    let shortest = path.iter().min().copied().unwrap_or(Duration::MAX);
    let wait = shortest.checked_sub(MARGIN)?.min(MOST);
    // Whole seconds, rounded down: rounded up they would eat into the margin.
    Some(wait.as_secs()).filter(|&seconds| seconds > 0)
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn chosen_below_the_least_patient_box() {
    for (path, wanted) in [
        (vec![60_000, 60_000], Some(25)),
        (vec![60_000, 20_000, 100_000], Some(15)),
        (vec![9_900], Some(4)),
        (vec![6_000], Some(1)),
        (vec![5_500], None),
        (vec![3_000, 60_000], None),
        (vec![], Some(25)),
    ] {
        let times: Vec<_> = path.iter().map(|&ms| Duration::from_millis(ms)).collect();
        assert_eq!(wait(&times), wanted, "time-outs of {path:?} ms");
    }
}
