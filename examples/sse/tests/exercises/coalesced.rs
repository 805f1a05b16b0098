// A slow client that needs the newest price of each share, and no older one.

use feed::Event;
use serde::Deserialize;
use std::{collections::HashSet, sync::Arc};

// ANCHOR: skeleton
// ANCHOR: solution
/// The data of an event of the kind `tick`.
#[derive(Deserialize)]
struct Tick {
    symbol: String,
}

/// Leaves out each tick that a newer one of its symbol follows. All else stays, in
/// order.
fn newest(mut events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let mut seen = HashSet::new();
    // From the end, because there the newest comes first.
    events.reverse();
    events.retain(|event| {
        if event.kind().as_str() != "tick" {
            return true;
        }
        match serde_json::from_str::<Tick>(event.data()) {
            Ok(tick) => seen.insert(tick.symbol),
            // What cannot be read cannot be called old.
            Err(_) => true,
        }
    });
    events.reverse();
    events
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test]
async fn coalesced_ticks_are_the_newest_of_each_symbol() {
    use contract::{Data, Position};
    use feed::{Feed, Retention};

    let feed = Feed::new(Retention::default());
    for (kind, data) in [
        ("tick", r#"{"symbol":"ACME","price":1}"#),
        ("message", r#"{"symbol":"ACME"}"#),
        ("tick", r#"{"symbol":"BOLT","price":2}"#),
        ("tick", r#"{"symbol":"ACME","price":3}"#),
        ("message", r#""hello""#),
        ("tick", r#"{"price":4}"#),
    ] {
        let data = Data::from_json(data).unwrap();
        feed.publish(kind.parse().unwrap(), data).await.unwrap();
    }
    let batch = feed.read(Position::Earliest, 10, 10_000).unwrap();
    let left: Vec<_> = newest(batch.events)
        .iter()
        .map(|event| event.cursor().id.get())
        .collect();
    assert_eq!(left, [2, 3, 4, 5, 6]);
}
