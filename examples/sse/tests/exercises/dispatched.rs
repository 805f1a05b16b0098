// Reading the format by hand.

use client::event_stream::{Block, Parser};

// ANCHOR: stream
/// Everything that a server wrote before the connection broke.
const STREAM: &str = ": welcome\nid: 7\n\n\
    retry: 500\ndata: one\r\ndata:two\n\n\
    event: price\ndata: 3\rid: 8\n\n\
    data\n\n\
    event: note\n\n\
    data: four\nid\n\n\
    data: five";
// ANCHOR_END: stream

// ANCHOR: skeleton
// ANCHOR: solution
/// What a browser dispatches for [`STREAM`]: type, data and `lastEventId` of each
/// event.
fn dispatched() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        // ANCHOR_END: solution
        // Your code.
        // ANCHOR_END: skeleton
        // ANCHOR: solution
        // The first block has an id and no data: no event, but the id stays.
        ("message", "one\ntwo", "7"),
        // A CR ends a line as well, and the id comes into force with its own block.
        ("price", "3", "8"),
        // A `data` without a colon is an empty line of data. That is an event.
        ("message", "", "8"),
        // `event: note` without data is none, and the type is forgotten.
        // An `id` without a value clears the id.
        ("message", "four", ""),
        // The last block has no empty line after it. Nobody knows whether all of it
        // came.
        // ANCHOR: skeleton
    ]
}
// ANCHOR_END: skeleton
// ANCHOR_END: solution

#[test]
fn dispatched_as_the_parser_does() {
    let mut blocks = Vec::new();
    Parser::new().push(STREAM.as_bytes(), &mut blocks).unwrap();
    let parsed: Vec<_> = blocks
        .into_iter()
        .filter_map(|block| match block {
            Block::Event(message) => {
                Some((message.kind, message.data, message.last_event_id))
            }
            Block::Id(_) => None,
        })
        .collect();
    let yours: Vec<_> = dispatched()
        .into_iter()
        .map(|(kind, data, id)| (kind.to_owned(), data.to_owned(), id.to_owned()))
        .collect();
    assert_eq!(yours, parsed);
}
