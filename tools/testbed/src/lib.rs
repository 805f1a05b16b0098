//! What tests share: a raw socket, files of expected bytes, a server that follows a script, a
//! listener without sockets, a network that loses packets, engines that keep a log, and parts from
//! outside that may be missing.
//!
//! It knows no log and no client: tests of the HTTP edge need neither. What the tests of the
//! methods share besides is in the crate `harness`.
//!
//! Here a failure is a panic: only tests call this, and the tool that writes the book's captures.

pub mod engine;
pub mod faults;
mod golden;
pub mod link;
mod metrics;
pub mod parts;
mod pipes;
mod raw;
mod script;
pub mod seeded;

pub use golden::{compare, exchange, transcript};
pub use metrics::Metrics;
pub use pipes::{Dialer, Pipes};
pub use raw::{answer_to, post, wire, Answer, Raw};
pub use script::Script;

use futures_util::{Stream, StreamExt};
use std::{fmt::Debug, future::Future, time::Duration};

/// Turns a hang into a failure; nothing is measured by it.
pub const HANG: Duration = Duration::from_secs(60);

/// Makes what is drawn on this thread the same in each run, from here on: such as what a server in
/// a test of one thread draws for `Retry-After`.
pub fn fix_draws() {
    fastrand::seed(1);
}

/// What `future` gives, or a panic that names what was awaited.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(HANG, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: it did not come"),
    }
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    in_time(what, async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What a client reports next, where that is neither an error nor the end.
pub async fn update<T, E: Debug>(updates: &mut (impl Stream<Item = Result<T, E>> + Unpin)) -> T {
    let update = in_time("an update", updates.next()).await;
    update.expect("not the end").expect("no error")
}
