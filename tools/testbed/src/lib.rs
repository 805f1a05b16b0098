//! What the tests of the methods share: a server of known bytes, a raw socket to read them with,
//! files of expected bytes, a server that follows a script, the conformance suite over real
//! sockets, and parts from outside that may be missing.
//!
//! It depends on no method. A test hands in its method's router and its method's client.
//!
//! Here a failure is a panic: only tests call this, and the tool that writes the book's captures.

pub mod conformance;
mod golden;
pub mod parts;
mod pipes;
mod raw;
mod script;
mod server;

pub use golden::{compare, exchange, transcript};
pub use pipes::{Dialer, Pipes};
pub use raw::{answer_to, post, wire, Answer, Raw};
pub use script::Script;
pub use server::{say, still_feed, Server};

use client::{Error, Pace, Update};
use futures_util::{Stream, StreamExt};
use std::{future::Future, time::Duration};

/// Turns a hang into a failure; nothing is measured by it.
pub const HANG: Duration = Duration::from_secs(30);

/// The pace of a client in a test: one that was cut does not make the test wait.
pub const BRISK: Pace = Pace {
    first: Duration::from_millis(5),
    cap: Duration::from_millis(50),
};

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
pub async fn update(updates: &mut (impl Stream<Item = Result<Update, Error>> + Unpin)) -> Update {
    let update = in_time("an update", updates.next()).await;
    update.expect("not the end").expect("no error")
}
