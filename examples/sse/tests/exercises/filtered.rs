// A stream of one kind of event only.

use bytes::Bytes;
use feed::{Batch, Kind};
use sse::framing;

// ANCHOR: skeleton
// ANCHOR: solution
/// The blocks to write for a batch, if a client wants events of one `kind` only.
fn blocks(batch: &Batch, kind: &Kind) -> Vec<Bytes> {
    // ANCHOR_END: solution
    // Your code.
    // ANCHOR_END: skeleton
    // ANCHOR: solution
    let wanted = batch.events.iter().filter(|event| event.kind() == kind);
    let mut blocks: Vec<_> = wanted.map(|event| framing::event(event)).collect();
    // Events at the end that the client does not get must move its cursor too.
    if batch
        .events
        .last()
        .is_some_and(|event| event.kind() != kind)
    {
        blocks.push(framing::cursor(batch.next));
    }
    blocks
    // ANCHOR: skeleton
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[tokio::test]
async fn filtered_out_events_move_the_cursor() {
    use feed::{Data, Feed, Position, Retention};
    use sse::parser::{Block, Parser};

    let feed = Feed::new(Retention::default());
    for kind in ["tick", "message", "tick", "tick"] {
        let kind = kind.parse().unwrap();
        feed.publish(kind, Data::new("x").unwrap()).await.unwrap();
    }
    let batch = feed.read(Position::Earliest, 10, 1_000).unwrap();
    for (kind, wanted) in [("message", 1), ("tick", 3), ("other", 0)] {
        let written = blocks(&batch, &kind.parse().unwrap()).concat();
        let (mut parser, mut read) = (Parser::new(), Vec::new());
        parser.push(&written, &mut read).unwrap();
        let events = read.iter().filter(|block| matches!(block, Block::Event(_)));
        assert_eq!(events.count(), wanted, "events of {kind}");
        let cursor = batch.next.to_string();
        assert_eq!(parser.last_event_id(), cursor, "the cursor after {kind}");
    }
}
