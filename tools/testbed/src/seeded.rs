//! What is drawn in a long run: from a seed that it says, in all its processes.

use libtest_mimic::Arguments;
use std::{
    env, io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::runtime::{Builder, Runtime};

/// The variable with the seed. Without it every run draws anew.
pub const SEED: &str = "FAULTS_SEED";

/// The arguments of a test program, and whether it is to run long: by its argument `--long`, or by
/// the variable `LONG_FAULTS`, which is then 1.
pub fn arguments() -> (Arguments, bool) {
    let long = env::args().any(|argument| argument == "--long")
        || env::var_os("LONG_FAULTS").is_some_and(|value| value == "1");
    let arguments = Arguments::from_iter(env::args().filter(|argument| argument != "--long"));
    (arguments, long)
}

/// Says the seed of this run, and holds the processes that it starts to the same. To be called
/// before anything is drawn.
///
/// Each thread then draws the same sequence in each run: when a server lets those come back whom it
/// has refused or ended, how old a stream becomes, and between two polls the pauses. Which
/// connection gets which number is up to the schedule. Not held to it are the rests of a client
/// that has failed, which the crate `retry-policies` draws from the system's randomness.
pub fn say() -> u64 {
    let seed = seed().unwrap_or_else(|| fastrand::u64(..));
    env::set_var(SEED, seed.to_string());
    println!("seed: {SEED}={seed}");
    seed
}

fn seed() -> Option<u64> {
    env::var(SEED).ok()?.parse().ok()
}

/// A runtime whose threads, and this one, draw from the seed, if there is one.
///
/// # Errors
/// Where the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    if let Some(seed) = seed() {
        fastrand::seed(seed);
        let count = AtomicU64::new(seed);
        builder.on_thread_start(move || {
            fastrand::seed(count.fetch_add(1, Relaxed).wrapping_add(1));
        });
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_what_threads_draw() {
        let drawn = || {
            let runtime = runtime().unwrap();
            let on_a_thread = runtime.spawn(async { fastrand::u64(..) });
            (fastrand::u64(..), runtime.block_on(on_a_thread).unwrap())
        };
        env::set_var(SEED, "7");
        let ours = drawn().0;
        assert_eq!(drawn().0, ours);
        // Of its threads any may come first.
        let threads = 1 + std::thread::available_parallelism().unwrap().get() as u64;
        let of_a_thread = (8..8 + 10 * threads).map(|seed| fastrand::Rng::with_seed(seed).u64(..));
        assert!(of_a_thread.into_iter().any(|first| first == drawn().1));
        env::remove_var(SEED);
    }
}
