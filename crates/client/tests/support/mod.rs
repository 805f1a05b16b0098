//! What the tests of the clients share.

use client::{Error, Pace, Update};
use futures_util::{Stream, StreamExt};
use std::time::Duration;

/// The pace of a client in a test: one that was cut does not make the test wait.
pub const BRISK: Pace = Pace {
    first: Duration::from_millis(5),
    cap: Duration::from_millis(50),
};

/// What a client reports next, where that is neither an error nor the end.
pub async fn update(
    updates: &mut (impl Stream<Item = Result<Update, Error>> + Unpin),
) -> Update {
    let update = testbed::in_time("an update", updates.next()).await;
    update.expect("not the end").expect("no error")
}
