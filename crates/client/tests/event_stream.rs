//! The parser against vectors written from the WHATWG text; `event-stream.js` and a
//! browser's own `EventSource` are held to the same file.

use base64::{engine::general_purpose::STANDARD, Engine};
use client::event_stream::{Block, Message, Parser, TooLarge};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    text: Option<String>,
    base64: Option<String>,
    /// Lengths of the pieces, in bytes.
    chunks: Option<Vec<usize>>,
    events: Vec<Expected>,
    last_event_id: String,
    retry: Option<u64>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Expected {
    #[serde(rename = "type")]
    kind: String,
    data: String,
    last_event_id: String,
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
            _ => panic!("{}: either text or base64", self.name),
        }
    }

    fn check<'a>(&self, how: &str, pieces: impl Iterator<Item = &'a [u8]>) {
        let (found, parser) = read(pieces);
        assert_eq!(found, self.events, "{}, {how}", self.name);
        assert_eq!(
            parser.last_event_id(),
            self.last_event_id,
            "{}, {how}",
            self.name
        );
        assert_eq!(parser.retry_ms(), self.retry, "{}, {how}", self.name);
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Expected>, Parser) {
    let mut parser = Parser::new();
    let mut blocks = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut blocks).unwrap();
    }
    let events = blocks.into_iter().filter_map(|block| match block {
        Block::Event(Message {
            kind,
            data,
            last_event_id,
        }) => Some(Expected {
            kind,
            data,
            last_event_id,
        }),
        Block::Id(_) => None,
    });
    (events.collect(), parser)
}

#[test]
fn every_vector_whole_and_in_any_pieces() {
    let Vectors { vectors } =
        serde_json::from_str(include_str!("event-stream.json")).unwrap();
    assert!(vectors.len() >= 35, "{} vectors", vectors.len());
    for vector in &vectors {
        let bytes = vector.bytes();
        vector.check("whole", std::iter::once(&*bytes));
        vector.check("byte by byte", bytes.chunks(1));
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            vector.check(&format!("split at {at}"), [first, second].into_iter());
        }
        if let Some(lengths) = &vector.chunks {
            let mut rest = &*bytes;
            let mut pieces = Vec::new();
            for length in lengths {
                let (piece, after) = rest.split_at(*length);
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            vector.check("in its own chunks", pieces.into_iter());
        }
    }
}

#[test]
fn a_block_without_data_tells_its_id_and_dispatches_nothing() {
    let mut blocks = Vec::new();
    Parser::new()
        .push(b"id: k3f9x2.17\n\nretry: 5\n\n", &mut blocks)
        .unwrap();
    assert_eq!(blocks, [Block::Id("k3f9x2.17".to_owned())]);
}

#[test]
fn a_line_that_never_ends_is_refused() {
    let mut parser = Parser::new();
    let mut blocks = Vec::new();
    let piece = [b'x'; 64 * 1024];
    let refused = (0..1000).find_map(|n| {
        parser
            .push(&piece, &mut blocks)
            .err()
            .map(|error| (n, error))
    });
    assert_eq!(refused, Some((16, TooLarge)), "1 MiB is the bound");
    // Many short lines of one block are no way around it.
    let mut parser = Parser::new();
    let lines = "data: x\n".repeat(10_000);
    assert!((0..1000).any(|_| parser.push(lines.as_bytes(), &mut blocks).is_err()));
}

proptest! {
    /// However the network cuts a stream into pieces, it says the same; and no bytes
    /// make the parser panic.
    #[test]
    fn pieces_do_not_matter(
        lines in prop::collection::vec(
            prop_oneof![
                "(data|id|event|retry|x|)(:| :|: )?[a-z0-9é水\u{0}:]{0,6}",
                Just(String::new()),
            ],
            0..30,
        ),
        ends in prop::collection::vec(prop_oneof![Just("\n"), Just("\r"), Just("\r\n")], 30),
        cuts in prop::collection::vec(1usize..9, 1..20),
    ) {
        let stream: String = lines.iter().zip(&ends).map(|(line, end)| format!("{line}{end}")).collect();
        let bytes = stream.as_bytes();
        let (whole, parser) = read(std::iter::once(bytes));
        let mut rest = bytes;
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle().take(bytes.len()) {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let (found, again) = read(pieces.into_iter());
        prop_assert_eq!(found, whole);
        prop_assert_eq!(again.last_event_id(), parser.last_event_id());
        prop_assert_eq!(again.retry_ms(), parser.retry_ms());
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        read(pieces.iter().map(Vec::as_slice));
    }
}
