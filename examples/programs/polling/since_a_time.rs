//! A time is no cursor: two events can share a millisecond, and a clock can step back.

use contract::{Data, Position};
use feed::Feed;
use std::error::Error;

// ANCHOR: times
/// The client has seen "one", and asks for what came since that event's time.
fn by_time() {
    let seen = 1_000; // milliseconds
    let log = [
        (1_000, "one"),
        (1_000, "two"), // in the same millisecond, after the client's poll
        (998, "three"), // the clock was set right, by two milliseconds
        (1_005, "four"), // all is well again
    ];
    let texts = |due: fn(u64, u64) -> bool| -> Vec<_> {
        let due = log.iter().filter(|(at, _)| due(*at, seen));
        due.map(|(_, text)| *text).collect()
    };
    // Later than that time: "two" and "three" are lost.
    assert_eq!(texts(|at, seen| at > seen), ["four"]);
    // At that time or later: "one" comes twice, and "three" is lost all the same.
    assert_eq!(texts(|at, seen| at >= seen), ["one", "two", "four"]);
}
// ANCHOR_END: times

// ANCHOR: cursor
/// The same with ids that only grow, though the clock of this log stands still.
async fn by_cursor() -> Result<(), Box<dyn Error>> {
    let stopped = || "2026-01-01T00:00:00Z".parse().expect("a time");
    let feed = Feed::builder().clock(stopped).build();
    let kind = "message".parse::<contract::Kind>()?;

    let seen = feed.publish(kind.clone(), Data::new("one")?).await?;
    for text in ["two", "three", "four"] {
        feed.publish(kind.clone(), Data::new(text)?).await?;
    }
    let due = feed.read(Position::After(seen), 10, 10_000)?.events;
    let texts: Vec<_> = due.iter().map(|event| event.data()).collect();
    assert_eq!(texts, [r#""two""#, r#""three""#, r#""four""#]);
    Ok(())
}
// ANCHOR_END: cursor

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    by_time();
    by_cursor().await
}
