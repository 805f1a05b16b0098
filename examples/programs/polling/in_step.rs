//! A thousand clients that were started together, and when they ask. No time passes: it
//! is counted.

// ANCHOR: peak
const CLIENTS: usize = 1_000;
/// Between two polls of one client, in seconds.
const INTERVAL: f64 = 10.0;

/// The most polls in one tenth of a second of the first ten minutes, if all clients
/// start at once and pause this long before their second poll and before each later
/// one.
fn peak(first: impl Fn() -> f64, later: impl Fn() -> f64) -> usize {
    let mut tenths = vec![0; 6_000];
    for _ in 0..CLIENTS {
        let mut at = first();
        while let Some(polls) = tenths.get_mut((at * 10.0) as usize) {
            *polls += 1;
            at += later();
        }
    }
    tenths.into_iter().max().unwrap_or_default()
}
// ANCHOR_END: peak

// ANCHOR: main
fn main() {
    fastrand::seed(1);
    let exact = || INTERVAL;
    let within = |least, most| INTERVAL * (least + (most - least) * fastrand::f64());
    let a_little = || within(0.9, 1.1);
    let anywhere = || within(0.0, 1.0);

    let in_step = peak(exact, exact);
    let shaken = peak(a_little, a_little);
    let spread = peak(anywhere, a_little);
    println!("{in_step} {shaken} {spread}");
    assert_eq!(in_step, CLIENTS);
    assert!((60..100).contains(&shaken));
    assert!((15..40).contains(&spread));
}
// ANCHOR_END: main
