// A stream of one kind of event only.

use bytes::Bytes;
use contract::Kind;
use feed::Batch;
use sse::framing;
use std::time::Duration;

// ANCHOR: skeleton
// ANCHOR: solution
/// The blocks to write for a batch, if a client wants events of one `kind` only.
/// `every` is the server's heartbeat interval.
fn blocks(batch: &Batch, kind: &Kind, every: Duration) -> Vec<Bytes> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let wanted = batch.events.iter().filter(|event| event.kind() == kind);
    let mut blocks: Vec<_> = wanted.map(|event| framing::event(event)).collect();
    // Events at the end that the client does not get must move its cursor too. A block
    // of an id alone does that in some clients only; a heartbeat is dispatched, and has
    // an id.
    if batch
        .events
        .last()
        .is_some_and(|event| event.kind() != kind)
    {
        blocks.push(framing::heartbeat(batch.next, every));
    }
    blocks
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test]
async fn filtered_out_events_move_the_cursor() {
    use client::event_stream::{Block, Parser};
    use contract::{Data, Position};
    use feed::{Feed, Retention};

    let feed = Feed::new(Retention::default());
    for kind in ["tick", "message", "tick", "tick"] {
        let kind = kind.parse().unwrap();
        feed.publish(kind, Data::new("x").unwrap()).await.unwrap();
    }
    let batch = feed.read(Position::Earliest, 10, 1_000).unwrap();
    for (kind, wanted) in [("message", 1), ("tick", 3), ("other", 0)] {
        let every = Duration::from_secs(15);
        let written = blocks(&batch, &kind.parse().unwrap(), every).concat();
        let mut read = Vec::new();
        Parser::new().push(&written, &mut read).unwrap();
        // What every client dispatches, and takes an id from: blocks with data.
        let mut dispatched = Vec::new();
        for block in read {
            match block {
                Block::Event(message) => dispatched.push(message),
                Block::Id(id) => panic!("many clients drop the id {id}"),
            }
        }
        let events = dispatched.iter().filter(|it| it.kind == "message");
        assert_eq!(events.count(), wanted, "events of {kind}");
        let last = dispatched.last().unwrap();
        let cursor = batch.next.to_string();
        assert_eq!(last.last_event_id, cursor, "the cursor after {kind}");
    }
}
