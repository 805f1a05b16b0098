//! A server that can answer a hundred polls a second, and a thousand clients that come
//! at once. No time passes: it is counted.

// ANCHOR: run
/// How many polls the server answers in a second; the rest it refuses.
const RATE: usize = 100;

/// A thousand clients poll at 0 s. Those who are refused come back after a `pause`, in
/// seconds. How many refusals the server had to write, and in which second the last
/// client was served.
fn run(pause: impl Fn() -> f64) -> (usize, usize) {
    // when each client that waits for an answer asks next
    let mut due = vec![0.0; 1_000];
    let mut refusals = 0;
    for second in 0.. {
        let end = second as f64 + 1.0;
        due.sort_by(f64::total_cmp);
        let asking = due.partition_point(|at| *at < end);
        let refused = due.drain(..asking).skip(RATE);
        let again: Vec<_> = refused.map(|at| at + pause()).collect();
        refusals += again.len();
        due.extend(again);
        if due.is_empty() {
            return (refusals, second);
        }
    }
    unreachable!("every second serves somebody who asks")
}
// ANCHOR_END: run

// ANCHOR: main
fn main() {
    fastrand::seed(1);
    let between = |least, most| least + (most - least) * fastrand::f64();

    let stubborn = run(|| 1.0);
    let obedient = run(|| 5.0);
    let spread = run(|| between(1.0, 10.0) + between(0.0, 1.0));
    println!("{stubborn:?} {obedient:?} {spread:?}");
    assert_eq!(stubborn, (4_500, 9));
    assert_eq!(obedient, (4_500, 45));
    assert!(spread.0 < 1_100 && spread.1 < 20);
}
// ANCHOR_END: main
